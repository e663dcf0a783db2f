import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import type { Clock } from '../../src/base/clock.ts';
import { Drain } from '../../src/base/drain.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Registry } from '../../src/base/metrics.ts';
import { composeChain } from '../chain.ts';
import type { BlockPlan } from '../corefile/compile.ts';
import type { FastSample, HostView, Plugin, PluginDeps } from '../plugin.ts';
import { BlockTable, type OpenBlock } from './blocks.ts';
import type { ServerCookies } from './cookie.ts';
import type { ListenSpec } from './listen-plan.ts';
import { fastPathsOf, type FastPaths } from './fast-path.ts';
import { Responder } from './responder.ts';
import type { SharedLease } from './shared-things.ts';
import { TsigGate } from './tsig-gate.ts';

export interface GenerationDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly random: () => number;
  readonly snapshots: SnapshotSource;
  readonly cookies: ServerCookies;
  readonly lease: SharedLease;
  readonly searchDomains: readonly string[] | undefined;
  /** Addresses for NS glue. */
  addresses(): readonly string[];
  draining(): boolean;
  readonly corefileSha512: string;
  fail(reason: string): void;
  reload(): Promise<boolean>;
}

/** Everything that one reading of the Corefile opened. A reload makes the next one and disposes this one. */
export class Generation implements AsyncDisposable {
  readonly blocks: readonly OpenBlock[];
  readonly responder: Responder;
  readonly tables: ReadonlyMap<string, BlockTable>;
  /** By listener label, for those that have one. */
  readonly fastPaths: ReadonlyMap<string, FastPaths>;
  readonly #drain: Drain;
  readonly #deps: GenerationDeps;

  private constructor(
    deps: GenerationDeps,
    blocks: readonly OpenBlock[],
    tables: ReadonlyMap<string, BlockTable>,
    fastPaths: ReadonlyMap<string, FastPaths>,
    responder: Responder,
    drain: Drain,
  ) {
    this.#deps = deps;
    this.blocks = blocks;
    this.tables = tables;
    this.fastPaths = fastPaths;
    this.responder = responder;
    this.#drain = drain;
  }

  /** Opens every plugin; if one fails, closes the others again and rejects with its fault. */
  static async open(
    deps: GenerationDeps,
    plans: readonly BlockPlan[],
    specs: readonly ListenSpec[],
    options: { readonly strict: boolean },
  ): Promise<Generation> {
    const drain = new Drain();
    const tables = new Map<string, BlockTable>();
    const tsig = new TsigGate(
      deps,
      plans.flatMap(({ settings }) => settings.tsigSecrets),
    );
    const responder = new Responder({ ...deps, drain, tsig }, options, (listener) => tables.get(listener));
    const blocks: OpenBlock[] = [];
    const fastPaths = new Map<string, FastPaths>();
    const host = hostView({ ...deps, tsig }, responder, blocks, fastPaths);
    try {
      for (const plan of plans) blocks.push(await openBlock(deps, plan, host, firstLabel(plan)));
    } catch (error) {
      await closeBlocks(blocks, deps.log);
      await deps.lease[Symbol.asyncDispose]();
      throw error;
    }
    for (const { label, scheme, entries } of specs) {
      const rows = entries.map(({ zone, planIndex }) => ({ zone, block: blocks[planIndex]! }));
      const table = new BlockTable(rows);
      tables.set(label, table);
      const hasDatagrams = scheme === 'dns';
      const path = { listener: label, cookieSecret: deps.cookies.secret, hasDatagrams };
      const fast = scheme === 'https' ? undefined : fastPathsOf(deps, path, table);
      if (fast) fastPaths.set(label, fast);
    }
    return new Generation(deps, blocks, tables, fastPaths, responder, drain);
  }

  get plugins(): readonly Plugin[] {
    return this.blocks.flatMap((block) => block.plugins);
  }

  /** What compiled tables answered without a chain, by listener and protocol. */
  fastCounts(): readonly FastSample[] {
    return samplesOf(this.fastPaths);
  }

  /** True when the questions under way ended in time. */
  async drained(deadlineMs: number): Promise<boolean> {
    this.#drain.begin();
    return await this.#drain.finished(this.#deps.clock, deadlineMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeBlocks(this.blocks, this.#deps.log);
    for (const { datagram, stream } of this.fastPaths.values()) {
      datagram?.[Symbol.dispose]();
      stream[Symbol.dispose]();
    }
    await this.#deps.lease[Symbol.asyncDispose]();
  }
}

function samplesOf(fastPaths: ReadonlyMap<string, FastPaths>): FastSample[] {
  return [...fastPaths.values()].flatMap(({ datagram, stream }) =>
    datagram ? [datagram.sample, stream.sample] : [stream.sample],
  );
}

function firstLabel({ settings }: BlockPlan): string {
  const { scheme, port } = settings.keys[0] ?? { scheme: 'dns', port: 53 };
  return `${scheme}://${settings.bind[0]?.hosts[0] ?? ''}:${port}`;
}

function hostView(
  deps: GenerationDeps & { readonly tsig: TsigGate },
  responder: Responder,
  blocks: readonly OpenBlock[],
  fastPaths: ReadonlyMap<string, FastPaths>,
): HostView {
  return {
    resolve: (query, question) => responder.resolve(query, question),
    get addresses() {
      return deps.addresses();
    },
    fastCounts: () => samplesOf(fastPaths),
    searchDomains: deps.searchDomains,
    allPlugins: () => blocks.flatMap((block) => block.plugins),
    tsigKey: (name) => deps.tsig.key(name),
    get draining() {
      return deps.draining();
    },
    shared: (key, open) => deps.lease.shared(key, open),
    corefileSha512: deps.corefileSha512,
    fail: (reason) => deps.fail(reason),
    reload: () => deps.reload(),
  };
}

async function openBlock(
  deps: GenerationDeps,
  plan: BlockPlan,
  host: HostView,
  listener: string,
): Promise<OpenBlock> {
  const plugins: Plugin[] = [];
  const chain = {
    plugin: (name: string) => plugins.find((plugin) => plugin.name === name),
    plugins,
  };
  const { clock, metrics, random, snapshots } = deps;
  try {
    for (const { name, open } of plan.links) {
      const log = deps.log.with({ plugin: name });
      const pluginDeps: PluginDeps = {
        clock,
        log,
        metrics,
        random,
        snapshots,
        block: plan.settings,
        listener,
        chain,
        host,
      };
      plugins.push(await open(pluginDeps));
    }
    for (const plugin of plugins) plugin.opened?.();
  } catch (error) {
    await closePlugins(plugins, deps.log);
    throw error;
  }
  return { settings: plan.settings, plugins, handler: composeChain(plugins) };
}

async function closeBlocks(blocks: readonly OpenBlock[], log: Logger): Promise<void> {
  for (const block of blocks.toReversed()) await closePlugins(block.plugins, log);
}

async function closePlugins(plugins: readonly Plugin[], log: Logger): Promise<void> {
  for (const plugin of plugins.toReversed()) {
    try {
      await plugin[Symbol.asyncDispose]?.();
    } catch (error) {
      log.warn('plugin did not close', { plugin: plugin.name, reason: messageOf(error) });
    }
  }
}
