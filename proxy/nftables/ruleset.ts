import type {
  EndpointAddressPort,
  NodeSettings,
  NodeView,
  ServicePortView,
} from '../../endpoints/node-view.ts';
import {
  assignSlots,
  compileElements,
  type Elements,
  endpointValue,
  FIELD,
  type Groups,
} from './elements.ts';
import { detectsPods } from '../packet/source.ts';
import { countChain, type ProgramChain, programChains, stickyChain, timeoutChain } from './program.ts';

/** Ids fit a positive 32-bit number. */
const GROUP_ID_MAX = 0x7fffffff;
/**
 * Groups up to this size keep their endpoints in order of address, the same after a restart; larger ones keep
 * each endpoint in its place, so that one more or less of thousands does not rewrite them all.
 */
const ORDERED_ENDPOINTS_MAX = 256;

/** Endpoint counts that every table has chains for; a service with more makes it twice as many, and so on. */
const CHAINS_LEAST = 32;

/** What one service port has in the tables. */
interface Compiled {
  readonly elements: Elements;
  readonly groups: Groups;
  readonly cluster: readonly string[];
  readonly local: readonly string[];
  readonly sticky: boolean;
}

/** Elements to remove and to add, chains to create first, sticky endpoints that left. */
export interface RulesetDelta {
  readonly removed: ReadonlyMap<string, string>;
  readonly added: ReadonlyMap<string, string>;
  readonly newChains: readonly ProgramChain[];
  /** A service has more endpoints than the table has chains for: it must be written anew. */
  readonly outgrown: boolean;
  /** Endpoint values (`address . port`) by group id that clients may still be remembered for. */
  readonly departed: ReadonlyMap<number, ReadonlySet<string>>;
}

/**
 * The compiled rules of one family, kept as the shadow of what the kernel holds. `change` compiles the ports that
 * changed and gives the difference; `forget` undoes nothing: after a failed transaction start a new Ruleset.
 * Elements that several ports share (a cluster IP, a hairpin pair) are counted; for a key that two services
 * claim, the first one holds it until it goes.
 */
export class Ruleset {
  readonly chains = new Map<string, ProgramChain>();
  readonly elements = new Map<string, string>();
  readonly #ports = new Map<string, Compiled>();
  readonly #claims = new Map<string, string[]>();
  readonly #groupOwners = new Map<number, string>();
  #hash = 0n;

  /** @param view the services the table will hold: their endpoints say how many chains it gets */
  constructor({ node, ports }: NodeView) {
    const options = { masqueradeAll: node.masqueradeAll, detectsPods: detectsPods(node) };
    for (const chain of programChains(options)) this.chains.set(chain.name, chain);
    for (const chain of endpointChains(ports.values())) this.chains.set(chain.name, chain);
    for (const address of nodePortAddresses(node)) this.#addElement(`nodeport-ips${FIELD}${address}`, '');
  }

  /** Order-free digest of all elements: equal content has an equal digest, whatever its history. */
  get digest(): string {
    return this.#hash.toString(16).padStart(16, '0');
  }

  /** The elements of service ports, by the port's key. */
  *elementsByPort(): Generator<readonly [string, Elements]> {
    for (const [key, { elements }] of this.#ports) yield [key, elements];
  }

  /** Compiles the named ports of the view; a port that is not there any more is removed. */
  change(view: NodeView, keys: Iterable<string>): RulesetDelta {
    const before = new Map<string, string | undefined>();
    const newChains: ProgramChain[] = [];
    const departed = new Map<number, Set<string>>();
    let outgrown = false;
    for (const key of keys) {
      const previous = this.#ports.get(key);
      const port = view.ports.get(key);
      const next = port && this.#compile(view.node, port, previous);
      if (next) this.#ports.set(key, next);
      else this.#ports.delete(key);
      if (!next) this.#releaseGroups(previous);
      this.#swap(previous?.elements, next?.elements, before);
      if (previous?.sticky) noteDeparted(previous, next, departed);
      if (!port || !next) continue;
      outgrown ||= !this.#hasChainsFor(next);
      newChains.push(...this.#newTimeouts(port));
    }
    return { ...this.#difference(before), newChains, outgrown, departed };
  }

  #compile(node: NodeSettings, port: ServicePortView, previous: Compiled | undefined): Compiled {
    const cluster = place(previous?.cluster ?? [], port.clusterEndpoints);
    const usesLocal = port.internalLocal || port.externalLocal;
    const local = usesLocal ? place(previous?.local ?? [], port.localEndpoints) : [];
    const groups = {
      cluster: cluster.length === 0 ? 0 : this.#groupId(`${port.key}|cluster`),
      local: local.length === 0 ? 0 : this.#groupId(`${port.key}|local`),
    };
    const elements = compileElements(port, groups, { cluster, local }, node);
    return { elements, groups, cluster, local, sticky: port.affinitySeconds > 0 };
  }

  /**
   * The id of a group comes from its name, so that a restart compiles what the kernel already holds. Two names
   * with one hash share by trying the next number.
   */
  #groupId(name: string): number {
    let id = hash32(name) & GROUP_ID_MAX;
    while (id === 0 || (this.#groupOwners.get(id) ?? name) !== name) id = (id + 1) & GROUP_ID_MAX;
    this.#groupOwners.set(id, name);
    return id;
  }

  #releaseGroups(previous: Compiled | undefined): void {
    this.#groupOwners.delete(previous?.groups.cluster ?? 0);
    this.#groupOwners.delete(previous?.groups.local ?? 0);
  }

  #hasChainsFor({ cluster, local, sticky }: Compiled): boolean {
    const endpoints = Math.max(cluster.length, local.length);
    return endpoints === 0 || this.chains.has((sticky ? stickyChain : countChain)(endpoints).name);
  }

  #newTimeouts({ affinitySeconds }: ServicePortView): ProgramChain[] {
    const chain = timeoutChain(affinitySeconds);
    if (affinitySeconds === 0 || this.chains.has(chain.name)) return [];
    this.chains.set(chain.name, chain);
    return [chain];
  }

