import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import { EJECTION_MAX_MS } from '../../proxy/limits.ts';
import { AffinityTable } from '../../proxy/userspace/affinity.ts';
import { Balancer } from '../../proxy/userspace/balancer.ts';
import { Ejections } from '../../proxy/userspace/ejection.ts';
import { proxyHeader } from '../../proxy/userspace/proxy-protocol.ts';
import { Round } from '../../proxy/userspace/round.ts';
import { SessionTable, type Session } from '../../proxy/userspace/session-table.ts';
import { parseAddress } from '../../src/net/ip.ts';
import { FakeClock } from '../support/fake-clock.ts';

const endpoints = (count: number): EndpointAddressPort[] =>
  Array.from({ length: count }, (_, i) => ({ address: `10.1.0.${i + 1}`, port: 80, maybeLocal: true }));

describe('rounds', () => {
  test('every item comes once a round, whatever the dice say', () => {
    const dice = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), dice, (size, throws) => {
        const items = Array.from({ length: size }, (_, i) => i);
        const round = new Round(items, () => throws.next().value ?? 0);
        for (let rounds = 0; rounds < 3; rounds++)
          expect(new Set(items.map(() => round.next())).size).toBe(size);
      }),
    );
  });
});

describe('affinity', () => {
  test('slides with each connection and ends after the time limit', async () => {
    const clock = new FakeClock();
    const table = new AffinityTable({ clock });
    table.hold('a', 'x:1');
    await clock.advance(9_000);
    expect(table.get('a', 10)).toBe('x:1');
    table.hold('a', 'x:1');
    await clock.advance(9_000);
    expect(table.get('a', 10)).toBe('x:1');
    await clock.advance(1_000);
    expect(table.get('a', 10)).toBeUndefined();
    expect(table.size).toBe(0);
  });

  test('at the limit the client idle longest is forgotten', () => {
    const table = new AffinityTable({ clock: new FakeClock() }, { clientsMax: 2 });
    for (const client of ['a', 'b', 'a', 'c']) table.hold(client, 'x:1');
    expect(['a', 'b', 'c'].map((client) => table.get(client, 10))).toEqual(['x:1', undefined, 'x:1']);
  });
});

describe('balance', () => {
  function world() {
    const clock = new FakeClock();
    const ejections = new Ejections({ clock });
    return { clock, ejections, balancer: new Balancer({ clock, ejections }) };
  }

  test('an endpoint that failed is left out, twice as long each time, then probed', async () => {
    const { clock, balancer, ejections } = world();
    const two = endpoints(2);
    const picks = () =>
      new Set(Array.from({ length: 20 }, () => balancer.pick(two, 'c', 0, undefined)?.address));
    balancer.failed(two[0]!, 'c');
    expect(picks()).toEqual(new Set(['10.1.0.2']));
    await clock.advance(1_000);
    expect(picks().size).toBe(2);
    balancer.failed(two[0]!, 'c');
    await clock.advance(1_500);
    expect(picks().size).toBe(1);
    await clock.advance(500);
    expect(picks().size).toBe(2);
    balancer.succeeded(two[0]!);
    expect(ejections.size).toBe(0);
  });

  test('when all are left out they are used all the same', () => {
    const { balancer } = world();
    const two = endpoints(2);
    for (const endpoint of two) balancer.failed(endpoint, 'c');
    expect(balancer.pick(two, 'c', 0, undefined)).toBeDefined();
    expect(balancer.pick([], 'c', 0, undefined)).toBeUndefined();
  });

  test('a sticky client leaves an endpoint that failed, is gone or is out', () => {
    const { balancer } = world();
    const three = endpoints(3);
    const first = balancer.pick(three, 'c', 60, undefined)!;
    expect(balancer.pick(three, 'c', 60, undefined)).toBe(first);
    const next = balancer.pick(three, 'c', 60, new Set([`${first.address}:80`]))!;
    expect(next).not.toBe(first);
    expect(balancer.pick(three, 'c', 60, undefined)).toBe(next);
    const left = three.filter((each) => each !== next);
    const moved = balancer.pick(left, 'c', 60, undefined)!;
    expect(left).toContain(moved);
    balancer.failed(moved, 'other');
    expect(balancer.pick(left, 'c', 60, undefined)).not.toBe(moved);
  });

  test('old failures are forgotten', async () => {
    const { clock, ejections } = world();
    ejections.failed('x:1');
    await clock.advance(2 * EJECTION_MAX_MS);
    ejections.prune();
    expect(ejections.size).toBe(0);
  });
});

describe('sessions', () => {
  class Fake implements Session {
    touched = false;
    idleSweeps = 0;
    idleSweepsMax = 2;
    ended: string | undefined;
    readonly #table: SessionTable;
    constructor(table: SessionTable) {
      this.#table = table;
      table.add(this);
    }
    destroy(reason: string): void {
      this.ended = reason;
      this.#table.delete(this);
    }
  }

  test('idle ones end after their sweeps, touched ones start anew', () => {
    const table = new SessionTable(10);
    const [idle, busy] = [new Fake(table), new Fake(table)];
    for (let i = 0; i < 3; i++) {
      busy.touched = true;
      table.sweep();
    }
    expect([idle.ended, busy.ended]).toEqual(['idle', undefined]);
  });

  test('at the limit one that was not touched is evicted', () => {
    const table = new SessionTable(2);
    const [a, b] = [new Fake(table), new Fake(table)];
    expect(table.hasRoom).toBe(false);
    a.touched = true;
    table.evictOne();
    expect([a.ended, b.ended]).toEqual([undefined, 'evicted']);
    a.touched = true;
    table.evictOne();
    expect(a.ended).toBe('evicted');
  });

  test('empty is told when the last one ends', async () => {
    const table = new SessionTable(2);
    const session = new Fake(table);
    const empty = table.empty();
    session.destroy('test');
    await empty;
  });
});

describe('PROXY protocol', () => {
  const addresses = {
    sourceAddress: '198.51.100.7',
    sourcePort: 40_000,
    destinationAddress: '10.96.0.1',
    destinationPort: 443,
  };

  test('version 1 is the line of the specification', () => {
    expect(proxyHeader('v1', addresses).toString()).toBe('PROXY TCP4 198.51.100.7 10.96.0.1 40000 443\r\n');
  });

  test('version 2 is signature, command, family, length and addresses', () => {
    const parts = ['0d0a0d0a000d0a515549540a', '2111000c', 'c6336407', '0a600001', '9c40', '01bb'];
    expect(proxyHeader('v2', addresses).toString('hex')).toBe(parts.join(''));
  });

  test('version 2 holds any IPv6 pair at its place', () => {
    const ipv6 = fc.ipV6();
    fc.assert(
      fc.property(ipv6, ipv6, (sourceAddress, destinationAddress) => {
        const header = proxyHeader('v2', { ...addresses, sourceAddress, destinationAddress });
        expect(header.length).toBe(52);
        expect(header[13]).toBe(0x21);
        expect(header.subarray(16, 32)).toEqual(Buffer.from(parseAddress(sourceAddress)!));
        expect(header.subarray(32, 48)).toEqual(Buffer.from(parseAddress(destinationAddress)!));
      }),
    );
  });
});
