import type { NodeView, NodeViewChanges } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import { hasCode, messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Exec } from '../../src/net/exec.ts';
import type { Family } from '../../src/net/ip.ts';
import { NftElements } from '../../src/net/netlink/nft-elements.ts';
import { NETLINK, type OpenNetlink } from '../../src/net/netlink/socket.ts';
import { Nft } from '../../src/net/nft.ts';
import type { Applied, Backend, PortCounts } from '../backend.ts';
import { growingSlices } from '../kernel/growing-slices.ts';
import { KernelSync } from '../kernel/sync.ts';
import { FIRST_SLICE_PORTS, NETLINK_ELEMENTS_MAX } from '../limits.ts';
import { type Departed, forgetClients, forgetClientsByNft } from './affinity.ts';
import { encodeElements, STATE_KEY } from './encode.ts';
import {
  type RenderContext,
  renderChains,
  renderDeclarations,
  renderElements,
  renderRules,
  TABLE,
} from './render.ts';
import { Ruleset, type RulesetDelta } from './ruleset.ts';
import { countsTraffic, TableTraffic } from './traffic.ts';

export interface NftablesDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
  /** Writes elements without starting a program; absent: everything goes through nft. */
  readonly openNetlink?: OpenNetlink;
}

export interface NftablesBackendOptions {
  readonly family: Family;
  readonly masqueradeMark: number;
}

/** Names the program's version in the state element: another version always writes the table anew. */
const PROGRAM_VERSION = 4;
/** The state of a table that is still being filled. */
const UNFINISHED = 'unfinished';

/** What was written, to differ from. */
interface Written {
  readonly ruleset: Ruleset;
  readonly counted: boolean;
  state: string;
}

/**
 * Keeps one nftables table a family. Each apply is one transaction with the elements that differ, written by netlink
 * where that can be (nft takes 20 ms to start, to read what there is and to end, the kernel 0.3); the table is never
 * listed. The set `state` holds one element whose comment is the digest of everything written: a restart
 * reads that alone to know whether the kernel still has the rules of this view.
 */
export class NftablesBackend implements Backend {
  readonly mode = 'nftables';
  readonly family: Family;
  readonly #deps: NftablesDeps;
  readonly #nft: Nft;
  #elements: NftElements | undefined;
  readonly #masqueradeMark: number;
  readonly #sync: KernelSync<Written>;
  #cleanupFailed = false;
  readonly #traffic = new TableTraffic();

