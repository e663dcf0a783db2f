import type { NodeSettings } from '../../endpoints/node-view.ts';
import { cidrContains, parseCidr } from '../../src/net/cidr.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { IptablesTable, Match, Rule } from '../../src/net/iptables-rule.ts';
import type { Packet, Verdict } from '../backend.ts';
import type { EntryJump } from '../kernel/own-chains.ts';

/** All chains of one family by table, as the kernel would hold them. */
export interface CompiledTables {
  readonly node: NodeSettings;
  readonly tables: Readonly<Record<string, ReadonlyMap<string, readonly Rule[]>>>;
  readonly jumps: readonly EntryJump[];
  /** Whether an ipset holds what these sides of the packet make; absent where the mode has no sets. */
  readonly inSet?: (name: string, sides: readonly ('src' | 'dst')[], packet: Packet) => boolean;
  readonly isLocal: (address: string) => boolean;
}

interface Walk {
  readonly rules: CompiledTables;
  readonly packet: Packet;
  sticky: boolean;
}

/** One way a packet can go through a chain: random choices make several. */
interface Outcome {
  readonly end:
    | 'fall'
    | 'return'
    | 'accept'
    | 'drop'
    | 'reject'
    | { readonly address: string; readonly port: number };
  readonly marked: boolean;
}

/**
 * Walks the chains as the kernel would for the first packet of a connection, taking every branch of the random
 * choices. A client is new: `recent` lists do not know it.
 */
export function evaluate(rules: CompiledTables, packet: Packet): Verdict {
  const own = rules.isLocal(packet.sourceAddress);
  const walk: Walk = { rules, packet, sticky: false };
  const outcomes = enter(walk, 'nat', own ? 'OUTPUT' : 'PREROUTING', false);
  const translated = outcomes.filter((outcome) => typeof outcome.end === 'object');
  if (translated.length > 0) return answer(walk, translated);
  for (const hook of filterHooks(own, rules.isLocal(packet.destinationAddress))) {
    for (const { end } of enter(walk, 'filter', hook, false)) {
      if (end === 'drop' || end === 'reject')
        return { verdict: end, backends: [], masquerade: false, hairpin: [], affinity: null };
    }
  }
  return { verdict: 'pass', backends: [], masquerade: false, hairpin: [], affinity: null };
}

/** What the host sends to itself leaves and arrives. */
function filterHooks(fromHost: boolean, toHost: boolean): readonly string[] {
  if (fromHost) return toHost ? ['OUTPUT', 'INPUT'] : ['OUTPUT'];
  return [toHost ? 'INPUT' : 'FORWARD'];
}

/** How a packet leaves one of the kernel's chains; for modes whose rules make no random choice. */
export function passThrough(
  rules: CompiledTables,
  packet: Packet,
  table: IptablesTable,
  hook: string,
): { readonly end: 'go' | 'drop' | 'reject'; readonly marked: boolean } {
  const [outcome] = enter({ rules, packet, sticky: false }, table, hook, false);
  const refused = outcome?.end === 'drop' || outcome?.end === 'reject' ? outcome.end : 'go';
  return { end: refused, marked: outcome?.marked ?? false };
}

function answer(walk: Walk, outcomes: readonly Outcome[]): Verdict {
  const masked = new Map<string, boolean>();
  for (const { end, marked } of outcomes) {
    const { address, port } = end as { address: string; port: number };
    masked.set(joinHostPort(address, port), marked);
  }
  const backends = [...masked.keys()].sort();
  const masquerade = backends.every((backend) => masked.get(backend));
  const hairpin = masquerade ? [] : backends.filter((backend) => masked.get(backend));
  return { verdict: 'dnat', backends, masquerade, hairpin, affinity: walk.sticky ? 'ClientIP' : null };
}

/** Our jumps from one of the kernel's chains, in order. */
function enter(walk: Walk, table: IptablesTable, hook: string, marked: boolean): readonly Outcome[] {
  const jumps = walk.rules.jumps.filter((entry) => entry.table === table && entry.chain === hook);
  return through(
    walk,
    table,
    jumps.map((entry) => entry.rule),
    marked,
  );
}

