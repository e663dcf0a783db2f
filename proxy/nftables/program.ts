/**
 * The fixed part of the nftables backend as typed data: a handful of chains that never change with the number of
 * services. All that differs between services lives in maps and sets (elements.ts), so a packet costs a constant
 * number of look-ups and a change costs its own elements. `render.ts` prints this program for nft, `evaluate.ts`
 * runs it over the compiled elements.
 *
 * `meta priority` carries the id of the endpoint group from one statement to the next. Nobody else's mark is
 * touched for that: ip_forward writes the priority anew afterwards, and `after-dnat` clears it for local packets.
 */

/** What a look-up takes from the packet, in the order of the map's key. */
export type Key =
  | 'destination' // ip daddr . meta l4proto . th dport
  | 'destination-source' // ip daddr . meta l4proto . th dport . ip saddr
  | 'destination-address' // ip daddr
  | 'port' // meta l4proto . th dport
  | 'source-endpoint' // ip saddr . ip daddr
  | 'group'; // meta priority

export type Condition =
  | { readonly kind: 'in-set'; readonly key: Key; readonly set: string; readonly negate?: boolean }
  | { readonly kind: 'source-local' } // fib saddr type local
  | { readonly kind: 'pod'; readonly negate?: boolean } // by the node's detectLocal
  | { readonly kind: 'new' } // ct state new
  | { readonly kind: 'translated' } // ct status dnat
  | { readonly kind: 'group-set' } // meta priority != 0
  | { readonly kind: 'service-cidr' } // ip daddr in the service CIDRs
  | { readonly kind: 'marked' }; // the masquerade bit is set

export type Action =
  | { readonly kind: 'load-group'; readonly map: string; readonly key: Key }
  | { readonly kind: 'verdict-map'; readonly map: string; readonly key: Key }
  | { readonly kind: 'goto' | 'jump'; readonly chain: string }
  | { readonly kind: 'mark' } // or in the masquerade bit
  | { readonly kind: 'dnat-random'; readonly endpoints: number }
  | { readonly kind: 'dnat-sticky' }
  | { readonly kind: 'remember'; readonly timeoutSeconds: number }
  | { readonly kind: 'drop' | 'reject' | 'return' | 'clear-group' }
  | { readonly kind: 'unmark-masquerade' | 'masquerade' };

export interface ProgramRule {
  readonly when: readonly Condition[];
  readonly action: Action;
}

export interface ProgramChain {
  readonly name: string;
  /** Base chains only: type, hook and priority as nft writes them. */
  readonly hook?: string;
  readonly rules: readonly ProgramRule[];
}

const rule = (action: Action, ...when: Condition[]): ProgramRule => ({ when, action });
const goTo = (chain: string, ...when: Condition[]): ProgramRule => rule({ kind: 'goto', chain }, ...when);
const jump = (chain: string, ...when: Condition[]): ProgramRule => rule({ kind: 'jump', chain }, ...when);
const inSet = (key: Key, set: string): Condition => ({ kind: 'in-set', key, set });
const notInSet = (key: Key, set: string): Condition => ({ kind: 'in-set', key, set, negate: true });

export interface ProgramOptions {
  readonly masqueradeAll: boolean;
  /** False when pods cannot be told from others (detectLocal None). */
  readonly detectsPods: boolean;
}

/** The chains of a node. Endpoint-count and affinity chains are added on demand by `countChain` and friends. */
export function programChains(options: ProgramOptions): readonly ProgramChain[] {
  return [
    ...natChains(),
    { name: 'services', rules: [...clusterMasquerade(options), ...serviceRules()] },
    { name: 'local-services', rules: localEntry('destination', 'service', options) },
    { name: 'nodeports', rules: nodePortRules() },
    { name: 'local-nodeports', rules: localEntry('port', 'nodeport', options) },
    ...filterChains(),
    { name: 'reject-chain', rules: [rule({ kind: 'reject' })] },
  ];
}

function natChains(): ProgramChain[] {
  return [
    { name: 'nat-prerouting', hook: 'type nat hook prerouting priority dstnat', rules: [jump('services')] },
    { name: 'nat-output', hook: 'type nat hook output priority -100', rules: [jump('services')] },
    {
      name: 'nat-postrouting',
      hook: 'type nat hook postrouting priority srcnat',
      rules: [
        rule({ kind: 'unmark-masquerade' }, { kind: 'marked' }),
        rule({ kind: 'masquerade' }, { kind: 'translated' }, inSet('source-endpoint', 'hairpin-connections')),
      ],
    },
  ];
}

/** Traffic to a cluster IP from what is no pod of this cluster comes back to this node, so it is masqueraded. */
function clusterMasquerade(options: ProgramOptions): ProgramRule[] {
  const toClusterIP = inSet('destination-address', 'cluster-ips');
  if (options.masqueradeAll) return [rule({ kind: 'mark' }, toClusterIP)];
  return options.detectsPods ? [rule({ kind: 'mark' }, toClusterIP, { kind: 'pod', negate: true })] : [];
}