  constructor(deps: NftablesDeps, options: NftablesBackendOptions) {
    this.#deps = deps;
    this.#nft = new Nft(deps);
    this.#masqueradeMark = options.masqueradeMark;
    this.family = options.family;
    this.#sync = new KernelSync(deps, options.family, {
      replace: (view, signal) => this.#replace(view, signal),
      update: (written, view, keys, signal) => this.#update(written, view, keys, signal),
      missing: (written, _view, signal) => this.#missing(written, signal),
    });
  }

  /** Rejects with a Fault when nft is missing or the kernel refuses it. */
  static async open(deps: NftablesDeps, options: NftablesBackendOptions): Promise<NftablesBackend> {
    const backend = new NftablesBackend(deps, options);
    await backend.#nft.probe();
    backend.#openElements();
    return backend;
  }

  async apply(
    view: NodeView,
    changes: NodeViewChanges,
    _previous: unknown,
    signal: AbortSignal,
  ): Promise<Applied> {
    this.#cleanupFailed = false;
    const applied = await this.#sync.apply(view, changes, signal);
    return { ...applied, cleanupFailed: this.#cleanupFailed };
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    const family = this.#nftFamily;
    await this.#nft.deleteTable(family, TABLE, signal);
    await this.#nft.deleteTable(family, 'kube-proxy', signal);
    this.#sync.forget();
  }

  async counters(): Promise<readonly PortCounts[]> {
    const { written } = this.#sync;
    return this.#elements && written?.counted
      ? await this.#traffic.read(this.#elements, written.ruleset)
      : [];
  }

  /** The kernel keeps the rules: they go on serving until `cleanup`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#elements?.[Symbol.dispose]();
  }

  get #nftFamily(): 'ip' | 'ip6' {
    return this.family === 'IPv6' ? 'ip6' : 'ip';
  }

  /** Writes the table anew, unless the kernel already holds exactly this. */
  async #replace(view: NodeView, signal: AbortSignal): Promise<Written> {
    const ruleset = new Ruleset(view);
    const counted = countsTraffic(view);
    const context = this.#context(view, counted);
    const held = await this.#readState(signal);
    if (held === undefined) await this.#fill(view, ruleset, context, signal);
    else {
      // what the kernel holds goes on serving until all of the new is there
      ruleset.change(view, view.ports.keys());
      const state = stateOf(context, ruleset);
      if (held !== state) await this.#nft.transaction(renderTable(context, ruleset, state), signal);
    }
    return { ruleset, counted, state: stateOf(context, ruleset) };
  }

  /** A first sync goes by growing slices: the first services answer long before the last ones are written. */
  async #fill(view: NodeView, ruleset: Ruleset, context: RenderContext, signal: AbortSignal): Promise<void> {
    const slices = growingSlices([...view.ports.keys()], FIRST_SLICE_PORTS);
    for (const [index, keys] of slices.entries()) {
      const delta = ruleset.change(view, keys);
      const isLast = index === slices.length - 1;
      const state = isLast ? stateOf(context, ruleset) : UNFINISHED;
      const commands =
        index === 0
          ? renderTable(context, ruleset, state)
          : renderDelta(context, delta) + this.#renderState(state);
      await this.#nft.transaction(commands, signal);
    }
  }

  async #update(
    written: Written,
    view: NodeView,
    keys: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const context = this.#context(view, written.counted);
    const delta = written.ruleset.change(view, keys);
    if (delta.outgrown) return false;
    const state = stateOf(context, written.ruleset);
    if (state === written.state) return true;
    await this.#writeDelta(context, delta, state, signal);
    written.state = state;
    if (delta.departed.size > 0) await this.#forgetClients(delta.departed, signal);
    return true;
  }

  #openElements(): void {
    const { openNetlink, log } = this.#deps;
    try {
      const socket = openNetlink?.(NETLINK.NETFILTER);
      if (socket) this.#elements = new NftElements(socket, this.#nftFamily, TABLE);
    } catch (error) {
      log.info('changes go through nft', { reason: messageOf(error) });
    }
  }

  /** Chains are nft's to write: one comes with the first service of an affinity timeout. */
  async #writeDelta(
    context: RenderContext,
    delta: RulesetDelta,
    state: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { removed, added, newChains } = delta;
    if (!this.#elements || newChains.length > 0 || removed.size + added.size > NETLINK_ELEMENTS_MAX)
      return await this.#nft.transaction(renderDelta(context, delta) + this.#renderState(state), signal);
    await this.#elements.write([
      ...encodeElements('delete', removed),
      ...encodeElements('add', added),
      { verb: 'delete', set: 'state', elements: [{ key: STATE_KEY }] },
      { verb: 'add', set: 'state', elements: [{ key: STATE_KEY, comment: state }] },
    ]);
  }

  async #missing({ state }: Written, signal: AbortSignal): Promise<string | undefined> {
    const held = await this.#readState(signal);
    return held === state ? undefined : `table ${this.#nftFamily} ${TABLE}`;
  }

  #context({ node }: NodeView, counted: boolean): RenderContext {
    return { family: this.family, masqueradeMark: this.#masqueradeMark, node, counted };
  }

  #renderState(state: string): string {
    const family = this.#nftFamily;
    const element = (comment: string): string => `element ${family} ${TABLE} state { 1${comment} }\n`;
    return `delete ${element('')}add ${element(` comment "${state}"`)}`;
  }

  async #readState(signal: AbortSignal): Promise<string | undefined> {
    try {
      if (this.#elements) return await this.#elements.comment('state', STATE_KEY);
      const [element] = await this.#nft.listElements('set', this.#nftFamily, TABLE, 'state', signal);
      return (element as { elem?: { comment?: string } } | undefined)?.elem?.comment;
    } catch (error) {
      if (!hasCode(error, 'NFT_NOT_FOUND') && !hasCode(error, 'ENOENT'))
        this.#deps.log.warn('cannot read the state of the table', { error });
      return undefined;
    }
  }

  async #forgetClients(departed: Departed, signal: AbortSignal): Promise<void> {
    try {
      if (this.#elements) await forgetClients(this.#elements, this.family, departed);
      else await forgetClientsByNft(this.#nft, this.family, departed, signal);
    } catch (error) {
      // they stay with an endpoint that is gone until their affinity times out
      this.#cleanupFailed = true;
      this.#deps.log.warn('cannot forget clients of endpoints that left', { error });
    }
  }
}

/** Everything for `nft -f`: what `--render` prints and what a first apply loads. */
export function renderTable(context: RenderContext, ruleset: Ruleset, state: string): string {
  const { family } = context;
  const table = `${family === 'IPv6' ? 'ip6' : 'ip'} ${TABLE}`;
  const chains = [...ruleset.chains.values()];
  return (
    `add table ${table}\ndelete table ${table}\n` +
    renderDeclarations(context) +
    renderChains(context, chains) +
    renderRules(context, chains) +
    renderElements(family, 'add', ruleset.elements) +
    `add element ${table} state { 1 comment "${state}" }\n`
  );
}

/** Digest of the elements and of what else the text depends on. */
export function stateOf({ node, masqueradeMark, counted }: RenderContext, ruleset: Ruleset): string {
  const { detectLocal, masqueradeAll, serviceCIDRs } = node;
  const settings = JSON.stringify([detectLocal, masqueradeAll, serviceCIDRs, masqueradeMark, counted]);
  let hash = 0;
  for (let index = 0; index < settings.length; index++)
    hash = Math.imul(hash ^ settings.charCodeAt(index), 0x01000193);
  return `v${PROGRAM_VERSION}-${(hash >>> 0).toString(16)}-${ruleset.digest}`;
}

function renderDelta(context: RenderContext, delta: RulesetDelta): string {
  return (
    renderChains(context, delta.newChains) +
    renderRules(context, delta.newChains) +
    renderElements(context.family, 'delete', delta.removed) +
    renderElements(context.family, 'add', delta.added)
  );
}
