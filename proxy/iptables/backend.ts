import type { NodeView, NodeViewChanges, ServicePortView } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Exec } from '../../src/net/exec.ts';
import type { Family } from '../../src/net/ip.ts';
import { Iptables, type IptablesVariant } from '../../src/net/iptables.ts';
import type { OpenNetlink } from '../../src/net/netlink/socket.ts';
import { writeSysctl } from '../../src/net/sysctl.ts';
import type { Applied, Backend, PacketCounts, PortCounts } from '../backend.ts';
import { KernelSync } from '../kernel/sync.ts';
import { COUNTED_PORTS_MAX, FIRST_SLICE_PORTS, STALE_CHAINS_INTERVAL_MS } from '../limits.ts';
import { PacedReading } from '../kernel/paced-reading.ts';
import { growingSlices } from '../kernel/growing-slices.ts';
import { AffinitySets } from './affinity-store.ts';
import { type BaseOptions, entryJumps, sentinels, servesLocalhost } from './base-rules.ts';
import { KUBE, PORT_CHAIN_PREFIXES } from './chain-names.ts';
import { chainsIn, hasJump, removal, withJumps } from '../kernel/own-chains.ts';
import { RuleCounters } from './packet-counts.ts';
import { Ruleset } from './ruleset.ts';
import { RuleTraffic } from './traffic.ts';

export interface IptablesDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
  /** Makes the ipsets of session affinity and the counters of dropped packets. */
  readonly openNetlink?: OpenNetlink;
}

export interface IptablesBackendOptions extends BaseOptions {
  readonly family: Family;
  readonly variant: IptablesVariant;
}

/**
 * kube-proxy's iptables mode. A change restores the chains that differ; a full
 * sync (first apply, after a failure, after somebody flushed) also puts the jumps in place and removes chains
 * that nothing needs any more. The canary chains tell that somebody removed ours.
 */
export class IptablesBackend implements Backend {
  readonly mode = 'iptables';
  readonly family: Family;
  readonly #deps: IptablesDeps;
  readonly #options: IptablesBackendOptions;
  readonly #iptables: Iptables;
  readonly #affinity: AffinitySets;
  readonly #traffic = new RuleTraffic();
  readonly #reading: PacedReading;
  readonly #counters: RuleCounters;
  readonly #sync: KernelSync<Ruleset>;
  /** Rules by table, in this apply. */
  #rulesWritten: Record<string, number> = {};
  #staleRemovedMs = 0;

