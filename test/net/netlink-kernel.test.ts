import '../support/property-seed.ts';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { formatCidr, parseCidr } from '../../src/net/cidr.ts';
import { formatAddress } from '../../src/net/ip.ts';
import type { IpsetChange, IpsetType } from '../../src/net/ipset.ts';
import { IPSET_IN_USE, Ipsets } from '../../src/net/netlink/ipset.ts';
import { Links } from '../../src/net/netlink/links.ts';
import { NETLINK, openNetlink } from '../../src/net/netlink/socket.ts';
import { NetworkNamespace } from '../support/network-namespace.ts';
import { cannotSendPackets } from '../netns/can-send-packets.ts';

const reason = cannotSendPackets();
beforeEach((context) => {
  if (reason !== undefined) context.skip(reason);
});

const port = fc.integer({ min: 0, max: 65_535 });
const address = (bytes: number) =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    // neither 0.0.0.0 nor IPv4 inside IPv6
    .map((value) => formatAddress(Uint8Array.from(value, (byte, i) => (i === 0 ? byte | 0x20 : byte))));
const place = (bytes: number) =>
  fc
    .tuple(address(bytes), fc.constantFrom('tcp', 'udp', 'sctp'), port)
    .map(([ip, protocol, number]) => `${ip},${protocol}:${number}`);
const network = (bytes: number) =>
  fc.tuple(address(bytes), fc.integer({ min: 1, max: 8 * bytes - 1 })).map(([ip, bits]) => {
    const cidr = parseCidr(`${ip}/${bits}`);
    return cidr ? formatCidr(cidr) : '';
  });
const pair = (a: fc.Arbitrary<string>, b: fc.Arbitrary<string>) =>
  fc.tuple(a, b).map((parts) => parts.join(','));

const ENTRIES: Readonly<Record<IpsetType, (bytes: number) => fc.Arbitrary<string>>> = {
  'bitmap:port': () => port.map(String),
  'hash:ip': address,
  'hash:ip,port': place,
  'hash:ip,port,ip': (bytes) => pair(place(bytes), address(bytes)),
  'hash:ip,port,net': (bytes) => pair(place(bytes), network(bytes)),
};
const TYPES = Object.keys(ENTRIES) as IpsetType[];

describe('ipsets', () => {
  test.for(
    TYPES.flatMap((type) => [
      { type, family: 'IPv4' as const },
      { type, family: 'IPv6' as const },
    ]),
  )('$type of $family hold what was written, as ipset reads it', async ({ type, family }) => {
    using namespace = new NetworkNamespace();
    using _inside = namespace.enter();
    using sets = new Ipsets(openNetlink(NETLINK.NETFILTER));
    const entry = ENTRIES[type](family === 'IPv6' ? 16 : 4);
    await sets.write([{ verb: 'create', set: 's', options: { type, family, entriesMax: 70_000 } }]);
    const batches = fc.uniqueArray(entry, { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(batches, async (entries) => {
        const all = (verb: 'add' | 'del'): IpsetChange[] =>
          entries.map((each) => ({ verb, set: 's', entry: each }));
        await sets.write([{ verb: 'flush', set: 's' }, ...all('add'), ...all('add')]);
        expect(held(namespace).toSorted()).toEqual(entries.toSorted());
        const gone = all('del').slice(1);
        await sets.write([...gone, ...gone]);
        expect(held(namespace)).toEqual(entries.slice(0, 1));
      }),
      { numRuns: 8 },
    );
  });

  test('are made, swapped, listed and destroyed; a fault tells the line', async () => {
    using namespace = new NetworkNamespace();
    using _inside = namespace.enter();
    using sets = new Ipsets(openNetlink(NETLINK.NETFILTER));
    expect(await sets.names()).toEqual([]);
    const create = (set: string): IpsetChange => ({
      verb: 'create',
      set,
      options: { type: 'hash:ip', family: 'IPv4', hashSize: 64, entriesMax: 2, timeoutSeconds: 0 },
    });
    const add = (set: string, n: number): IpsetChange => ({ verb: 'add', set, entry: `10.0.0.${n}` });
    await sets.write([
      create('a'),
      create('a'),
      create('b'),
      add('a', 1),
      { verb: 'swap', set: 'a', other: 'b' },
    ]);
    expect((await sets.names()).toSorted()).toEqual(['a', 'b']);
    expect(namespace.run('ipset', ['save', 'b'])).toContain('add b 10.0.0.1');
    await expect(sets.write([add('nowhere', 1)])).rejects.toThrow('ipset: add nowhere 10.0.0.1: ENOENT');
    const many = Array.from({ length: 3_000 }, (_, n) => add('a', n & 255));
    await expect(sets.write(many)).rejects.toThrow(/ipset: add a 10\.0\.0\.\d+: the set is full/);
    await expect(sets.write([{ verb: 'add', set: 'a', entry: 'x' }])).rejects.toThrow('"x" is no address');
    namespace.run('iptables-legacy', ['-A', 'INPUT', '-m', 'set', '--match-set', 'b', 'src']);
    await expect(sets.write([{ verb: 'destroy', set: 'b' }])).rejects.toThrow('the set is in use');
    await sets.write([{ verb: 'destroy', set: 'b' }], [IPSET_IN_USE]);
    const larger: IpsetChange = {
      verb: 'create',
      set: 'a',
      options: { type: 'hash:ip', family: 'IPv4', entriesMax: 9 },
    };
    await expect(sets.write([larger])).rejects.toThrow('EEXIST');
    await sets.write([larger], ['EEXIST']);
    await sets.write([{ verb: 'destroy', set: 'a' }]);
    expect(await sets.names()).toEqual(['b']);
  });
});

/** The entries of the set, as the program prints them. */
function held(namespace: NetworkNamespace): string[] {
  return namespace
    .run('ipset', ['save'])
    .split('\n')
    .flatMap((line) => /^add s (\S+)/.exec(line)?.[1] ?? []);
}

test('addresses are bound to a device and taken away, and what is so already is no fault', async () => {
  using namespace = new NetworkNamespace();
  namespace.ip(['link add w0 type veth peer name w1']);
  using _inside = namespace.enter();
  using links = new Links(openNetlink(NETLINK.ROUTE));
  const index = (await links.index('w0')) ?? 0;
  expect(await links.index('nowhere')).toBeUndefined();
  await links.setUp(index);
  const four = Array.from({ length: 3_000 }, (_, n) => `10.7.${n >> 8}.${n & 255}`);
  for (let i = 0; i < 2; i++) await links.bind(index, [...four, 'fd07::1', 'fd07::2']);
  expect(await links.addresses(index, 'IPv4')).toEqual(new Set(four));
  expect(await links.addresses(index, 'IPv6')).toEqual(new Set(['fd07::1', 'fd07::2']));
  expect(namespace.run('ip', ['-o', 'addr', 'show', 'dev', 'w0'])).toMatch(
    /inet6 fd07::1\/128 scope global nodad/,
  );
  for (let i = 0; i < 2; i++) await links.unbind(index, [...four.slice(1), 'fd07::1']);
  expect(await links.addresses(index, 'IPv4')).toEqual(new Set(['10.7.0.0']));
  expect(await links.addresses(index, 'IPv6')).toEqual(new Set(['fd07::2']));
  await links.remove(index);
  await links.remove(index);
  expect(await links.index('w0')).toBeUndefined();
  await expect(links.bind(index, ['10.7.0.1'])).rejects.toThrow(/^address 10\.7\.0\.1: ENODEV/);
  await expect(links.addDummy('lo')).resolves.toBeUndefined();
});
