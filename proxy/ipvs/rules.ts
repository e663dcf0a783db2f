import type { NodeSettings } from '../../endpoints/node-view.ts';
import type { IptablesTable, Match, Rule } from '../../src/net/iptables-rule.ts';
import type { EntryJump } from '../kernel/own-chains.ts';
import { podMatch } from '../iptables/pod-match.ts';
import { IPVS_CHAINS, setName, type SetKind } from './names.ts';

const jump = (chain: string): Rule['target'] => ({ kind: 'jump', chain });
const RETURN: Rule['target'] = { kind: 'return' };
const FROM_HERE: Match = { kind: 'address-type', side: 'source' };
const NEW: Match = { kind: 'connection-state', states: ['NEW'] };

type Sides = readonly ('src' | 'dst')[];
const TO: Sides = ['dst', 'dst'];
const FROM_TO: Sides = ['dst', 'dst', 'src'];

export interface IpvsRuleOptions {
  readonly node: NodeSettings;
  readonly masqueradeMark: number;
}

/** Top of each list stands first in its chain. */
export function ipvsJumps(): readonly EntryJump[] {
  const entry = (table: IptablesTable, chain: string, target: string, comment: string): EntryJump => ({
    table,
    chain,
    rule: { comment, matches: [], target: jump(target) },
  });
  const { services, postrouting, forward, firewall, filter, outFilter, nodePort } = IPVS_CHAINS;
  return [
    entry('nat', 'OUTPUT', services, 'kubernetes service portals'),
    entry('nat', 'PREROUTING', services, 'kubernetes service portals'),
    entry('nat', 'POSTROUTING', postrouting, 'kubernetes postrouting rules'),
    entry('filter', 'INPUT', firewall, 'kubernetes load balancer firewall'),
    entry('filter', 'INPUT', nodePort, 'kubernetes health check rules'),
    entry('filter', 'INPUT', filter, 'kubernetes ipvs access filter'),
    entry('filter', 'FORWARD', firewall, 'kubernetes load balancer firewall'),
    entry('filter', 'FORWARD', forward, 'kubernetes forwarding rules'),
    // IPVS takes packets of this host before they come to filter OUTPUT
    entry('mangle', 'OUTPUT', outFilter, 'kubernetes load balancer firewall for this host'),
  ];
}

/** The constant part of the mode: all that differs between services is in sets. */
export function ipvsTables(
  options: IpvsRuleOptions,
): Readonly<Record<'mangle' | 'nat' | 'filter', ReadonlyMap<string, readonly Rule[]>>> {
  const set = setMatcher(options.node);
  return {
    mangle: new Map([[IPVS_CHAINS.outFilter, rangeRules(set)]]),
    nat: natChains(options, set),
    filter: filterChains(options, set),
  };
}

type SetMatcher = (kind: SetKind, sides: Sides) => Match;

function setMatcher({ family }: NodeSettings): SetMatcher {
  return (kind, sides) => ({ kind: 'set', name: setName(kind, family), sides });
}

function natChains(options: IpvsRuleOptions, set: SetMatcher): Map<string, readonly Rule[]> {
  const { services, loadBalancer, nodePort, markMasq, postrouting } = IPVS_CHAINS;
  const bits = options.masqueradeMark;
  const mark = jump(markMasq);
  return new Map<string, readonly Rule[]>([
    [services, serviceRules(options.node, set)],
    [
      loadBalancer,
      [
        { matches: [set('LOAD-BALANCER-LOCAL', TO), FROM_HERE], target: mark },
        { matches: [set('LOAD-BALANCER-LOCAL', TO)], target: RETURN },
        { matches: [], target: mark },
      ],
    ],
    [nodePort, nodePortRules(set)],
    [markMasq, [{ matches: [], target: { kind: 'mark-or', bits } }]],
    [
      postrouting,
      [
        {
          comment: 'Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose',
          matches: [set('LOOP-BACK', FROM_TO)],
          target: { kind: 'masquerade', randomFully: true },
        },
        { matches: [{ kind: 'mark', value: bits, mask: bits, negate: true }], target: RETURN },
        { matches: [], target: { kind: 'mark-xor', bits } },
        {
          comment: 'kubernetes service traffic requiring SNAT',
          matches: [],
          target: { kind: 'masquerade', randomFully: true },
        },
      ],
    ],
  ]);
}