  private constructor(deps: IptablesDeps, options: IptablesBackendOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#iptables = new Iptables(deps, options);
    this.#affinity = new AffinitySets({ ...deps, iptables: this.#iptables }, options.family);
    this.#reading = new PacedReading(deps.clock);
    this.#counters = new RuleCounters({ ...deps, iptables: this.#iptables });
    this.family = options.family;
    this.#sync = new KernelSync(deps, options.family, {
      replace: (view, signal) => this.#replace(view, signal),
      update: (ruleset, view, keys, signal) => this.#update(ruleset, view, keys, signal),
      missing: (_ruleset, view, signal) => this.#missing(view, signal),
    });
  }

  /** Rejects with a Fault when iptables is missing or this process may not use it. */
  static async open(deps: IptablesDeps, options: IptablesBackendOptions): Promise<IptablesBackend> {
    const backend = new IptablesBackend(deps, options);
    await backend.#iptables.save('nat');
    return backend;
  }

  async apply(
    view: NodeView,
    changes: NodeViewChanges,
    previous: ReadonlyMap<string, ServicePortView>,
    signal: AbortSignal,
  ): Promise<Applied> {
    this.#rulesWritten = {};
    const applied = await this.#sync.apply(view, changes, signal);
    if (!applied.full) await this.#affinity.release(previous, view);
    return { ...applied, rules: this.#ruleCounts() };
  }

  /** Each table in one transaction: the jumps into our chains (kube-proxy's too), then the chains. */
  async cleanup(signal: AbortSignal): Promise<void> {
    for (const table of ['filter', 'nat', 'mangle'] as const) {
      const text = removal(table, await this.#iptables.save(table, signal), isOurs);
      if (text !== undefined) await this.#iptables.restoreText(text, signal);
    }
    await this.#affinity.removeOthers([]);
    await this.#counters.remove();
    this.#sync.forget();
  }

  async counters(signal: AbortSignal): Promise<readonly PortCounts[]> {
    const ruleset = this.#sync.written;
    if (!ruleset || ruleset.portCount > COUNTED_PORTS_MAX) return [];
    return await this.#reading.read(() => this.#traffic.read(this.#iptables, ruleset, signal));
  }

  packetCounts(): Promise<PacketCounts | undefined> {
    return this.#counters.read();
  }

  /** The kernel keeps the rules: they go on serving until `cleanup`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#affinity[Symbol.dispose]();
    this.#counters[Symbol.dispose]();
  }

  async #restore(text: string, signal: AbortSignal): Promise<void> {
    await this.#iptables.restoreText(text, signal);
    for (const [, table = '', rules = ''] of text.matchAll(/^\*(\S+)\n(.*?)^COMMIT$/gms))
      this.#rulesWritten[table] = (this.#rulesWritten[table] ?? 0) + (rules.match(/^-[AI] /gm)?.length ?? 0);
  }

  #ruleCounts(): NonNullable<Applied['rules']> {
    const { filter = 0, nat = 0 } = this.#rulesWritten;
    const held = this.#sync.written?.ruleCount ?? { filter: 0, nat: 0 };
    return { filter: { held: held.filter, written: filter }, nat: { held: held.nat, written: nat } };
  }

  async #replace(view: NodeView, signal: AbortSignal): Promise<Ruleset> {
    await this.#affinity.decide(view.ports.values(), signal);
    await this.#affinity.prepare(view.ports.values(), signal);
    const counted = await this.#counters.prepare(signal);
    const ruleset = new Ruleset(view.node, { ...this.#options, counted }, this.#affinity.store);
    if (servesLocalhost(view.node)) this.#allowLocalnet();
    const saved: Readonly<Record<string, string>> = {
      filter: await this.#iptables.save('filter', signal),
      nat: await this.#iptables.save('nat', signal),
    };
    const kept = portChainsIn(saved['nat'] ?? '');
    const keys = [...view.ports.keys()];
    // what the kernel holds goes on serving until all of the new is there; an empty one is filled by slices
    const [first, ...rest] = kept.length > 0 ? [keys] : growingSlices(keys, FIRST_SLICE_PORTS);
    ruleset.change(view, first ?? [], { removeStale: true });
    const jumps = entryJumps().filter((jump) => !hasJump(saved[jump.table] ?? '', jump));
    await this.#restore(CANARIES + withJumps(ruleset.renderAll(kept), jumps), signal);
    for (const slice of rest) await this.#restore(ruleset.change(view, slice, { removeStale: true }), signal);
    if (this.#affinity.store === 'ipset') await this.#affinity.removeOthers(view.ports.values());
    this.#staleRemovedMs = this.#deps.clock.monotonicMs();
    return ruleset;
  }

  async #update(
    ruleset: Ruleset,
    view: NodeView,
    keys: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (keys.size === 0 && !ruleset.hasStale) return true;
    const ports = Array.from(keys, (key) => view.ports.get(key));
    const { store } = this.#affinity;
    await this.#affinity.decide(ports, signal);
    // the first port with affinity may bring another way to remember than the rules were made for
    if (this.#affinity.store !== store && this.#affinity.store !== 'recent') return false;
    await this.#affinity.prepare(ports, signal);
    const nowMs = this.#deps.clock.monotonicMs();
    const removeStale = !ruleset.isLarge || nowMs - this.#staleRemovedMs >= STALE_CHAINS_INTERVAL_MS;
    if (removeStale) this.#staleRemovedMs = nowMs;
    const text = ruleset.change(view, keys, { removeStale });
    if (text !== '') await this.#restore(text, signal);
    return true;
  }

  async #missing({ node }: NodeView, signal: AbortSignal): Promise<string | undefined> {
    for (const { table, chain, rule } of sentinels(node))
      if (!(await this.#iptables.hasRule(table, chain, rule, signal))) return `${table} ${chain}`;
    const hasCanary = await this.#iptables.chainExists('mangle', KUBE.canary, signal);
    return hasCanary ? undefined : `mangle ${KUBE.canary}`;
  }

  /** Lets 127.0.0.1:nodePort leave loopback after its translation; KUBE-FIREWALL keeps outsiders out. */
  #allowLocalnet(): void {
    const reason = writeSysctl('net.ipv4.conf.all.route_localnet', 1);
    if (reason !== undefined) this.#deps.log.warn('node ports on 127.0.0.1 will not work', { reason });
  }
}

/** Go when somebody removes all chains; kube-proxy has them too, and people look for them. */
const CANARIES = (['mangle', 'nat', 'filter'] as const)
  .map((table) => `*${table}\n:${KUBE.canary} - [0:0]\nCOMMIT\n`)
  .join('');

function portChainsIn(saved: string): string[] {
  return chainsIn(saved).filter(isPortChain);
}

function isOurs(chain: string): boolean {
  return (Object.values(KUBE) as readonly string[]).includes(chain) || isPortChain(chain);
}

function isPortChain(chain: string): boolean {
  return PORT_CHAIN_PREFIXES.some((prefix) => chain.startsWith(prefix));
}
