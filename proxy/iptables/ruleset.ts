import type { NodeSettings, NodeView, ServicePortView } from '../../endpoints/node-view.ts';
import type { Rule } from '../../src/net/iptables-rule.ts';
import {
  type BaseOptions,
  filterBaseChains,
  natBaseChains,
  servesLocalhost,
  nodePortEntries,
} from './base-rules.ts';
import { METRIC_PORTS_MAX } from '../limits.ts';
import { KUBE } from './chain-names.ts';
import { chainLines, declareChains } from '../kernel/own-chains.ts';
import { type AffinityStore, compilePort, type PortRules } from './port-rules.ts';

/** Above this many endpoints in the cluster, per-endpoint comments are left out (kube-proxy's large-cluster mode). */
const LARGE_CLUSTER_ENDPOINTS = 1000;

type Shared =
  | 'natServices'
  | 'natNodePorts'
  | 'filterServices'
  | 'filterExternalServices'
  | 'filterProxyFirewall'
  | 'filterNodePorts';

type Table = 'filter' | 'nat';

const NAT_SHARED: readonly Shared[] = ['natServices', 'natNodePorts'];
const FILTER_SHARED: readonly Shared[] = [
  'filterServices',
  'filterExternalServices',
  'filterProxyFirewall',
  'filterNodePorts',
];
const SHARED: readonly Shared[] = [...NAT_SHARED, ...FILTER_SHARED];

/** Text of one port, rendered once: a sync concatenates, it does not compile what did not change. */
interface Compiled {
  readonly port: ServicePortView;
  readonly shared: Readonly<Record<Shared, string>>;
  /** Text of each own chain, `-A ...` lines. */
  readonly chains: ReadonlyMap<string, string>;
  readonly endpointCount: number;
  readonly ruleCount: Readonly<Record<Table, number>>;
}

const SHARED_CHAIN: Readonly<Record<Shared, string>> = {
  natServices: KUBE.services,
  natNodePorts: KUBE.nodePorts,
  filterServices: KUBE.services,
  filterExternalServices: KUBE.externalServices,
  filterProxyFirewall: KUBE.proxyFirewall,
  filterNodePorts: KUBE.nodePorts,
};

/** The compiled rules of one family: kube-proxy's chains, kept per port so that a change costs that port. */
export class Ruleset {
  readonly #node: NodeSettings;
  readonly #base: BaseOptions;
  readonly #affinity: AffinityStore;
  readonly #ports = new Map<string, Compiled>();
  /** Chains that nothing jumps to any more and that the kernel still has. */
  readonly #stale = new Set<string>();
  #endpointCount = 0;
  readonly #ruleCount: Record<Table, number>;
  #large = false;

