import { isDeepStrictEqual } from 'node:util';
import { NodeViewTracker, type NodeViewDelta } from '../endpoints/node-view-tracker.ts';
import type { NodeView } from '../endpoints/node-view.ts';
import type { IsOut } from '../endpoints/port-views.ts';
import type { SnapshotSource } from '../endpoints/snapshot.ts';
import type { Clock } from '../src/base/clock.ts';
import type { Logger } from '../src/base/log.ts';
import type { Family } from '../src/net/ip.ts';
import type { Applied, Backend } from './backend.ts';
import { HealthCheckPorts } from './health/check-ports.ts';
import type { ProxyHealth } from './health/health.ts';
import type { ProxyMetrics } from './metrics/metrics.ts';
import { MODE_TRAITS } from './mode-traits.ts';
import { healthCheckAddresses } from './packet/node-ports.ts';

export interface FamilySideDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ProxyMetrics;
  readonly health: ProxyHealth;
  /** Leaves out endpoints that do not answer probes. */
  readonly isOut?: IsOut;
}

/** One address family of the proxy: its view, its backend, its health check ports. */
export class FamilySide implements AsyncDisposable {
  readonly family: Family;
  readonly #deps: FamilySideDeps;
  readonly #tracker: NodeViewTracker;
  readonly #healthChecks: HealthCheckPorts;
  readonly #withoutLocal = { internal: new Set<string>(), external: new Set<string>() };
  #backend: Backend;
  /** The last apply did not finish: the next one looks at everything. */
  #incomplete = true;
  #refused: Applied['refused'] = [];
  #appliedVersion = 0;

  constructor(deps: FamilySideDeps, backend: Backend, node: NodeView['node']) {
    this.family = backend.family;
    this.#deps = deps;
    this.#backend = backend;
    this.#tracker = new NodeViewTracker(deps.snapshots, node, deps.isOut);
    const isHealthy = (): boolean => deps.health.healthy;
    this.#healthChecks = new HealthCheckPorts(
      { log: deps.log, isHealthy },
      {
        family: this.family,
        addresses: () => healthCheckAddresses(this.#tracker.view.node, MODE_TRAITS[this.#backend.mode]),
      },
    );
  }

  get view(): NodeView {
    return this.#tracker.view;
  }

  get backend(): Backend {
    return this.#backend;
  }

  get refused(): Applied['refused'] {
    return this.#refused;
  }

  get appliedVersion(): number {
    return this.#appliedVersion;
  }

  /** What probes say of these services' endpoints has changed. */
  mark(services: ReadonlySet<string>): void {
    this.#tracker.mark(services);
  }

  /** Brings the backend to the newest snapshot; rejects with what the backend rejected with. */
  async sync(node: NodeView['node'], signal: AbortSignal): Promise<void> {
    const { snapshots, clock, health, metrics, log } = this.#deps;
    if (!isDeepStrictEqual(node, this.#tracker.view.node)) this.#tracker.reconfigure(node);
    const startedMs = clock.nowMs();
    const { version } = snapshots.snapshot;
    const delta = this.#tracker.refresh();
    const changes = { ...delta.changes, complete: delta.changes.complete && !this.#incomplete };
    this.#incomplete = true;
    const applied = await this.#apply(delta, changes, signal);
    this.#incomplete = false;
    this.#refused = applied.refused;
    this.#appliedVersion = version;
    health.updated(this.family, startedMs);
    const { full, durationMs } = applied;
    metrics.synced({
      family: this.family,
      mode: this.#backend.mode,
      applied,
      programmingMs: this.#programmingMs(delta),
      endpointChanges: endpointChanges(delta),
    });
    this.#countWithoutLocal(delta);
    await this.#healthChecks.update(delta.view, changes);
    if (applied.changedPorts > 0) {
      const rounded = Math.round(durationMs * 100) / 100;
      log.debug('synced', { family: this.family, full, ports: applied.changedPorts, durationMs: rounded });
    }
  }

  /**
   * Puts another mode in place: the new one serves everything before the old one lets go. Returns the old
   * backend, which may still hold connections.
   */
  async replaceBackend(next: Backend, signal: AbortSignal): Promise<Backend> {
    const before = this.#backend;
    const { view } = this.#tracker.refresh();
    await next.apply(view, { complete: false, ports: new Set() }, new Map(), signal);
    this.#backend = next;
    this.#incomplete = true;
    await before.cleanup(signal);
    return before;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#healthChecks[Symbol.asyncDispose]();
    await this.#backend[Symbol.asyncDispose]();
  }

  async #apply(
    { view, previous }: NodeViewDelta,
    changes: NodeViewDelta['changes'],
    signal: AbortSignal,
  ): Promise<Applied> {
    try {
      return await this.#backend.apply(view, changes, previous, signal);
    } catch (error) {
      this.#deps.metrics.failed(this.family, this.#backend.mode, changes.complete);
      throw error;
    }
  }

  /** Only for changes of endpoints that say when they were made, and not for the first sync. */
  #programmingMs({ view, changes, previous }: NodeViewDelta): readonly number[] {
    if (!changes.complete) return [];
    const nowMs = this.#deps.clock.nowMs();
    const samples: number[] = [];
    for (const key of changes.ports) {
      const triggerTimeMs = view.ports.get(key)?.triggerTimeMs ?? 0;
      const isNew = triggerTimeMs > 0 && previous.get(key)?.triggerTimeMs !== triggerTimeMs;
      if (isNew && triggerTimeMs <= nowMs) samples.push(nowMs - triggerTimeMs);
    }
    return samples;
  }

  #countWithoutLocal({ view, changes }: NodeViewDelta): void {
    const { internal, external } = this.#withoutLocal;
    for (const key of changes.ports) {
      const port = view.ports.get(key);
      const none = port !== undefined && port.anyEndpoints && port.localEndpoints.length === 0;
      mark(internal, key, none && port.internalLocal);
      mark(external, key, none && port.externalLocal);
    }
    this.#deps.metrics.noLocalEndpoints(this.family, 'internal', internal.size);
    this.#deps.metrics.noLocalEndpoints(this.family, 'external', external.size);
  }
}

/** Ports whose endpoints are others than before. */
function endpointChanges({ view, changes, previous }: NodeViewDelta): number {
  let count = 0;
  for (const key of changes.ports) {
    const [before, now] = [previous.get(key), view.ports.get(key)];
    const isSame =
      isDeepStrictEqual(before?.clusterEndpoints, now?.clusterEndpoints) &&
      isDeepStrictEqual(before?.localEndpoints, now?.localEndpoints);
    if (!isSame) count++;
  }
  return count;
}

function mark(set: Set<string>, key: string, on: boolean): void {
  if (on) set.add(key);
  else set.delete(key);
}
