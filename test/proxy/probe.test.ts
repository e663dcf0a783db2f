import { describe, expect, test } from 'vitest';
import { NodeViewTracker } from '../../endpoints/node-view-tracker.ts';
import type { NodeSettings } from '../../endpoints/node-view.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import { PROBE_INTERVAL_MS, PROBE_TARGETS_MAX } from '../../proxy/limits.ts';
import { EndpointProber } from '../../proxy/probe/endpoint-prober.ts';
import { silentLogger } from '../../src/base/log.ts';
import { service, slice } from '../support/kube-objects.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { exchange, ProxyWorld, tcpEcho } from './proxy-world.ts';

const settings: NodeSettings = {
  name: 'alpha',
  zone: undefined,
  family: 'IPv4',
  addresses: [],
  primaryAddresses: [],
  nodePortAddresses: [],
  detectLocal: { mode: 'None' },
  masqueradeAll: false,
  localhostNodePorts: true,
  serviceCIDRs: [],
  allowExternalIPs: false,
};

const web = service('shop/web', { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80 }] });
const behind = (...ips: readonly string[]) =>
  slice('shop/web-1', 'web', { ports: { http: 8080 }, endpoints: ips.map((ip) => ({ ip })) });

/** A prober over a model, with a network of which the test says who is dead. */
function open(...objects: readonly Parameters<Tracker['upsert']>[0][]) {
  const tracker = new Tracker({ log: silentLogger });
  const apply = (...some: readonly Parameters<Tracker['upsert']>[0][]): void => {
    for (const object of some) tracker.upsert(object);
    tracker.flush();
  };
  apply(...objects);
  const clock = new FakeClock();
  const dead = new Set<string>();
  const probed: string[] = [];
  const views: { tracker?: NodeViewTracker } = {};
  const prober = new EndpointProber({
    snapshots: tracker,
    clock,
    log: silentLogger,
    onChange: (services) => views.tracker?.mark(services),
    probe: (address) => {
      probed.push(address);
      return Promise.resolve(!dead.has(address));
    },
  });
  views.tracker = new NodeViewTracker(tracker, settings, (...endpoint) => prober.isOut(...endpoint));
  const served = (): string[] => {
    const { view } = views.tracker!.refresh();
    return [...view.ports.values()].flatMap(({ clusterEndpoints }) =>
      clusterEndpoints.map(({ address }) => address),
    );
  };
  const round = (): Promise<void> => clock.advance(PROBE_INTERVAL_MS);
  return { prober, dead, probed, apply, served, round };
}

describe('endpoints that do not answer', () => {
  test('are left out after two probes and come back with the first answer', async () => {
    const world = open(web, behind('10.0.0.1', '10.0.0.2'));
    await using _prober = world.prober;
    world.dead.add('10.0.0.1');
    await world.round();
    expect(world.served()).toEqual(['10.0.0.1', '10.0.0.2']);
    await world.round();
    expect(world.served()).toEqual(['10.0.0.2']);
    world.dead.clear();
    await world.round();
    expect(world.served()).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  test('stay when none answers: then the probes are in doubt', async () => {
    const world = open(web, behind('10.0.0.1', '10.0.0.2'));
    await using _prober = world.prober;
    world.dead.add('10.0.0.1').add('10.0.0.2');
    await world.round();
    await world.round();
    expect(world.served()).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  test('one that leaves the cluster is probed no more and starts afresh when it is back', async () => {
    const world = open(web, behind('10.0.0.1', '10.0.0.2'));
    await using _prober = world.prober;
    world.dead.add('10.0.0.1');
    await world.round();
    await world.round();
    world.apply(behind('10.0.0.2'));
    world.probed.length = 0;
    await world.round();
    expect(world.probed).toEqual(['10.0.0.2']);
    world.apply(behind('10.0.0.1', '10.0.0.2'));
    expect(world.served()).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  test('UDP, headless and foreign services are not probed', async () => {
    const udp = service('shop/dns', {
      clusterIP: '10.96.0.2',
      ports: [{ name: 'dns', port: 53, protocol: 'UDP' }],
    });
    const headless = service('shop/db', { clusterIP: 'None', ports: [{ name: 'db', port: 5432 }] });
    const world = open(
      udp,
      headless,
      slice('shop/dns-1', 'dns', { ports: { 'dns/UDP': 53 }, endpoints: [{ ip: '10.0.0.3' }] }),
      slice('shop/db-1', 'db', { ports: { db: 5432 }, endpoints: [{ ip: '10.0.0.4' }] }),
    );
    await using _prober = world.prober;
    await world.round();
    expect(world.probed).toEqual([]);
  });

  test('beyond the limit endpoints are believed', async () => {
    const ips = Array.from({ length: PROBE_TARGETS_MAX + 10 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const world = open(web, behind(...ips));
    await using _prober = world.prober;
    await world.round();
    expect(world.probed.length).toBe(PROBE_TARGETS_MAX);
  });
});

test('a proxy that probes leaves a dead endpoint out for real', async () => {
  await using alive = await tcpEcho('127.244.46.1', 'alive');
  const vip = service('shop/web', { clusterIP: '127.96.46.1', ports: [{ name: 'http', port: 4601 }] });
  const slices = slice('shop/web-1', 'web', {
    ports: { http: alive.port },
    endpoints: [{ ip: '127.244.46.1' }, { ip: '127.244.46.2' }],
  });
  await using world = await ProxyWorld.open([vip, slices], { probeEndpoints: true });
  await waitFor(
    'the dead one to go',
    () => world.proxier.views[0]?.ports.get('shop/web:http/TCP')?.clusterEndpoints.length === 1,
  );
  expect(await exchange('127.96.46.1', 4601)).toBe('alive\nhello');
});
