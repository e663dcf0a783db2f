import type { NodeSettings } from '../../endpoints/node-view.ts';
import { cidrContains, hostCidr, parseCidr } from '../../src/net/cidr.ts';
import type { Match, Rule } from '../../src/net/iptables-rule.ts';
import type { EntryJump } from '../kernel/own-chains.ts';
import { KUBE } from './chain-names.ts';
import { COUNTER } from './packet-counts.ts';

export interface BaseOptions {
  /** The mark that asks for masquerading, one bit. */
  readonly masqueradeMark: number;
  /** Drop packets that conntrack calls invalid; off where nf_conntrack_tcp_be_liberal is on. */
  readonly dropInvalid: boolean;
  readonly randomFully: boolean;
  /** Rules add to the counters of packet-counts.ts. */
  readonly counted?: boolean;
}

const NEW: Match = { kind: 'connection-state', states: ['NEW'] };

/** In the order in which they must stand at the top of each chain, last one first to insert. */
export function entryJumps(): readonly EntryJump[] {
  const entry = (
    table: 'filter' | 'nat',
    chain: string,
    target: string,
    comment: string,
    ...matches: Match[]
  ): EntryJump => ({
    table,
    chain,
    rule: { comment, matches, target: { kind: 'jump', chain: target } },
  });
  const firewall = 'kubernetes load balancer firewall';
  const portals = 'kubernetes service portals';
  const external = 'kubernetes externally-visible service portals';
  return [
    entry('filter', 'INPUT', KUBE.proxyFirewall, firewall, NEW),
    entry('filter', 'INPUT', KUBE.nodePorts, 'kubernetes health check service ports'),
    entry('filter', 'INPUT', KUBE.externalServices, external, NEW),
    entry('filter', 'INPUT', KUBE.firewall, 'kubernetes localnet protection'),
    entry('filter', 'FORWARD', KUBE.proxyFirewall, firewall, NEW),
    entry('filter', 'FORWARD', KUBE.forward, 'kubernetes forwarding rules'),
    entry('filter', 'FORWARD', KUBE.services, portals, NEW),
    entry('filter', 'FORWARD', KUBE.externalServices, external, NEW),
    entry('filter', 'OUTPUT', KUBE.proxyFirewall, firewall, NEW),
    entry('filter', 'OUTPUT', KUBE.services, portals, NEW),
    entry('filter', 'OUTPUT', KUBE.firewall, 'kubernetes localnet protection'),
    entry('nat', 'OUTPUT', KUBE.services, portals),
    entry('nat', 'PREROUTING', KUBE.services, portals),
    entry('nat', 'POSTROUTING', KUBE.postrouting, 'kubernetes postrouting rules'),
  ];
}

/** Rules that go when somebody flushes a table or our first chain: looking for them finds it out. */
export function sentinels(node: NodeSettings): readonly EntryJump[] {
  const jumps = entryJumps().filter(
    ({ table, chain }) =>
      (table === 'nat' && chain !== 'OUTPUT') || (table === 'filter' && chain === 'FORWARD'),
  );
  const last = nodePortEntries(node).at(-1);
  return last ? [...jumps, { table: 'nat', chain: KUBE.services, rule: last }] : jumps;
}

export function natBaseChains(options: BaseOptions): ReadonlyMap<string, readonly Rule[]> {
  const bits = options.masqueradeMark;
  return new Map<string, readonly Rule[]>([
    [KUBE.markMasq, [{ matches: [], target: { kind: 'mark-or', bits } }]],
    [
      KUBE.postrouting,
      [
        { matches: [{ kind: 'mark', value: bits, mask: bits, negate: true }], target: { kind: 'return' } },
        // cleared, so that a second pass through the stack does not masquerade again
        { matches: [], target: { kind: 'mark-xor', bits } },
        {
          comment: 'kubernetes service traffic requiring SNAT',
          matches: [],
          target: { kind: 'masquerade', randomFully: options.randomFully },
        },
      ],
    ],
  ]);
}

