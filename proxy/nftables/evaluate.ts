import type { NodeSettings } from '../../endpoints/node-view.ts';
import { cidrContains, parseCidr } from '../../src/net/cidr.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { Packet, Verdict } from '../backend.ts';
import { FIELD } from './elements.ts';
import type { Action, Condition, Key, ProgramChain } from './program.ts';

/** The compiled rules of one family: the program, the chains made on demand, and all elements. */
export interface CompiledRules {
  readonly node: NodeSettings;
  readonly chains: ReadonlyMap<string, ProgramChain>;
  readonly elements: ReadonlyMap<string, string>;
}

interface State {
  readonly packet: Packet;
  group: string;
  marked: boolean;
  sticky: boolean;
  targets: string[];
}

type Ending = 'drop' | 'reject' | 'dnat' | undefined;

/**
 * Runs the program over the elements as the kernel would for the first packet of a connection, without a kernel:
 * prerouting (or output, for packets of this host), DNAT, then forward or input, then postrouting.
 */
export function evaluate(rules: CompiledRules, packet: Packet): Verdict {
  const state: State = { packet, group: '', marked: false, sticky: false, targets: [] };
  const own = isLocal(rules.node, packet.sourceAddress);
  const hook = own ? 'output' : 'prerouting';
  const path = [`filter-${hook}-pre-dnat`, `nat-${hook}`];
  const after = own
    ? ['filter-output']
    : [isLocal(rules.node, packet.destinationAddress) ? 'filter-input' : 'filter-forward'];
  for (const chain of path) {
    const ending = run(rules, state, chain);
    if (ending === 'dnat') return translated(rules, state);
    if (ending) return refused(ending);
  }
  for (const chain of after) {
    const ending = run(rules, state, chain);
    if (ending === 'drop' || ending === 'reject') return refused(ending);
  }
  return { verdict: 'pass', backends: [], masquerade: false, hairpin: [], affinity: null };
}

function refused(verdict: 'drop' | 'reject'): Verdict {
  return { verdict, backends: [], masquerade: false, hairpin: [], affinity: null };
}

function translated(rules: CompiledRules, state: State): Verdict {
  const split = state.targets.map((target) => target.split(' . ') as [string, string]);
  const backends = split.map(([address, port]) => joinHostPort(address, Number(port)));
  const source = state.packet.sourceAddress;
  const hairpin = split.filter(
    ([address]) =>
      address === source && rules.elements.has(`hairpin-connections${FIELD}${source} . ${address}`),
  );
  const masquerade = state.marked || hairpin.length === split.length;
  return {
    verdict: 'dnat',
    backends: backends.sort(),
    masquerade,
    hairpin: masquerade ? [] : hairpin.map(([address, port]) => joinHostPort(address, Number(port))).sort(),
    affinity: state.sticky ? 'ClientIP' : null,
  };
}

/** Runs a chain; undefined means the packet fell off its end. */
function run(rules: CompiledRules, state: State, name: string): Ending {
  const chain = rules.chains.get(name);
  if (!chain) throw new Error(`no chain ${name}`);
  for (const { when, action } of chain.rules) {
    if (!when.every((condition) => holds(rules, state, condition))) continue;
    const next = act(rules, state, action);
    if (next === 'return') return undefined;
    if (next !== undefined && next !== 'continue') return next;
  }
  return undefined;
}

