import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ContainerUsage, NodeUsage } from '../../../../src/api/kinds/usage.ts';
import { measured } from '../../../../src/api/kinds/usage-rates.ts';
import { parseResourceMetrics } from '../../../../src/api/server/metrics/resource-metrics.ts';
import type { KubeletDoor, PodStreams } from '../../../../src/api/kinds/pod-streams.ts';
import { resourceMetrics } from '../../../../src/kubelet/server/resource-metrics.ts';
import type { Pod } from '../../../../src/api/kinds/pod.ts';
import { kubeletPages } from '../../../../src/kubelet/server/pages.ts';
import { busyTicks, usedBytes } from '../../../../src/kubelet/usage.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { openTestServer, patchType, type TestServer } from '../support.ts';

const START_MS = 1_000_000;

function container(cpuSeconds: number, changes: Partial<ContainerUsage> = {}): ContainerUsage {
  return {
    namespace: 'default',
    pod: 'web',
    container: 'main',
    cpuSeconds,
    workingSetBytes: 4096,
    startedAtMs: START_MS,
    processes: 1,
    ...changes,
  };
}

const reading = (atMs: number, ...containers: ContainerUsage[]): NodeUsage => ({
  nodeName: 'host',
  atMs,
  node: { cpuSeconds: atMs / 1000, workingSetBytes: 1024 },
  containers,
});

describe('usage rates', () => {
  const cores = (now: NodeUsage, before?: NodeUsage): number[] =>
    measured(now, before).containers.map(({ cpuCores }) => cpuCores);
  const at = (seconds: number): number => START_MS + seconds * 1000;

  it('are the difference of two readings', () => {
    const usage = measured(reading(at(100), container(12)), reading(at(85), container(4.5)));
    expect(usage.containers).toMatchObject([{ cpuCores: 0.5, windowMs: 15_000, workingSetBytes: 4096 }]);
    expect(usage.node).toMatchObject({ cpuCores: 1 });
  });

  it('count a new container from its start, when that is not long ago', () => {
    expect(cores(reading(at(10), container(5)), reading(at(-5)))).toEqual([0.5]);
    expect(cores(reading(at(10), container(5)))).toEqual([0.5]);
    expect(cores(reading(at(300), container(5)))).toEqual([]);
    expect(cores(reading(at(0.2), container(5)))).toEqual([]);
  });

  it('begin anew with a restarted container', () => {
    const restarted = container(1, { startedAtMs: at(90) });
    expect(cores(reading(at(100), restarted), reading(at(85), container(50)))).toEqual([0.1]);
  });

  it('never are negative', () => {
    expect(cores(reading(at(100), container(1)), reading(at(85), container(4)))).toEqual([0]);
  });
});

describe('/metrics/resource', () => {
  it('is read as it is written', () => {
    const written = reading(START_MS + 1234, container(1.5), container(0, { container: 'side' }));
    const { processes: _processes, ...first } = written.containers[0]!;
    const read = parseResourceMetrics('host', resourceMetrics(written), 0);
    expect(read).toMatchObject({ ...written, containers: [first, { container: 'side', cpuSeconds: 0 }] });
  });

  it('is read from other kubelets, and in part where it is broken', () => {
    const text = `# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container
container_cpu_usage_seconds_total{container="a",namespace="n",pod="p"} 1.5e+01 1700000000123
container_cpu_usage_seconds_total{container="a",namespace="n",pod="p"
container_memory_working_set_bytes{container="\\"b\\"",namespace="n",pod="p"} 4.096e+06
node_cpu_usage_seconds_total NaN
scrape_error 0`;
    expect(parseResourceMetrics('host', text, 7)).toEqual({
      nodeName: 'host',
      atMs: 7,
      node: { cpuSeconds: 0, workingSetBytes: 0 },
      containers: [
        { namespace: 'n', pod: 'p', container: 'a', startedAtMs: 0, cpuSeconds: 15, workingSetBytes: 0 },
        {
          namespace: 'n',
          pod: 'p',
          container: '"b"',
          startedAtMs: 0,
          cpuSeconds: 0,
          workingSetBytes: 4_096_000,
        },
      ],
    });
  });
});

describe('the host', () => {
  it('is busy when it is not idle and waits for nothing', () => {
    expect(busyTicks('cpu  10 20 30 1000 500 1 2 3 7 7\ncpu0 1 1 1 1 1 1 1 1 0 0\n')).toBe(66);
  });

  it('uses what is not available', () => {
    expect(usedBytes('MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:    400 kB\n')).toBe(600 * 1024);
  });
});

