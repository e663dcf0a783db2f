import { describe, expect, test } from 'vitest';
import { ConntrackProgram, type UdpFlows } from '../../src/net/conntrack.ts';
import { exec } from '../../src/net/exec.ts';
import { NETLINK, openNetlink } from '../../src/net/netlink/socket.ts';
import { NetlinkUdpFlows } from '../../src/net/netlink/udp-flows.ts';
import { cannotSendPackets } from '../netns/can-send-packets.ts';
import { NetworkNamespace } from '../support/network-namespace.ts';

interface Insert {
  readonly source: string;
  readonly destination: string;
  readonly protocol?: 'tcp';
  readonly port: number;
  readonly endpoint: string;
}

function insert(
  namespace: NetworkNamespace,
  { source, destination, port, endpoint, protocol }: Insert,
): void {
  const original = ['-s', source, '-d', destination, '--sport', '4000', '--dport', String(port)];
  const reply = ['-r', endpoint, '-q', source, '--reply-port-src', '1053', '--reply-port-dst', '4000'];
  const state = protocol === 'tcp' ? ['--state', 'ESTABLISHED'] : [];
  const how = ['-I', '-p', protocol ?? 'udp', '--timeout', '600', ...state];
  namespace.run('conntrack', [...how, ...original, ...reply]);
}

const flow = (source: string, destination: string, destinationPort: number, replySource: string) => ({
  source,
  sourcePort: 4000,
  destination,
  destinationPort,
  replySource,
  replySourcePort: 1053,
});
const FIRST = flow('10.0.0.1', '10.96.0.10', 53, '10.244.1.7');
const OTHER_PORT = flow('10.0.0.1', '10.96.0.10', 5353, '10.244.1.8');
const SIX = flow('fd00::1', 'fd00:96::a', 53, 'fd00:244::7');

const ways: Readonly<Record<string, () => UdpFlows>> = {
  'the program conntrack': () => new ConntrackProgram({ exec }),
  netlink: () => new NetlinkUdpFlows(openNetlink(NETLINK.NETFILTER)),
};

describe.each(Object.keys(ways))('UDP flows by way of %s', (way) => {
  test('are listed by family, and forgotten one by one', async (context) => {
    const reason = cannotSendPackets('conntrack');
    if (reason !== undefined) context.skip(reason);
    using namespace = new NetworkNamespace();
    using _inside = namespace.enter();
    for (const { source, destination, destinationPort, replySource } of [FIRST, OTHER_PORT, SIX])
      insert(namespace, { source, destination, port: destinationPort, endpoint: replySource });
    insert(namespace, {
      source: '10.0.0.1',
      destination: '10.96.0.10',
      port: 53,
      endpoint: '10.244.1.7',
      protocol: 'tcp',
    });
    using flows = ways[way]!();
    const { signal } = new AbortController();
    const list = async (family: 'IPv4' | 'IPv6', ...ports: readonly number[]) =>
      (await flows.list(family, new Set(ports), signal)).toSorted(
        (a, b) => a.destinationPort - b.destinationPort,
      );
    expect(await list('IPv6', 53)).toEqual([SIX]);
    expect(await list('IPv4', 53, 5353)).toEqual([FIRST, OTHER_PORT]);
    expect(await list('IPv4', 53, 5353, 1, 2, 3, 4)).toEqual([FIRST, OTHER_PORT]);
    if (way === 'netlink') expect(await list('IPv4', 53)).toEqual([FIRST]);
    // one of them is not there (any more): the other goes all the same
    await flows.forget('IPv4', [{ ...FIRST, sourcePort: 9 }, FIRST], signal);
    await flows.forget('IPv6', [SIX], signal);
    expect(await list('IPv4', 53, 5353)).toEqual([OTHER_PORT]);
    expect(await list('IPv6', 53)).toEqual([]);
    expect(namespace.run('conntrack', ['-L', '-p', 'tcp'])).toContain('10.96.0.10');
  });
});

test('thousands of flows come in many answers', async (context) => {
  const reason = cannotSendPackets('conntrack');
  if (reason !== undefined) context.skip(reason);
  using namespace = new NetworkNamespace();
  using _inside = namespace.enter();
  const line = (i: number): string =>
    `-I -p udp --timeout 600 -s 10.0.${i >> 8}.${i & 255} -d 10.96.0.10 --sport 4000 --dport 53 -r 10.244.1.7 ` +
    `-q 10.0.${i >> 8}.${i & 255} --reply-port-src 1053 --reply-port-dst 4000`;
  const count = 3_000;
  const lines = Array.from({ length: count }, (_, i) => `${line(i)}\n`).join('');
  // it opens its standard input anew, which a socket does not allow
  namespace.run('sh', ['-c', 'cat | conntrack -R -'], lines);
  using flows = ways['netlink']!();
  const { signal } = new AbortController();
  const found = await flows.list('IPv4', new Set([53]), signal);
  expect(new Set(found.map(({ source }) => source)).size).toBe(count);
  await flows.forget('IPv4', found, signal);
  expect(await flows.list('IPv4', new Set([53]), signal)).toEqual([]);
});
