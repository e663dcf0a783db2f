import { describe, expect, test } from 'vitest';
import type { NodeEntry } from '../../endpoints/snapshot.ts';
import {
  type ConntrackLoad,
  droppedPackets,
  openConntrackWatch,
} from '../../src/node/host/conntrack-watch.ts';
import { hostTuning } from '../../src/node/host/host-tuning.ts';
import { podRoutes } from '../../src/node/host/pod-routes.ts';
import { FakeClock } from '../support/fake-clock.ts';

const CONNTRACK = {
  maxPerCore: 32_768,
  min: 131_072,
  tcpEstablishedTimeoutMs: 86_400_000,
  tcpCloseWaitTimeoutMs: 3_600_000,
  tcpBeLiberal: false,
  udpTimeoutMs: 0,
  udpStreamTimeoutMs: 180_000,
};

describe('host settings', () => {
  test.each([
    ['few cores: the minimum holds', 2, '131072'],
    ['many cores: so much a core', 16, '524288'],
  ])('%s', (_name, cores, max) => {
    const tuning = new Map(hostTuning({ conntrack: CONNTRACK, oomScoreAdj: -999, cores }));
    expect(Object.fromEntries(tuning)).toEqual({
      '/proc/self/oom_score_adj': '-999',
      '/proc/sys/net/ipv4/ip_forward': '1',
      '/proc/sys/net/netfilter/nf_conntrack_max': max,
      '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established': '86400',
      '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait': '3600',
      '/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream': '180',
    });
  });

  test('maxPerCore 0 leaves the table as it is', () => {
    const conntrack = { ...CONNTRACK, maxPerCore: 0 };
    const paths = hostTuning({ conntrack, oomScoreAdj: 0, cores: 2 }).map(([path]) => path);
    expect(paths.some((path) => path.endsWith('_max'))).toBe(false);
  });
});

describe('the connection table', () => {
  const stat =
    'entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop\n' +
    '00000010  00000000 00000000 00000000 0 0 0 0 0 0 0000000a 00000001\n' +
    '00000010  00000000 00000000 00000000 0 0 0 0 0 0 00000002 00000000\n';

  test('counts what was dropped on every processor', () => {
    expect(droppedPackets(stat)).toBe(13);
    expect(droppedPackets('')).toBe(0);
    expect(droppedPackets('entries drop\n')).toBe(0);
  });

  test('tells when packets were dropped since the last look, and only then', async () => {
    const clock = new FakeClock();
    const loads = [5, 5, 9, 9].map((dropped): ConntrackLoad => ({ count: 10, max: 10, dropped }));
    const told: number[] = [];
    await using _watch = openConntrackWatch({
      clock,
      onFull: (_load, now) => told.push(now),
      read: () => Promise.resolve(loads.shift()),
    });
    for (let i = 0; i < 5; i++) await clock.advance(10_000);
    expect(told).toEqual([4]);
  });
});

describe('pod routes', () => {
  const node = (name: string, addresses: readonly string[], podCIDRs: readonly string[]): NodeEntry => ({
    name,
    zone: undefined,
    labels: {},
    addresses,
    podCIDRs,
    unschedulable: false,
    taints: [],
    deleting: false,
  });

  test('ours stays here, others go by an address of the same family, none is left out silently wrong', () => {
    const nodes = new Map(
      [
        node('alpha', ['192.0.2.11'], ['10.244.1.0/24']),
        node('beta', ['192.0.2.12', 'fd00::12'], ['10.244.2.0/24', 'fd00:2::/64']),
        node('gamma', ['192.0.2.13'], ['fd00:3::/64']),
      ].map((each) => [each.name, each]),
    );
    const alpha = { nodeName: 'alpha', own: '10.244.1.0/24' };
    expect(podRoutes({ nodes }, { ...alpha, toOthers: false })).toEqual([
      { to: '10.244.1.0/24', via: undefined },
    ]);
    expect(podRoutes({ nodes }, { ...alpha, toOthers: true })).toEqual([
      { to: '10.244.1.0/24', via: undefined },
      { to: '10.244.2.0/24', via: '192.0.2.12' },
      { to: 'fd00:2::/64', via: 'fd00::12' },
    ]);
    // pods with a network of their own: theirs is no address of this host
    expect(podRoutes({ nodes }, { ...alpha, own: undefined, toOthers: true })).toEqual([
      { to: '10.244.2.0/24', via: '192.0.2.12' },
      { to: 'fd00:2::/64', via: 'fd00::12' },
    ]);
  });
});