describe('metrics.k8s.io', () => {
  const POD = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', labels: { app: 'web' } },
    spec: { containers: [{ name: 'main', image: 'main' }] },
  };
  const API = '/apis/metrics.k8s.io/v1beta1';
  let test: TestServer;
  let clock: FakeClock;
  beforeEach(async () => {
    clock = new FakeClock();
    test = await openTestServer({}, { clock });
    await test.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    expect((await test.call('POST', '/api/v1/namespaces/default/pods', POD)).status).toBe(201);
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'host', labels: { zone: 'a' } } };
    expect((await test.call('POST', '/api/v1/nodes', node)).status).toBe(201);
  });
  afterEach(() => test[Symbol.asyncDispose]());

  /** Half a core since `startedAtMs`. */
  async function attach(): Promise<void> {
    const startedAtMs = clock.nowMs();
    const usage = (): NodeUsage => {
      const cpuSeconds = (clock.nowMs() - startedAtMs) / 2000;
      return reading(
        clock.nowMs(),
        container(cpuSeconds, { startedAtMs }),
        container(cpuSeconds, { startedAtMs, container: 'side' }),
        container(cpuSeconds, { startedAtMs, pod: 'stranger' }),
      );
    };
    const streams = {} as PodStreams; // nobody asks for any
    const pods = (): Pod[] => [{ ...POD, metadata: { ...POD.metadata, namespace: 'default', uid: 'u-1' } }];
    const page = kubeletPages({ pods, usage, metrics: undefined });
    await test.server.attachKubelet({ nodeName: 'host', door: { ...streams, page } });
    await clock.advance(15_000);
  }

  it('is not there without a kubelet', async () => {
    expect((await test.call('GET', API)).status).toBe(404);
    expect((await test.call('GET', `${API}/nodes`)).status).toBe(404);
  });

  it('gives the use of pods the API has, by container', async () => {
    await attach();
    const { body } = await test.call('GET', `${API}/namespaces/default/pods/web`);
    expect(body).toMatchObject({
      kind: 'PodMetrics',
      apiVersion: 'metrics.k8s.io/v1beta1',
      metadata: { name: 'web', namespace: 'default', labels: { app: 'web' } },
      window: '15.000s',
      containers: [
        { name: 'main', usage: { cpu: '500000000n', memory: '4Ki' } },
        { name: 'side', usage: { cpu: '500000000n', memory: '4Ki' } },
      ],
    });
    expect(Date.parse(body.timestamp)).toBe(Math.floor(clock.nowMs() / 1000) * 1000);
    const missing = await test.call('GET', `${API}/namespaces/default/pods/stranger`);
    expect(missing.body).toMatchObject({ code: 404, reason: 'NotFound' });
  });

  it('lists by namespace and selectors, also as a table', async () => {
    await attach();
    const names = async (target: string): Promise<string[]> =>
      (await test.call('GET', `${API}/${target}`)).body.items.map(
        (one: { metadata: { name: string } }) => one.metadata.name,
      );
    expect(await names('pods')).toEqual(['web']);
    expect(await names('namespaces/kube-system/pods')).toEqual([]);
    expect(await names('pods?labelSelector=app%3Dweb')).toEqual(['web']);
    expect(await names('pods?labelSelector=app%3Dother')).toEqual([]);
    expect(await names('pods?fieldSelector=metadata.name%3Dother')).toEqual([]);
    expect(await names('nodes?labelSelector=zone%3Da')).toEqual(['host']);
    const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    const { body } = await test.call('GET', `${API}/pods`, undefined, accept);
    expect(body.rows[0].cells).toEqual(['web', '1', '8Ki', '15.000s']);
  });

  it('does without kubelets that cannot be asked', async () => {
    for (const [name, address] of [
      ['metadata', '169.254.169.254'],
      ['nobody', '127.0.0.1'],
    ]) {
      await test.call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name } });
      const status = {
        addresses: [{ type: 'InternalIP', address }],
        daemonEndpoints: { kubeletEndpoint: { Port: 1 } },
      };
      await test.call('PATCH', `/api/v1/nodes/${name}/status`, { status }, patchType.merge);
    }
    await attach();
    await test.server.attachKubelet({ nodeName: 'other', door: {} as KubeletDoor });
    const { body } = await test.call('GET', `${API}/nodes`);
    expect(body.items).toEqual([]);
    const forbidden = await test.call('GET', '/api/v1/nodes/metadata/proxy/');
    expect(forbidden.body.message).toContain('address not allowed');
  });

  it('cannot be written or watched, and needs the right to read', async () => {
    await attach();
    expect((await test.call('POST', `${API}/namespaces/default/pods`, POD)).status).toBe(405);
    expect((await test.call('DELETE', `${API}/namespaces/default/pods/web`)).status).toBe(405);
    expect((await test.call('GET', `${API}/pods?watch=true`)).status).toBe(405);
    expect((await test.as('bob')('GET', `${API}/pods`)).status).toBe(403);
  });

  it('has the summary of the kubelet behind the proxy of its node', async () => {
    await attach();
    const { body } = await test.call('GET', '/api/v1/nodes/host/proxy/stats/summary');
    expect(body.node).toMatchObject({ nodeName: 'host', cpu: { usageNanoCores: 1e9 } });
    expect(body.pods[0]).toMatchObject({
      podRef: { name: 'web', namespace: 'default', uid: 'u-1' },
      containers: [
        { name: 'main', cpu: { usageNanoCores: 5e8, usageCoreNanoSeconds: 7.5e9 } },
        { name: 'side' },
      ],
    });
    expect((await test.as('bob')('GET', '/api/v1/nodes/host/proxy/stats/summary')).status).toBe(403);
  });
});