  #swap(
    previous: Elements | undefined,
    next: Elements | undefined,
    before: Map<string, string | undefined>,
  ): void {
    for (const [id, value] of previous ?? []) {
      if (next?.get(id) !== value) this.#release(id, value, before);
    }
    for (const [id, value] of next ?? []) {
      if (previous?.get(id) !== value) this.#claim(id, value, before);
    }
  }

  #claim(id: string, value: string, before: Map<string, string | undefined>): void {
    const claims = this.#claims.get(id);
    if (claims) {
      claims.push(value);
      return;
    }
    const held = this.elements.get(id);
    if (held !== undefined) {
      this.#claims.set(id, [held, value]);
      return;
    }
    remember(before, id, undefined);
    this.#addElement(id, value);
  }

  #release(id: string, value: string, before: Map<string, string | undefined>): void {
    const claims = this.#claims.get(id);
    if (claims) {
      claims.splice(claims.indexOf(value), 1);
      if (claims.length === 1) this.#claims.delete(id);
      if (claims.includes(this.elements.get(id)!)) return;
    }
    remember(before, id, this.elements.get(id));
    this.#removeElement(id);
    if (claims) this.#addElement(id, claims[0]!);
  }

  #difference(before: Map<string, string | undefined>): {
    removed: Map<string, string>;
    added: Map<string, string>;
  } {
    const removed = new Map<string, string>();
    const added = new Map<string, string>();
    for (const [id, old] of before) {
      const now = this.elements.get(id);
      if (now === old) continue;
      if (old !== undefined) removed.set(id, old);
      if (now !== undefined) added.set(id, now);
    }
    return { removed, added };
  }

  #addElement(id: string, value: string): void {
    this.elements.set(id, value);
    this.#hash ^= digestOf(id, value);
  }

  #removeElement(id: string): void {
    this.#hash ^= digestOf(id, this.elements.get(id)!);
    this.elements.delete(id);
  }
}

/**
 * Chains that send to one of K endpoints, for every K that may come soon: nft cannot add a rule that translates by a
 * map to a table it finds in the kernel (1.0.6 says `conflicting protocols`), only to one it makes itself.
 */
function endpointChains(ports: Iterable<ServicePortView>): ProgramChain[] {
  let most = CHAINS_LEAST;
  let mostSticky = CHAINS_LEAST;
  for (const { clusterEndpoints, localEndpoints, affinitySeconds } of ports) {
    most = Math.max(most, clusterEndpoints.length, localEndpoints.length);
    if (affinitySeconds > 0)
      mostSticky = Math.max(mostSticky, clusterEndpoints.length, localEndpoints.length);
  }
  const upTo = (endpoints: number): number[] =>
    Array.from({ length: 2 ** Math.ceil(Math.log2(endpoints)) }, (_, index) => index + 1);
  return [...upTo(most).map(countChain), ...upTo(mostSticky).map(stickyChain)];
}

function place(previous: readonly string[], endpoints: readonly EndpointAddressPort[]): readonly string[] {
  const wanted = endpoints.map(endpointValue);
  return wanted.length <= ORDERED_ENDPOINTS_MAX ? wanted : assignSlots(previous, wanted);
}

function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash ^ (hash >>> 15);
}

function remember(before: Map<string, string | undefined>, id: string, value: string | undefined): void {
  if (!before.has(id)) before.set(id, value);
}

function noteDeparted(
  previous: Compiled,
  next: Compiled | undefined,
  departed: Map<number, Set<string>>,
): void {
  for (const side of ['cluster', 'local'] as const) {
    const gone = previous[side].filter((value) => !next?.[side].includes(value));
    if (gone.length > 0) departed.set(previous.groups[side], new Set(gone));
  }
}

/** Node addresses that node ports answer on; in this mode only the primary ones unless said otherwise. */
function nodePortAddresses(node: NodeSettings): readonly string[] {
  const wanted = node.nodePortAddresses;
  if (wanted.length === 0 || wanted.includes('primary')) return node.primaryAddresses;
  const everywhere = node.family === 'IPv6' ? '::/0' : '0.0.0.0/0';
  if (wanted.includes(everywhere)) return node.addresses;
  // the kernel cannot translate from loopback to elsewhere in this mode: node ports on 127.0.0.1 are not offered
  return wanted.filter(
    (cidr) => cidr.includes(':') === (node.family === 'IPv6') && !/^(127\.|::1)/.test(cidr),
  );
}

/** 64 bits of FNV-1a over both strings. */
function digestOf(id: string, value: string): bigint {
  let low = 0x811c9dc5;
  let high = 0xcbf29ce4;
  for (const text of [id, '\u0000', value]) {
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ (code + 0x9e37), 0x01000193);
    }
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
