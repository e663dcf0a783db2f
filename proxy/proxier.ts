import { isDeepStrictEqual } from 'node:util';
import { NodeViewTracker } from '../endpoints/node-view-tracker.ts';
import type { NodeView } from '../endpoints/node-view.ts';
import type { SnapshotSource } from '../endpoints/snapshot.ts';
import { Cell } from '../src/base/cell.ts';
import type { Clock } from '../src/base/clock.ts';
import type { Logger } from '../src/base/log.ts';
import { SyncLoop } from '../src/base/sync-loop.ts';
import type { Exec } from '../src/net/exec.ts';
import type { Family } from '../src/net/ip.ts';
import type { Backend, ProxyMode } from './backend.ts';
import { openBackend } from './backends.ts';
import { nodeSettings, type ProxySettings } from './settings.ts';
import type { ProxyProtocol } from './userspace/proxy-protocol.ts';

export interface ProxierDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
  /** Addresses of this host, asked at each full sync. */
  readonly hostAddresses: () => readonly string[];
}

export interface ProxierOptions {
  readonly settings: ProxySettings;
  /** At least this long between two syncs. */
  readonly minSyncMs: number;
  /** A failed sync is repeated after this long; host addresses are looked at as often. */
  readonly syncPeriodMs: number;
  readonly proxyProtocol?: ProxyProtocol;
  readonly drainDeadlineMs?: number;
}

/** What the proxy did last, for conditions on Services, health and trace. */
export interface ProxyStatus {
  readonly mode: ProxyMode;
  /** The Snapshot version that all families have reached. */
  readonly appliedVersion: number;
  /** Service ports that cannot be served, by `namespace/name:portName/PROTOCOL`. */
  readonly refused: readonly { readonly key: string; readonly reason: string }[];
}

interface Side {
  readonly family: Family;
  readonly tracker: NodeViewTracker;
  readonly backend: Backend;
  /** The last apply was rejected: the next one looks at everything. */
  failed: boolean;
  refused: ProxyStatus['refused'];
  appliedVersion: number;
}

/** Follows the model and keeps one backend a family in step with it, at its own pace. */
export class Proxier implements AsyncDisposable {
  readonly status: Cell<ProxyStatus>;
  readonly #deps: ProxierDeps;
  readonly #options: ProxierOptions;
  readonly #sides: readonly Side[];
  readonly #loop: SyncLoop;
  readonly #subscription: Disposable;

  private constructor(deps: ProxierDeps, options: ProxierOptions, sides: readonly Side[]) {
    this.#deps = deps;
    this.#options = options;
    this.#sides = sides;
    this.status = new Cell<ProxyStatus>({ mode: options.settings.mode, appliedVersion: 0, refused: [] });
    this.#loop = new SyncLoop(
      deps,
      {
        minIntervalMs: options.minSyncMs,
        retryIntervalMs: options.syncPeriodMs,
        maxIntervalMs: options.syncPeriodMs,
      },
      (signal) => this.#sync(signal),
    );
    this.#subscription = deps.snapshots.subscribe(() => this.#loop.mark());
  }

  /** Opens the backends and serves what the snapshot holds now. */
  static async open(deps: ProxierDeps, options: ProxierOptions): Promise<Proxier> {
    const { settings } = options;
    const log = deps.log.with({ part: 'proxy' });
    const sides = await Promise.all(
      settings.families.map(async (family) => ({
        family,
        backend: await openBackend(settings.mode, { ...deps, log }, { ...options, family }),
        tracker: new NodeViewTracker(deps.snapshots, settingsOf(deps, settings, family)),
        failed: false,
        refused: [],
        appliedVersion: 0,
      })),
    );
    const proxier = new Proxier({ ...deps, log }, options, sides);
    await proxier.#sync(new AbortController().signal);
    proxier.#loop.mark();
    return proxier;
  }

  /** The views as compiled for this node, for trace. */
  get views(): readonly NodeView[] {
    return this.#sides.map(({ tracker }) => tracker.view);
  }

  get backends(): readonly Backend[] {
    return this.#sides.map(({ backend }) => backend);
  }

  /** Resolves once every family serves this Snapshot version (or a later one). */
  async applied(version: number, signal?: AbortSignal): Promise<void> {
    if (this.status.current.value.appliedVersion >= version) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        subscription[Symbol.dispose]();
        reject(signal?.reason as Error);
      };
      const subscription = this.status.subscribe(({ value }) => {
        if (value.appliedVersion < version) return;
        subscription[Symbol.dispose]();
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription[Symbol.dispose]();
    await this.#loop[Symbol.asyncDispose]();
    await Promise.all(this.#sides.map(({ backend }) => backend[Symbol.asyncDispose]()));
  }

  /** Both families are tried; what failed is thrown together so that the loop retries. */
  async #sync(signal: AbortSignal): Promise<void> {
    const outcomes = await Promise.allSettled(this.#sides.map((side) => this.#syncSide(side, signal)));
    const next: ProxyStatus = {
      mode: this.#options.settings.mode,
      appliedVersion: Math.min(...this.#sides.map((side) => side.appliedVersion)),
      refused: this.#sides.flatMap((side) => side.refused),
    };
    this.#logRefusals(next);
    this.status.publish(next);
    const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join('; '));
  }

  async #syncSide(side: Side, signal: AbortSignal): Promise<void> {
    const node = settingsOf(this.#deps, this.#options.settings, side.family);
    if (!isDeepStrictEqual(node, side.tracker.view.node)) side.tracker.reconfigure(node);
    const { version } = this.#deps.snapshots.snapshot;
    const { view, changes, previous } = side.tracker.refresh();
    const complete = changes.complete && !side.failed;
    side.failed = true;
    const applied = await side.backend.apply(view, { ...changes, complete }, previous, signal);
    side.failed = false;
    side.refused = applied.refused;
    side.appliedVersion = version;
    if (applied.changedPorts > 0)
      this.#deps.log.debug('synced', {
        family: side.family,
        full: applied.full,
        ports: applied.changedPorts,
        durationMs: Math.round(applied.durationMs * 100) / 100,
      });
  }

  /** Each refusal is told once, when it appears. */
  #logRefusals(next: ProxyStatus): void {
    const told = new Set(this.status.current.value.refused.map(({ key, reason }) => `${key} ${reason}`));
    for (const { key, reason } of next.refused)
      if (!told.has(`${key} ${reason}`)) this.#deps.log.warn('service port refused', { key, reason });
  }
}

function settingsOf(deps: ProxierDeps, settings: ProxySettings, family: Family): NodeView['node'] {
  const node = deps.snapshots.snapshot.nodes.get(settings.nodeName);
  return nodeSettings(settings, family, deps.hostAddresses(), node);
}