function through(
  walk: Walk,
  table: IptablesTable,
  rules: readonly Rule[],
  marked: boolean,
): readonly Outcome[] {
  const done: Outcome[] = [];
  let live = [marked];
  for (const rule of rules) {
    const next: boolean[] = [];
    for (const mark of live) {
      const chance = matches(walk, rule, mark);
      if (chance !== 'always') next.push(mark);
      if (chance === 'never') continue;
      for (const outcome of apply(walk, table, rule, mark)) {
        if (outcome.end === 'fall') next.push(outcome.marked);
        else done.push(outcome);
      }
    }
    live = [...new Set(next)];
    if (live.length === 0) return done;
  }
  return [...done, ...live.map((mark): Outcome => ({ end: 'fall', marked: mark }))];
}

function apply(walk: Walk, table: IptablesTable, rule: Rule, marked: boolean): readonly Outcome[] {
  const { target } = rule;
  switch (target.kind) {
    case 'jump': {
      const chain = walk.rules.tables[table]?.get(target.chain);
      if (!chain) throw new Error(`no chain ${target.chain} in ${table}`);
      return returning(through(walk, table, chain, marked));
    }
    case 'dnat':
      return [{ end: { address: target.address, port: target.port }, marked }];
    case 'accept':
    case 'drop':
    case 'reject':
      return [{ end: target.kind, marked }];
    case 'mark-or':
      return [{ end: 'fall', marked: true }];
    case 'mark-xor':
      return [{ end: 'fall', marked: false }];
    case 'return':
      return [{ end: 'return', marked }];
    case 'notrack':
    case 'redirect':
    case 'masquerade':
    case 'set-add':
    case 'none':
      return [{ end: 'fall', marked }];
  }
}

/** What falls off a called chain goes on after the call. */
function returning(outcomes: readonly Outcome[]): readonly Outcome[] {
  return outcomes.map((outcome) => (outcome.end === 'return' ? { ...outcome, end: 'fall' } : outcome));
}

function matches(walk: Walk, rule: Rule, marked: boolean): 'always' | 'never' | 'sometimes' {
  let chance: 'always' | 'sometimes' = 'always';
  for (const match of rule.matches) {
    const holds = matchHolds(walk, match, marked);
    if (holds === false) return 'never';
    if (holds === 'sometimes') chance = 'sometimes';
  }
  return chance;
}

function matchHolds(walk: Walk, match: Match, marked: boolean): boolean | 'sometimes' {
  const { packet, rules } = walk;
  const not = 'negate' in match && match.negate === true;
  switch (match.kind) {
    case 'protocol':
      return match.protocol === packet.protocol;
    case 'source':
      return inCidr(match.cidr, packet.sourceAddress) !== not;
    case 'destination':
      return inCidr(match.cidr, packet.destinationAddress) !== not;
    case 'destination-port':
      return match.port === packet.destinationPort;
    case 'in-interface':
      return interfaceMatches(match.name, packet.inputInterface) !== not;
    case 'mark':
      return marked !== not;
    case 'address-type':
      return (
        rules.isLocal(match.side === 'source' ? packet.sourceAddress : packet.destinationAddress) !== not
      );
    case 'connection-state':
      return match.states.includes('NEW') !== not;
    case 'statistic':
      return 'sometimes';
    case 'recent-check':
      walk.sticky = true;
      return false;
    case 'recent-set':
      return true;
    case 'set':
      if (!rules.inSet) throw new Error('sets are not part of this backend');
      return rules.inSet(match.name, match.sides, packet) !== not;
    case 'physical-in':
    case 'ipvs':
    case 'nfacct':
      throw new Error(`${match.kind} is not part of this backend`);
  }
}

function interfaceMatches(pattern: string, name: string | undefined): boolean {
  if (name === undefined) return false;
  return pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

export function isNodeAddress(node: NodeSettings, address: string): boolean {
  return node.addresses.includes(address) || address === '::1' || address.startsWith('127.');
}

function inCidr(text: string, address: string): boolean {
  const cidr = parseCidr(text);
  return cidr !== undefined && cidrContains(cidr, address);
}