function serviceRules(): ProgramRule[] {
  return [
    goTo('local-services', inSet('destination', 'local-services')),
    rule({ kind: 'mark' }, inSet('destination', 'external-services')),
    rule({ kind: 'load-group', map: 'service-groups', key: 'destination' }),
    rule({ kind: 'verdict-map', map: 'service-verdicts', key: 'destination' }),
    goTo('nodeports', inSet('destination-address', 'nodeport-ips')),
  ];
}

function nodePortRules(): ProgramRule[] {
  return [
    goTo('local-nodeports', inSet('port', 'local-nodeports')),
    rule({ kind: 'mark' }, inSet('port', 'external-nodeports')),
    rule({ kind: 'load-group', map: 'nodeport-groups', key: 'port' }),
    rule({ kind: 'verdict-map', map: 'nodeport-verdicts', key: 'port' }),
  ];
}

/** externalTrafficPolicy Local: pods and the host itself see the whole service, outsiders the local endpoints. */
function localEntry(key: Key, kind: 'service' | 'nodeport', options: ProgramOptions): ProgramRule[] {
  const groups = `${kind}-groups`;
  const verdicts = `${kind}-verdicts`;
  const whole = (who: Condition): ProgramRule[] => [
    rule({ kind: 'load-group', map: groups, key }, who),
    rule({ kind: 'verdict-map', map: verdicts, key }, who),
  ];
  return [
    ...(options.detectsPods ? whole({ kind: 'pod' }) : []),
    rule({ kind: 'mark' }, { kind: 'source-local' }),
    ...whole({ kind: 'source-local' }),
    rule({ kind: 'load-group', map: `local-${groups}`, key }),
    rule({ kind: 'verdict-map', map: `local-${verdicts}`, key }),
  ];
}

function filterChains(): ProgramChain[] {
  const fresh: Condition = { kind: 'new' };
  const ranges = rule(
    { kind: 'drop' },
    inSet('destination', 'firewall-services'),
    notInSet('destination-source', 'firewall-sources'),
  );
  const refuse = [jump('service-endpoints-check', fresh), jump('cluster-ips-check', fresh)];
  return [
    {
      name: 'filter-prerouting-pre-dnat',
      hook: 'type filter hook prerouting priority -110',
      rules: [{ ...ranges, when: [fresh, ...ranges.when] }],
    },
    {
      name: 'filter-output-pre-dnat',
      hook: 'type filter hook output priority -110',
      rules: [{ ...ranges, when: [fresh, ...ranges.when] }],
    },
    {
      name: 'after-prerouting',
      hook: 'type filter hook prerouting priority -99',
      rules: [jump('after-dnat', { kind: 'group-set' }, fresh, { kind: 'translated' })],
    },
    {
      name: 'after-output',
      hook: 'type filter hook output priority -99',
      rules: [jump('after-dnat', { kind: 'group-set' }, fresh, { kind: 'translated' })],
    },
    {
      name: 'after-dnat',
      rules: [
        rule({ kind: 'verdict-map', map: 'affinity-timeouts', key: 'group' }),
        rule({ kind: 'clear-group' }),
      ],
    },
    {
      name: 'filter-input',
      hook: 'type filter hook input priority -110',
      rules: [jump('service-endpoints-check', fresh)],
    },
    { name: 'filter-forward', hook: 'type filter hook forward priority -110', rules: refuse },
    { name: 'filter-output', hook: 'type filter hook output priority -90', rules: refuse },
    {
      name: 'service-endpoints-check',
      rules: [
        rule({ kind: 'verdict-map', map: 'no-endpoint-services', key: 'destination' }),
        rule(
          { kind: 'verdict-map', map: 'no-endpoint-nodeports', key: 'port' },
          inSet('destination-address', 'nodeport-ips'),
        ),
      ],
    },
    {
      name: 'cluster-ips-check',
      rules: [
        rule({ kind: 'reject' }, inSet('destination-address', 'cluster-ips')),
        rule({ kind: 'drop' }, { kind: 'service-cidr' }),
      ],
    },
  ];
}

/** `s-K`: one of K endpoints at random. */
export function countChain(endpoints: number): ProgramChain {
  return { name: `s-${endpoints}`, rules: [rule({ kind: 'dnat-random', endpoints })] };
}

/** `a-K`: the endpoint this client had, else one of K. */
export function stickyChain(endpoints: number): ProgramChain {
  return { name: `a-${endpoints}`, rules: [rule({ kind: 'dnat-sticky' }), goTo(`s-${endpoints}`)] };
}

/** `t-S`: remembers for S seconds which endpoint the client got; every new connection starts the time again. */
export function timeoutChain(timeoutSeconds: number): ProgramChain {
  return {
    name: `t-${timeoutSeconds}`,
    rules: [rule({ kind: 'remember', timeoutSeconds }), rule({ kind: 'clear-group' })],
  };
}
