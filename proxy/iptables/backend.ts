import type { NodeView, NodeViewChanges, ServicePortView } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Exec } from '../../src/net/exec.ts';
import type { Family } from '../../src/net/ip.ts';
import { Iptables, type IptablesVariant } from '../../src/net/iptables.ts';
import type { Applied, Backend } from '../backend.ts';
import { type BaseOptions, entryJumps, servesLocalhost } from './base-rules.ts';
import { KUBE, PORT_CHAIN_PREFIXES } from './chain-names.ts';
import { Ruleset } from './ruleset.ts';

export interface IptablesDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
}

export interface IptablesBackendOptions extends BaseOptions {
  readonly family: Family;
  readonly variant: IptablesVariant;
}

/**
 * kube-proxy's iptables mode. A change restores the shared chains and the chains of the changed ports; a full
 * sync (first apply, after a failure, after somebody flushed) also puts the jumps in place and removes chains
 * that nothing needs any more. The canary chain tells a flush from our own rules.
 */
export class IptablesBackend implements Backend {
  readonly mode = 'iptables';
  readonly family: Family;
  readonly #deps: IptablesDeps;
  readonly #options: IptablesBackendOptions;
  readonly #iptables: Iptables;
  #ruleset: Ruleset | undefined;

  constructor(deps: IptablesDeps, options: IptablesBackendOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#iptables = new Iptables(deps, options);
    this.family = options.family;
  }

  async apply(
    view: NodeView,
    changes: NodeViewChanges,
    _previous: ReadonlyMap<string, ServicePortView>,
    signal: AbortSignal,
  ): Promise<Applied> {
    const startMs = this.#deps.clock.monotonicMs();
    const full = !this.#ruleset || !changes.complete;
    if (full) await this.#replace(view, signal);
    else await this.#update(view, changes.ports, signal);
    const durationMs = this.#deps.clock.monotonicMs() - startMs;
    return { full, changedPorts: full ? view.ports.size : changes.ports.size, durationMs, refused: [] };
  }

  /** False when somebody flushed the tables: the next apply must be a full one. */
  async intact(signal: AbortSignal): Promise<boolean> {
    return (
      (await this.#iptables.chainExists('nat', KUBE.canary, signal)) ||
      (await this.#iptables.chainExists('filter', KUBE.canary, signal))
    );
  }

  /** Removes the jumps first, so that no packet runs through half a chain, then empties and removes the chains. */
  async cleanup(signal: AbortSignal): Promise<void> {
    for (const { table, chain, rule } of entryJumps())
      await this.#iptables.removeRule(table, chain, rule, signal);
    for (const table of ['filter', 'nat', 'mangle'] as const) {
      const names = ownChains(await this.#iptables.save(table, signal));
      if (names.length > 0)
        await this.#iptables.restore([{ table, chains: new Map(), removedChains: names }], signal);
    }
    this.#ruleset = undefined;
  }

  /** The kernel keeps the rules: they go on serving until `cleanup`. */
  async [Symbol.asyncDispose](): Promise<void> {}

  async #replace(view: NodeView, signal: AbortSignal): Promise<void> {
    this.#ruleset = undefined;
    const ruleset = new Ruleset(view.node, this.#options);
    ruleset.change(view, view.ports.keys());
    if (servesLocalhost(view.node)) await this.#allowLocalnet(signal);
    await this.#prepareChains(signal);
    const stale = portChainsIn(await this.#iptables.save('nat', signal));
    await this.#iptables.restoreText(ruleset.renderAll(stale), signal);
    // the last jump to insert ends up first in its chain
    for (const { table, chain, rule } of entryJumps().toReversed()) {
      await this.#iptables.ensureFirst(table, chain, rule, signal);
    }
    this.#ruleset = ruleset;
  }

  async #update(view: NodeView, keys: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const ruleset = this.#ruleset!;
    // until the restore is through, the shadow is ahead of the kernel: a failure must start anew
    this.#ruleset = undefined;
    await this.#iptables.restoreText(ruleset.change(view, keys).text, signal);
    this.#ruleset = ruleset;
  }

  /** The canary lives in tables that we write; a flush takes it along. */
  async #prepareChains(signal: AbortSignal): Promise<void> {
    const canary = new Map([[KUBE.canary, []]]);
    await this.#iptables.restore(
      [
        { table: 'mangle', chains: canary },
        { table: 'nat', chains: canary },
        { table: 'filter', chains: canary },
      ],
      signal,
    );
  }

  /** Lets 127.0.0.1:nodePort leave loopback after its translation; KUBE-FIREWALL keeps outsiders out. */
  async #allowLocalnet(signal: AbortSignal): Promise<void> {
    const result = await this.#deps.exec('sysctl', ['-qw', 'net.ipv4.conf.all.route_localnet=1'], { signal });
    if (result.exitCode !== 0) {
      this.#deps.log.warn('node ports on 127.0.0.1 will not work', { reason: result.stderr.trim() });
    }
  }
}

function chainsIn(saved: string): string[] {
  return Array.from(saved.matchAll(/^:(\S+) /gm), (match) => match[1]!);
}

function portChainsIn(saved: string): string[] {
  return chainsIn(saved).filter((chain) => PORT_CHAIN_PREFIXES.some((prefix) => chain.startsWith(prefix)));
}

function ownChains(saved: string): string[] {
  const shared: readonly string[] = Object.values(KUBE);
  return chainsIn(saved).filter(
    (chain) => shared.includes(chain) || PORT_CHAIN_PREFIXES.some((prefix) => chain.startsWith(prefix)),
  );
}
