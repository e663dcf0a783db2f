import type { NodeView } from '../../endpoints/node-view.ts';
import type { NodeViewTracker } from '../../endpoints/node-view-tracker.ts';
import type { Backend, ProxyMode } from '../../proxy/backend.ts';
import { openBackend } from '../../proxy/backends.ts';
import type { KernelOptions } from '../../proxy/config/kernel-options.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { exec } from '../../src/net/exec.ts';
import { openNetlink } from '../../src/net/netlink/socket.ts';
import type { CaseWorld } from '../suites/backend.ts';
import type { NetworkNamespace } from '../support/network-namespace.ts';

const SYNC_DEADLINE_MS = 60_000;

export interface LiveProxyOptions {
  readonly mode: ProxyMode;
  readonly kernel?: KernelOptions;
  readonly clock?: Clock;
}

/** The real backends of a node that follow a world, as the proxier would drive them. */
export class LiveProxy implements AsyncDisposable {
  readonly #node: NetworkNamespace;
  readonly #sides: { readonly views: NodeViewTracker; readonly backend: Backend }[] = [];
  /** The last sync did not finish. */
  #incomplete = true;

  private constructor(node: NetworkNamespace) {
    this.#node = node;
  }

  static async open(node: NetworkNamespace, world: CaseWorld, options: LiveProxyOptions): Promise<LiveProxy> {
    const proxy = new LiveProxy(node);
    const { mode, kernel, clock = systemClock } = options;
    using _inside = node.enter();
    for (const views of world.trackers) {
      const { family } = views.view.node;
      const deps = { clock, log: silentLogger, exec, openNetlink };
      proxy.#sides.push({
        views,
        backend: await openBackend(mode, deps, { family, ...(kernel && { kernel }) }),
      });
    }
    await proxy.sync();
    return proxy;
  }

  get views(): readonly NodeView[] {
    return this.#sides.map(({ views }) => views.view);
  }

  /** Brings the kernel to the newest snapshot; true when a side wrote everything anew. */
  async sync(signal: AbortSignal = AbortSignal.timeout(SYNC_DEADLINE_MS)): Promise<boolean> {
    using _inside = this.#node.enter();
    let full = false;
    const retry = this.#incomplete;
    this.#incomplete = true;
    for (const { views, backend } of this.#sides) {
      const { view, changes, previous } = views.refresh();
      const complete = changes.complete && !retry;
      full = (await backend.apply(view, { ...changes, complete }, previous, signal)).full || full;
    }
    this.#incomplete = false;
    return full;
  }

  async cleanup(): Promise<void> {
    using _inside = this.#node.enter();
    for (const { backend } of this.#sides) await backend.cleanup(AbortSignal.timeout(SYNC_DEADLINE_MS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { backend } of this.#sides) await backend[Symbol.asyncDispose]();
  }
}