export function filterBaseChains(
  node: NodeSettings,
  options: BaseOptions,
): ReadonlyMap<string, readonly Rule[]> {
  const bits = options.masqueradeMark;
  const forward: Rule[] = [
    {
      comment: 'kubernetes forwarding rules',
      matches: [{ kind: 'mark', value: bits, mask: bits }],
      target: { kind: 'accept' },
    },
    {
      comment: 'kubernetes forwarding conntrack rule',
      matches: [{ kind: 'connection-state', states: ['RELATED', 'ESTABLISHED'] }],
      target: { kind: 'accept' },
    },
  ];
  if (options.dropInvalid) {
    forward.unshift({
      matches: [
        { kind: 'connection-state', states: ['INVALID'] },
        ...(options.counted ? [{ kind: 'nfacct', name: COUNTER.invalidDropped } as const] : []),
      ],
      target: { kind: 'drop' },
    });
  }
  return new Map([
    [KUBE.forward, forward],
    [KUBE.firewall, servesLocalhost(node) ? [localnetProtection()] : []],
  ]);
}

/** With route_localnet on, nobody from outside may reach what listens on loopback (CVE-2020-8558). */
function localnetProtection(): Rule {
  return {
    comment: 'block incoming localnet connections',
    matches: [
      { kind: 'source', cidr: '127.0.0.0/8', negate: true },
      { kind: 'destination', cidr: '127.0.0.0/8' },
      { kind: 'connection-state', states: ['RELATED', 'ESTABLISHED', 'DNAT'], negate: true },
    ],
    target: { kind: 'drop' },
  };
}

/** Node ports on 127.0.0.1 are asked for and the node port addresses include it. Needs route_localnet. */
export function servesLocalhost(node: NodeSettings): boolean {
  if (node.family === 'IPv6' || !node.localhostNodePorts) return false;
  const ranges = cidrsOf(node);
  return node.nodePortAddresses.length === 0 || ranges.some((cidr) => cidrContains(cidr, '127.0.0.1'));
}

/** The last rules of nat KUBE-SERVICES: what is for this host may be for a node port. */
export function nodePortEntries(node: NodeSettings): readonly Rule[] {
  const comment = 'kubernetes service nodeports; NOTE: this must be the last rule in this chain';
  const target = { kind: 'jump', chain: KUBE.nodePorts } as const;
  const local: Match = { kind: 'address-type', side: 'destination' };
  const everywhere = node.family === 'IPv6' ? '::/0' : '0.0.0.0/0';
  if (node.nodePortAddresses.length === 0 || node.nodePortAddresses.includes(everywhere)) {
    const loopback = node.family === 'IPv6' ? '::1/128' : '127.0.0.0/8';
    if (servesLocalhost(node)) return [{ comment, matches: [local], target }];
    return [{ comment, matches: [local, { kind: 'destination', cidr: loopback, negate: true }], target }];
  }
  return nodePortHosts(node).map((cidr) => ({ comment, matches: [{ kind: 'destination', cidr }], target }));
}

function nodePortHosts(node: NodeSettings): string[] {
  const ranges = cidrsOf(node);
  const primary = node.nodePortAddresses.includes('primary') ? node.primaryAddresses : [];
  const matching = node.addresses.filter((address) => ranges.some((cidr) => cidrContains(cidr, address)));
  const hosts = [...new Set([...primary, ...matching])].map(hostCidr);
  // of loopback the one address that the host has, as kube-proxy does
  return servesLocalhost(node) ? [...hosts, hostCidr('127.0.0.1')] : hosts;
}

function cidrsOf(node: NodeSettings): NonNullable<ReturnType<typeof parseCidr>>[] {
  return node.nodePortAddresses.map(parseCidr).filter((cidr) => cidr !== undefined);
}
