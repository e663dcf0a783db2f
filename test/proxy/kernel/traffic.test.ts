import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import type { PortCounts } from '../../../proxy/backend.ts';
import { openBackend } from '../../../proxy/backends.ts';
import { KERNEL_DEFAULT } from '../../../proxy/config/kernel-options.ts';
import { TrafficLedger } from '../../../proxy/kernel/traffic-ledger.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { exec } from '../../../src/net/exec.ts';
import { openNetlink } from '../../../src/net/netlink/socket.ts';
import { service, slice } from '../../support/kube-objects.ts';
import { cannotSendPackets } from '../../netns/can-send-packets.ts';
import { CaseWorld, PROXY_CASES } from '../../suites/backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { NetworkNamespace } from '../../support/network-namespace.ts';

const signal = new AbortController().signal;
const KEY = 'shop/web:http/TCP';
const VIP = '10.43.0.1';
const ENDPOINTS = ['10.42.1.1', '10.42.1.2'];

/** True when somebody took the connection. */
function dial(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(80, address);
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
    socket.on('close', () => resolve(true));
  });
}

const plain = (counts: readonly PortCounts[]): unknown =>
  counts.map(({ endpoints, ...own }) => ({ ...own, endpoints: Object.fromEntries(endpoints) }));

const MODES = [
  { mode: 'nftables', variant: 'auto' },
  { mode: 'iptables', variant: 'legacy' },
  { mode: 'iptables', variant: 'nft' },
] as const;

test.for(MODES)(
  '$mode, $variant: connections are counted by port and endpoint, and on over changes and restarts',
  async ({ mode, variant }, context) => {
    const reason = cannotSendPackets();
    if (reason !== undefined) context.skip(reason);
    using node = new NetworkNamespace();
    node.ip(['link set lo up', 'addr add 172.20.0.11/32 dev lo', 'route add default dev lo']);
    node.ip(ENDPOINTS.map((address) => `addr add ${address}/32 dev lo`));
    using _inside = node.enter();
    const servers = ENDPOINTS.map((address) =>
      createServer((socket) => socket.resume()).listen(8080, address),
    );
    const kernel = { ...KERNEL_DEFAULT, iptablesVariant: variant };
    const clock = new FakeClock();
    const deps = { clock, log: silentLogger, exec, openNetlink };
    const open = () => openBackend(mode, deps, { family: 'IPv4', kernel });
    const endpoints = (addresses: readonly string[]) =>
      slice('shop/web-1', 'web', { ports: { http: 8080 }, endpoints: addresses.map((ip) => ({ ip })) });
    const objects = [service('shop/web', { clusterIP: VIP }), endpoints(ENDPOINTS.slice(0, 1))];
    const world = new CaseWorld({ ...PROXY_CASES.groups[0]!, objects });
    world.views();
    const views = world.trackers[0]!;
    const everything = { complete: false, ports: new Set<string>() };
    await using first = await open();
    await first.apply(views.view, everything, new Map(), signal);
    const hits = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) expect(await dial(VIP)).toBe(true);
      await clock.advance(3_600_000); // counters are read as seldom as they cost
    };
    const one = { '10.42.1.1:8080': { connections: 5 } };
    await hits(5);
    expect(plain((await first.counters?.(signal)) ?? [])).toEqual([
      { key: KEY, connections: 5, endpoints: one },
    ]);
    // the only endpoint is another one now
    world.tracker.upsert(endpoints(ENDPOINTS.slice(1)));
    world.tracker.flush();
    const { view, changes, previous } = views.refresh();
    await first.apply(view, changes, previous, signal);
    await hits(3);
    const two = { ...one, '10.42.1.2:8080': { connections: 3 } };
    expect(plain((await first.counters?.(signal)) ?? [])).toEqual([
      { key: KEY, connections: 8, endpoints: two },
    ]);
    if (mode === 'nftables') {
      // another process that adopts the table goes on from what the kernel holds
      await using next = await open();
      await next.apply(view, everything, new Map(), signal);
      const [again] = (await next.counters?.(signal)) ?? [];
      expect(again?.endpoints.get('10.42.1.2:8080')).toEqual({ connections: 3 });
    }
    for (const server of servers) server.close();
  },
);

test('a ledger goes on where a kernel counter begins again, and forgets ports that went', () => {
  const ledger = new TrafficLedger();
  const read = (...notes: readonly (readonly [string, number])[]): unknown => {
    ledger.begin();
    for (const [key, value] of notes) ledger.note('rule', key, 'a:1', { connections: value });
    return plain(ledger.take());
  };
  const of = (key: string, connections: number) => ({ key, endpoints: { 'a:1': { connections } } });
  expect(read(['x', 5], ['y', 1])).toEqual([of('x', 5), of('y', 1)]);
  expect(read(['x', 7], ['y', 0])).toEqual([of('x', 7), of('y', 1)]);
  expect(read(['x', 2], ['y', 4])).toEqual([of('x', 9), of('y', 5)]);
  expect(read(['x', 2])).toEqual([of('x', 9)]);
  expect(read(['x', 2], ['y', 4])).toEqual([of('x', 9), of('y', 4)]);
});