  constructor(node: NodeSettings, base: BaseOptions, affinity: AffinityStore = 'recent') {
    this.#node = node;
    this.#base = base;
    this.#affinity = affinity;
    this.#ruleCount = {
      filter: linesOf(renderChains(filterBaseChains(node, base))),
      nat: linesOf(renderChains(natBaseChains(base))) + nodePortEntries(node).length,
    };
  }

  /** Rules of all chains, by table. */
  get ruleCount(): Readonly<Record<Table, number>> {
    return this.#ruleCount;
  }

  get isLarge(): boolean {
    return this.#large;
  }

  get portCount(): number {
    return this.#ports.size;
  }

  get hasStale(): boolean {
    return this.#stale.size > 0;
  }

  /**
   * Compiles the named ports; gives the restore of every chain that differs, shared or own. Chains
   * that are not needed any more are removed with it, or (large clusters: it is costly) kept for a later one.
   */
  change(view: NodeView, keys: Iterable<string>, options: { readonly removeStale: boolean }): string {
    const changed = [...keys];
    this.#count(view, changed);
    const written = new Map<string, string>();
    const shared = new Set<Shared>();
    for (const key of changed) {
      const previous = this.#ports.get(key);
      const port = view.ports.get(key);
      const next = port && this.#compile(port);
      if (next) this.#ports.set(key, next);
      else this.#ports.delete(key);
      this.#countRules(previous, next);
      noteShared(previous, next, shared);
      for (const chain of previous?.chains.keys() ?? []) if (!next?.chains.has(chain)) this.#stale.add(chain);
      for (const [chain, text] of next?.chains ?? [])
        if (previous?.chains.get(chain) !== text) written.set(chain, text);
    }
    // a chain may move from one port to another of the same service within one batch
    for (const chain of written.keys()) this.#stale.delete(chain);
    return this.#render({ written, removed: options.removeStale ? this.#takeStale() : [], shared });
  }

  /** Everything, for a first or repairing restore. `stale` are chains of ours that the kernel has and we do not. */
  renderAll(stale: Iterable<string>): string {
    const written = new Map<string, string>();
    for (const port of this.#ports.values())
      for (const [chain, text] of port.chains) written.set(chain, text);
    const removed = new Set<string>();
    for (const chain of stale) if (!written.has(chain)) removed.add(chain);
    this.#stale.clear();
    return this.#render({ written, removed, shared: new Set(SHARED), base: true });
  }

  /** Service ports by the names of their endpoints' chains, as many as metrics publish one by one. */
  endpointChainOwners(): ReadonlyMap<string, string> {
    const owners = new Map<string, string>();
    let ports = 0;
    for (const [key, { chains }] of this.#ports) {
      if (++ports > METRIC_PORTS_MAX) break;
      for (const chain of chains.keys()) if (chain.startsWith('KUBE-SEP-')) owners.set(chain, key);
    }
    return owners;
  }

  /** The chains as typed rules, for the evaluator. */
  tables(): Readonly<Record<'filter' | 'nat', ReadonlyMap<string, readonly Rule[]>>> {
    const nat = new Map<string, readonly Rule[]>(natBaseChains(this.#base));
    const filter = new Map<string, readonly Rule[]>(filterBaseChains(this.#node, this.#base));
    const ports = Array.from(this.#ports.values(), ({ port }) => this.#rulesOf(port));
    const gather = (shared: Shared): Rule[] => ports.flatMap((port) => port[shared]);
    nat.set(KUBE.services, [...gather('natServices'), ...nodePortEntries(this.#node)]);
    nat.set(KUBE.nodePorts, gather('natNodePorts'));
    for (const shared of FILTER_SHARED) filter.set(SHARED_CHAIN[shared], gather(shared));
    for (const port of ports) for (const [chain, rules] of port.chains) nat.set(chain, rules);
    return { filter, nat };
  }

  /** Comments depend on the size of the cluster, so that is known before anything is compiled. */
  #count(view: NodeView, keys: readonly string[]): void {
    for (const key of keys) {
      const after = view.ports.get(key)?.clusterEndpoints.length ?? 0;
      this.#endpointCount += after - (this.#ports.get(key)?.endpointCount ?? 0);
    }
    this.#large = this.#endpointCount > LARGE_CLUSTER_ENDPOINTS;
  }

  #countRules(previous: Compiled | undefined, next: Compiled | undefined): void {
    for (const table of ['filter', 'nat'] as const)
      this.#ruleCount[table] += (next?.ruleCount[table] ?? 0) - (previous?.ruleCount[table] ?? 0);
  }

  #rulesOf(port: ServicePortView): PortRules {
    return compilePort(port, {
      node: this.#node,
      endpointComments: !this.#large,
      affinity: this.#affinity,
      countLocalhost: this.#base.counted === true && servesLocalhost(this.#node),
    });
  }

  #compile(port: ServicePortView): Compiled {
    return compiled(port, this.#rulesOf(port));
  }

  #takeStale(): string[] {
    const stale = [...this.#stale];
    this.#stale.clear();
    return stale;
  }

  #render({ written, removed, shared, base = false }: Written): string {
    return (
      this.#table('filter', {
        shared: FILTER_SHARED.filter((each) => shared.has(each)),
        base: base ? filterBaseChains(this.#node, this.#base) : NO_CHAINS,
        written: new Map(),
        removed: [],
      }) +
      this.#table('nat', {
        shared: NAT_SHARED.filter((each) => shared.has(each)),
        base: base ? natBaseChains(this.#base) : NO_CHAINS,
        written,
        removed: [...removed],
      })
    );
  }

  /** Chains that are not named stay as they are; a table without any is left out. */
  #table(table: 'filter' | 'nat', { shared, base, written, removed }: TableParts): string {
    const chains = [
      ...shared.map((each) => SHARED_CHAIN[each]),
      ...base.keys(),
      ...written.keys(),
      ...removed,
    ];
    if (chains.length === 0) return '';
    return [
      `*${table}\n`,
      declareChains(new Set(chains)),
      ...shared.map((each) => this.#sharedText(each)),
      renderChains(base),
      ...written.values(),
      ...removed.map((chain) => `-X ${chain}\n`),
      'COMMIT\n',
    ].join('');
  }

  #sharedText(shared: Shared): string {
    let text = '';
    for (const port of this.#ports.values()) text += port.shared[shared];
    // what is for this host may be for a node port: the last rules of the chain
    return shared === 'natServices' ? text + chainLines(KUBE.services, nodePortEntries(this.#node)) : text;
  }
}

const NO_CHAINS: ReadonlyMap<string, readonly Rule[]> = new Map();

interface Written {
  /** Text of own chains, and own chains to remove. */
  readonly written: ReadonlyMap<string, string>;
  readonly removed: Iterable<string>;
  /** What of the shared chains differs: those are written whole. */
  readonly shared: ReadonlySet<Shared>;
  /** The constant chains too. */
  readonly base?: boolean;
}

interface TableParts {
  readonly shared: readonly Shared[];
  readonly base: ReadonlyMap<string, readonly Rule[]>;
  readonly written: ReadonlyMap<string, string>;
  readonly removed: readonly string[];
}

/** Adds the shared chains to which the port contributes otherwise than before. */
function noteShared(previous: Compiled | undefined, next: Compiled | undefined, shared: Set<Shared>): void {
  for (const each of SHARED)
    if ((previous?.shared[each] ?? '') !== (next?.shared[each] ?? '')) shared.add(each);
}

function compiled(port: ServicePortView, rules: PortRules): Compiled {
  const shared = Object.fromEntries(
    SHARED.map((each) => [each, chainLines(SHARED_CHAIN[each], rules[each])]),
  ) as Record<Shared, string>;
  const chains = new Map(Array.from(rules.chains, ([chain, own]) => [chain, chainLines(chain, own)]));
  const linesIn = (texts: Iterable<string>): number => Array.from(texts, linesOf).reduce((a, b) => a + b, 0);
  const ruleCount = {
    filter: linesIn(FILTER_SHARED.map((each) => shared[each])),
    nat: linesIn(NAT_SHARED.map((each) => shared[each])) + linesIn(chains.values()),
  };
  return { port, shared, chains, endpointCount: port.clusterEndpoints.length, ruleCount };
}

/** A rule is a line. */
function linesOf(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

function renderChains(chains: ReadonlyMap<string, readonly Rule[]>): string {
  return Array.from(chains, ([chain, rules]) => chainLines(chain, rules)).join('');
}