function act(rules: CompiledRules, state: State, action: Action): Ending | 'return' | 'continue' {
  switch (action.kind) {
    case 'load-group':
      state.group = rules.elements.get(action.map + FIELD + keyOf(state, action.key)) ?? state.group;
      return 'continue';
    case 'verdict-map':
      return followVerdict(rules, state, rules.elements.get(action.map + FIELD + keyOf(state, action.key)));
    case 'goto':
      return run(rules, state, action.chain) ?? 'return';
    case 'jump':
      return run(rules, state, action.chain);
    case 'mark':
      state.marked = true;
      return 'continue';
    case 'dnat-random':
      for (let index = 0; index < action.endpoints; index++) {
        const target = rules.elements.get(`endpoints${FIELD}${state.group} . ${index}`);
        if (target !== undefined) state.targets.push(target);
      }
      return state.targets.length > 0 ? 'dnat' : 'continue';
    case 'dnat-sticky':
      state.sticky = true; // a new client is not remembered yet: goes on to the random choice
      return 'continue';
    case 'drop':
    case 'reject':
    case 'return':
      return action.kind;
    case 'remember':
    case 'clear-group':
    case 'unmark-masquerade':
    case 'masquerade':
      return 'continue'; // after the translation: `translated` answers for these
  }
}

function followVerdict(
  rules: CompiledRules,
  state: State,
  verdict: string | undefined,
): Ending | 'return' | 'continue' {
  if (verdict === undefined) return 'continue';
  if (verdict === 'drop') return 'drop';
  return run(rules, state, verdict.slice('goto '.length)) ?? 'return';
}

function holds(rules: CompiledRules, state: State, condition: Condition): boolean {
  const { packet } = state;
  switch (condition.kind) {
    case 'in-set':
      return setHolds(rules, state, condition.set, condition.key) !== (condition.negate === true);
    case 'source-local':
      return isLocal(rules.node, packet.sourceAddress);
    case 'pod':
      return isPod(rules.node, packet) !== (condition.negate === true);
    case 'new':
      return true;
    case 'translated':
      return state.targets.length > 0;
    case 'group-set':
      return state.group !== '';
    case 'service-cidr':
      return rules.node.serviceCIDRs.some((cidr) => inCidr(cidr, packet.destinationAddress));
    case 'marked':
      return state.marked;
  }
}

function setHolds(rules: CompiledRules, state: State, set: string, key: Key): boolean {
  const { packet } = state;
  if (set === 'nodeport-ips') {
    return [...rules.elements.keys()].some(
      (id) => id.startsWith('nodeport-ips|') && inCidr(id.slice(13), packet.destinationAddress),
    );
  }
  if (key !== 'destination-source') return rules.elements.has(set + FIELD + keyOf(state, key));
  const prefix = `${set}${FIELD}${keyOf(state, 'destination')} . `;
  return [...rules.elements.keys()].some(
    (id) => id.startsWith(prefix) && inCidr(id.slice(prefix.length), packet.sourceAddress),
  );
}

function keyOf(state: State, key: Key): string {
  const { packet, group } = state;
  const port = `${packet.protocol} . ${packet.destinationPort}`;
  const keys: Readonly<Record<Key, string>> = {
    destination: `${packet.destinationAddress} . ${port}`,
    'destination-source': `${packet.destinationAddress} . ${port} . ${packet.sourceAddress}`,
    'destination-address': packet.destinationAddress,
    port,
    'source-endpoint': `${packet.sourceAddress} . ${packet.destinationAddress}`,
    group,
  };
  return keys[key];
}

function isLocal(node: NodeSettings, address: string): boolean {
  return node.addresses.includes(address) || address === '::1' || address.startsWith('127.');
}

function isPod(node: NodeSettings, packet: Packet): boolean {
  const detect = node.detectLocal;
  switch (detect.mode) {
    case 'ClusterCIDR':
    case 'NodeCIDR':
      return detect.cidrs.some((cidr) => inCidr(cidr, packet.sourceAddress));
    case 'BridgeInterface':
      return packet.inputInterface === detect.bridge;
    case 'InterfaceNamePrefix':
      return packet.inputInterface?.startsWith(detect.prefix) === true;
    case 'None':
      return false;
  }
}

/** A bare address counts as a CIDR of its own. */
function inCidr(text: string, address: string): boolean {
  const cidr = parseCidr(text);
  return cidr ? cidrContains(cidr, address) : text === address;
}