function serviceRules(node: NodeSettings, set: SetMatcher): Rule[] {
  const { loadBalancer, nodePort, markMasq } = IPVS_CHAINS;
  const mark = jump(markMasq);
  const loopback = node.family === 'IPv6' ? '::1/128' : '127.0.0.0/8';
  return [
    { matches: [{ kind: 'source', cidr: loopback }], target: RETURN },
    {
      comment: 'Kubernetes service lb portal',
      matches: [set('LOAD-BALANCER', TO)],
      target: jump(loadBalancer),
    },
    {
      comment: 'Kubernetes service cluster ip + port for masquerade purpose',
      matches: clusterMasquerade(node, set),
      target: mark,
    },
    {
      comment: 'Kubernetes service external ip + port for masquerade and filter purpose',
      matches: [set('EXTERNAL-IP', TO)],
      target: mark,
    },
    { matches: [set('EXTERNAL-IP-LOCAL', TO), FROM_HERE], target: mark },
    // a service's own address and port is no node port, though the address is this node's
    ...(['CLUSTER-IP', 'LOAD-BALANCER', 'EXTERNAL-IP', 'EXTERNAL-IP-LOCAL'] as const).map((kind) => ({
      matches: [set(kind, TO)],
      target: { kind: 'accept' } as const,
    })),
    { matches: [{ kind: 'address-type', side: 'destination' }], target: jump(nodePort) },
  ];
}

/** Who is not a pod is masqueraded; where pods cannot be told, only this host (its source is the address itself). */
function clusterMasquerade(node: NodeSettings, set: SetMatcher): Match[] {
  const notPod = podMatch(node, true);
  if (node.masqueradeAll) return [set('CLUSTER-IP', TO)];
  return notPod ? [set('CLUSTER-IP', TO), notPod] : [set('CLUSTER-IP', ['src', 'dst'])];
}

function nodePortRules(set: SetMatcher): Rule[] {
  const mark = jump(IPVS_CHAINS.markMasq);
  const sides = [
    ['tcp', 'NODE-PORT-LOCAL-TCP', 'NODE-PORT-TCP', ['dst']],
    ['udp', 'NODE-PORT-LOCAL-UDP', 'NODE-PORT-UDP', ['dst']],
    ['sctp', 'NODE-PORT-LOCAL-SCTP-HASH', 'NODE-PORT-SCTP-HASH', TO],
  ] as const;
  return sides.flatMap(([protocol, local, any, key]): Rule[] => {
    const is: Match = { kind: 'protocol', protocol };
    return [
      { matches: [is, set(local, key), FROM_HERE], target: mark },
      { matches: [is, set(local, key)], target: RETURN },
      { matches: [is, set(any, key)], target: mark },
    ];
  });
}

/** Sources that may use a fenced load balancer address return; others are dropped. */
function rangeRules(set: SetMatcher): Rule[] {
  const fenced = set('LOAD-BALANCER-FW', TO);
  return [
    { matches: [{ ...fenced, negate: true } as Match], target: RETURN },
    { matches: [set('LOAD-BALANCER-SOURCE-CIDR', FROM_TO)], target: RETURN },
    { matches: [set('LOAD-BALANCER-SOURCE-IP', FROM_TO)], target: RETURN },
    { matches: [NEW], target: { kind: 'drop' } },
  ];
}

function filterChains(options: IpvsRuleOptions, set: SetMatcher): Map<string, readonly Rule[]> {
  const { firewall, sourceRanges, forward, nodePort, filter } = IPVS_CHAINS;
  const bits = options.masqueradeMark;
  return new Map<string, readonly Rule[]>([
    [firewall, [{ matches: [set('LOAD-BALANCER-FW', TO)], target: jump(sourceRanges) }]],
    [sourceRanges, rangeRules(set)],
    [
      forward,
      [
        { matches: [{ kind: 'mark', value: bits, mask: bits }], target: { kind: 'accept' } },
        {
          matches: [{ kind: 'connection-state', states: ['RELATED', 'ESTABLISHED'] }],
          target: { kind: 'accept' },
        },
      ],
    ],
    [nodePort, [{ matches: [set('HEALTH-CHECK-NODE-PORT', ['dst'])], target: { kind: 'accept' } }]],
    [
      filter,
      [
        ...(['LOAD-BALANCER', 'CLUSTER-IP', 'EXTERNAL-IP', 'EXTERNAL-IP-LOCAL'] as const).map((kind) => ({
          matches: [set(kind, TO)],
          target: RETURN,
        })),
        { matches: [set('HEALTH-CHECK-NODE-PORT', ['dst'])], target: RETURN },
        // the address is bound here, yet nothing of this host listens for others on it
        { matches: [NEW, set('IPVS-IPS', ['dst'])], target: { kind: 'reject' } },
      ],
    ],
  ]);
}
