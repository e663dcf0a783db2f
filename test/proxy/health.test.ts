import { afterEach, describe, expect, test } from 'vitest';
import { HealthCheckPorts } from '../../proxy/health/check-ports.ts';
import { openHealthz } from '../../proxy/health/healthz.ts';
import { ProxyHealth } from '../../proxy/health/health.ts';
import type { NodeEntry } from '../../endpoints/snapshot.ts';
import { nodeEntry } from '../../endpoints/cluster-entries.ts';
import { silentLogger } from '../../src/base/log.ts';
import { node, service, slice } from '../support/kube-objects.ts';
import { CaseWorld, PROXY_CASES } from '../suites/backend.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ProxyWorld } from './proxy-world.ts';

const ADDRESSES = { IPv4: '127.0.41.1', IPv6: '::1' } as const;

describe('shared cases: health check node ports', () => {
  test.each(PROXY_CASES.healthChecks)('$id: $note', async (check) => {
    const group = PROXY_CASES.groups.find(({ id }) => id === check.group)!;
    const views = new CaseWorld(group).views();
    const view = views.find((each) => each.node.family === check.family)!;
    const address = ADDRESSES[check.family];
    await using ports = new HealthCheckPorts(
      { log: silentLogger, isHealthy: () => check.proxyHealthy },
      { family: check.family, addresses: () => [address] },
    );
    await ports.update(view, { complete: false, ports: new Set() });
    const host = address.includes(':') ? `[${address}]` : address;
    const request = fetch(`http://${host}:${check.port}/`);
    const { status, header = {}, contentType, localEndpoints, serviceProxyHealthy } = check.expect;
    if (status === null) {
      await expect(request).rejects.toThrow('fetch failed');
      return;
    }
    const response = await request;
    const [namespace, name] = check.service.split('/');
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe(contentType);
    for (const [key, value] of Object.entries(header)) expect(response.headers.get(key)).toBe(value);
    expect(await response.json()).toEqual({
      service: { namespace, name },
      localEndpoints,
      serviceProxyHealthy,
    });
  });
});

describe('health check ports follow the services', () => {
  const local = (port: number) =>
    service(
      'shop/web',
      {
        type: 'LoadBalancer',
        clusterIP: '127.96.42.1',
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: port,
        ports: [
          { name: 'http', port: 4280 },
          { name: 'https', port: 4281 },
        ],
      },
      [],
    );
  const behind = slice('shop/web-1', 'web', {
    ports: { http: 80, https: 443 },
    endpoints: [
      { ip: '127.244.42.1', nodeName: 'alpha' },
      { ip: '127.244.42.2', nodeName: 'alpha' },
    ],
  });

  test('a moved port listens anew, a removed service closes', async () => {
    await using world = await ProxyWorld.open([local(31290), behind]);
    const weight = async (port: number): Promise<string | null> =>
      (await fetch(`http://127.0.0.1:${port}/`)).headers.get('x-load-balancing-endpoint-weight');
    expect(await weight(31290)).toBe('2');
    await world.apply(local(31291));
    expect(await weight(31291)).toBe('2');
    await expect(weight(31290)).rejects.toThrow('fetch failed');
    await world.remove(local(31291));
    await expect(weight(31291)).rejects.toThrow('fetch failed');
  });
});

describe('/healthz and /livez', () => {
  const open: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
  });

  async function serve(entry: NodeEntry | undefined) {
    const clock = new FakeClock();
    const health = new ProxyHealth(
      { clock, node: () => entry, isKnown: () => true },
      { families: ['IPv4'], pendingMaxMs: 60_000 },
    );
    const listener = await openHealthz({ health }, { address: '127.0.0.1', port: 0 });
    open.push(listener);
    const status = async (path: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${listener.port}${path}`)).status;
    return { clock, health, status, listener };
  }

  const alpha = nodeEntry(node('alpha', '172.20.0.11'));
  const nodes = [
    { name: 'present', entry: alpha, healthz: 200 },
    { name: 'gone', entry: undefined, healthz: 503 },
    { name: 'deleting', entry: { ...alpha, deleting: true }, healthz: 503 },
    {
      name: 'about to be removed by the autoscaler',
      entry: { ...alpha, taints: ['ToBeDeletedByClusterAutoscaler=1700000000:NoSchedule'] },
      healthz: 503,
    },
    { name: 'tainted otherwise', entry: { ...alpha, taints: ['dedicated=db:NoSchedule'] }, healthz: 200 },
  ];
  test.each(nodes)('node $name: healthz $healthz, livez 200', async ({ entry, healthz }) => {
    const { status } = await serve(entry);
    expect(await status('/healthz')).toBe(healthz);
    expect(await status('/livez')).toBe(200);
    expect(await status('/other')).toBe(404);
  });

  test('who is well says that it is up to date now, who is not since when', async () => {
    for (const deleting of [false, true]) {
      const { clock, health, listener } = await serve({ ...alpha, deleting });
      health.updated('IPv4', clock.nowMs());
      await clock.advance(5_000);
      const told = async (path: string): Promise<number> => {
        const response = await fetch(`http://127.0.0.1:${listener.port}${path}`);
        const { lastUpdated, currentTime } = (await response.json()) as Record<string, string>;
        return Date.parse(currentTime ?? '') - Date.parse(lastUpdated ?? '');
      };
      expect(await told('/healthz')).toBe(deleting ? 5_000 : 0);
      expect(await told('/livez')).toBe(0);
    }
  });

  test('a change that waits too long is unhealthy until it is applied', async () => {
    const { clock, health, status, listener } = await serve(alpha);
    health.queued();
    await clock.advance(59_000);
    expect(await status('/healthz')).toBe(200);
    await clock.advance(1_000);
    expect(await status('/healthz')).toBe(503);
    expect(await status('/livez')).toBe(503);
    health.updated('IPv4', clock.nowMs());
    const response = await fetch(`http://127.0.0.1:${listener.port}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      nodeEligible: true,
      healthy: true,
      status: { IPv4: { healthy: true } },
    });
    // whether the node may get traffic is no question of life
    const live = await fetch(`http://127.0.0.1:${listener.port}/livez`);
    expect(await live.json()).not.toHaveProperty('nodeEligible');
  });

  test('a change queued during a sync still waits after it', async () => {
    const { clock, health } = await serve(alpha);
    const startedMs = clock.nowMs();
    await clock.advance(5);
    health.queued();
    health.updated('IPv4', startedMs);
    await clock.advance(60_000);
    expect(health.healthy).toBe(false);
  });
});
