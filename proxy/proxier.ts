import type { NodeView } from '../endpoints/node-view.ts';
import type { NodeEntry, SnapshotSource } from '../endpoints/snapshot.ts';
import { Cell } from '../src/base/cell.ts';
import type { Clock } from '../src/base/clock.ts';
import type { Logger } from '../src/base/log.ts';
import type { Registry } from '../src/base/metrics.ts';
import { SyncLoop } from '../src/base/sync-loop.ts';
import type { Exec } from '../src/net/exec.ts';
import type { Family } from '../src/net/ip.ts';
import type { OpenNetlink } from '../src/net/netlink/socket.ts';
import type { Backend, ProxyMode } from './backend.ts';
import { openBackend, type BackendOptions } from './backends.ts';
import { FamilySide } from './family-side.ts';
import { ProxyHealth } from './health/health.ts';
import { openHealthz } from './health/healthz.ts';
import type { HttpListener } from './http-listener.ts';
import { NO_METRICS, openProxyMetrics, type ProxyMetrics } from './metrics/metrics.ts';
import { openPacketMetrics } from './metrics/packets.ts';
import { nodeSettings, type ProxySettings } from './settings.ts';
import { EndpointProber } from './probe/endpoint-prober.ts';
import { openTrafficMetrics } from './metrics/traffic.ts';

export interface ProxierDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
  readonly openNetlink?: OpenNetlink;
  readonly metrics?: Registry;
  /** Addresses of this host, asked at each sync. */
  readonly hostAddresses: () => readonly string[];
  /** Whether everything beside the proxy is up, for /readyz. */
  readonly isReady?: () => boolean;
}

export interface ProxierOptions extends Omit<BackendOptions, 'family'> {
  readonly settings: ProxySettings;
  /** At least this long between two syncs. */
  readonly minSyncMs: number;
  /** A failed sync is repeated after this long; host addresses are looked at as often. */
  readonly syncPeriodMs: number;
  /** Where /healthz, /livez and /readyz answer; undefined = nowhere. */
  readonly healthz?: { readonly address: string | undefined; readonly port: number };
  /** Connects to endpoints at times and leaves out those that do not answer. */
  readonly probeEndpoints?: boolean;
}

/** What the proxy did last, for conditions on Services, health and trace. */
export interface ProxyStatus {
  readonly mode: ProxyMode;
  /** The Snapshot version that all families have reached. */
  readonly appliedVersion: number;
  /** Service ports that cannot be served, by `namespace/name:portName/PROTOCOL`. */
  readonly refused: readonly { readonly key: string; readonly reason: string }[];
}

/** Follows the model and keeps one backend a family in step with it, at its own pace. */
export class Proxier implements AsyncDisposable {
  readonly status: Cell<ProxyStatus>;
  readonly health: ProxyHealth;
  readonly #deps: ProxierDeps;
  readonly #options: ProxierOptions;
  readonly #metrics: ProxyMetrics;
  readonly #sides: FamilySide[] = [];
  /** Backends of a former mode that still hold connections. */
  readonly #retired: Backend[] = [];
  readonly #loop: SyncLoop;
  #subscription: Disposable | undefined;
  #healthz: HttpListener | undefined;
  #prober: EndpointProber | undefined;
  #settings: ProxySettings;
  #mode: ProxyMode;
  #seenVersion = 0;

  private constructor(deps: ProxierDeps, options: ProxierOptions) {
    const { settings, minSyncMs, syncPeriodMs } = options;
    this.#deps = { ...deps, log: deps.log.with({ part: 'proxy' }) };
    this.#options = options;
    this.#settings = settings;
    this.#mode = settings.mode;
    this.#metrics = deps.metrics ? openProxyMetrics(deps.metrics) : NO_METRICS;
    this.status = new Cell<ProxyStatus>({ mode: settings.mode, appliedVersion: 0, refused: [] });
    const node = (): NodeEntry | undefined => deps.snapshots.snapshot.nodes.get(this.#settings.nodeName);
    // without any Node object there is no cluster that could have removed this one
    const isKnown = (): boolean => deps.snapshots.snapshot.nodes.size > 0;
    this.health = new ProxyHealth(
      { clock: deps.clock, node, isKnown },
      { families: settings.families, pendingMaxMs: 2 * syncPeriodMs },
    );
    const pace = {
      minIntervalMs: minSyncMs,
      retryIntervalMs: syncPeriodMs,
      maxIntervalMs: syncPeriodMs,
    };
    this.#loop = new SyncLoop(this.#deps, pace, (signal) => this.#sync(signal));
    if (!deps.metrics) return;
    openTrafficMetrics(deps.metrics, () => this.backends);
    openPacketMetrics(deps.metrics, () => this.backends);
  }

  /** Opens the backends and serves what the snapshot holds now, or rejects and leaves nothing open. */
  static async open(deps: ProxierDeps, options: ProxierOptions): Promise<Proxier> {
    const proxier = new Proxier(deps, options);
    try {
      await proxier.#start(new AbortController().signal);
    } catch (error) {
      await proxier[Symbol.asyncDispose]();
      throw error;
    }
    return proxier;
  }

  /** The views as compiled for this node, for trace. */
  get views(): readonly NodeView[] {
    return this.#sides.map(({ view }) => view);
  }

  get backends(): readonly Backend[] {
    return this.#sides.map(({ backend }) => backend);
  }

  /** The port that /healthz got. */
  get healthzPort(): number | undefined {
    return this.#healthz?.port;
  }

  /** Takes new settings at the next sync. A new mode serves before the old one lets go. */
  reconfigure(settings: ProxySettings): void {
    this.#settings = { ...settings, families: this.#settings.families };
    this.#loop.mark();
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

  /** Stops following; kernel rules stay and serve on, sockets drain. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription?.[Symbol.dispose]();
    await this.#loop[Symbol.asyncDispose]();
    await this.#healthz?.[Symbol.asyncDispose]();
    await this.#prober?.[Symbol.asyncDispose]();
    await Promise.all([...this.#sides, ...this.#retired].map((owner) => owner[Symbol.asyncDispose]()));
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { healthz, settings } = this.#options;
    const prober = this.#options.probeEndpoints ? this.#openProber() : undefined;
    const isOut = prober && ((address: string, port: number) => prober.isOut(address, port));
    const deps = { ...this.#deps, metrics: this.#metrics, health: this.health, ...(isOut && { isOut }) };
    for (const family of settings.families) {
      const backend = await this.#openBackend(family);
      this.#sides.push(new FamilySide(deps, backend, this.#nodeSettings(family)));
    }
    const count = (path: 'healthz' | 'livez', status: number): void => this.#metrics.health(path, status);
    const { isReady } = this.#deps;
    const reply = { health: this.health, count, ...(isReady && { isReady }) };
    if (healthz) this.#healthz = await openHealthz(reply, healthz);
    await this.#sync(signal);
    this.#subscription = this.#deps.snapshots.subscribe((version) => this.#changed(version));
    this.#changed(this.#deps.snapshots.snapshot.version);
  }

  #openProber(): EndpointProber {
    const onChange = (services: ReadonlySet<string>): void => {
      for (const side of this.#sides) side.mark(services);
      this.#loop.mark();
    };
    return (this.#prober = new EndpointProber({ ...this.#deps, onChange }));
  }

  #changed(version: number): void {
    const { services } = this.#deps.snapshots.changesSince(this.#seenVersion);
    this.#seenVersion = version;
    this.#metrics.changed(services.size);
    this.health.queued();
    this.#loop.mark();
  }

  #openBackend(family: Family): Promise<Backend> {
    return openBackend(this.#settings.mode, this.#deps, { ...this.#options, family });
  }

  #nodeSettings(family: Family): NodeView['node'] {
    const node = this.#deps.snapshots.snapshot.nodes.get(this.#settings.nodeName);
    return nodeSettings(this.#settings, family, this.#deps.hostAddresses(), node);
  }

  /** Every family is tried; what failed is thrown together so that the loop retries. */
  async #sync(signal: AbortSignal): Promise<void> {
    // a mode that cannot be opened leaves the old one serving, and in step
    const switched = this.#settings.mode === this.#mode ? undefined : this.#switchMode(signal);
    const [outcome] = await Promise.allSettled([switched]);
    const outcomes = await Promise.allSettled(
      this.#sides.map((side) => side.sync(this.#nodeSettings(side.family), signal)),
    );
    const next: ProxyStatus = {
      mode: this.#mode,
      appliedVersion: Math.min(...this.#sides.map((side) => side.appliedVersion)),
      refused: this.#sides.flatMap((side) => side.refused),
    };
    this.#logRefusals(next);
    this.status.publish(next);
    await this.#releaseRetired();
    const errors = [outcome, ...outcomes].flatMap((each) =>
      each?.status === 'rejected' ? [each.reason as Error] : [],
    );
    // what the host lacks, every family says
    const messages = new Set(errors.map(String));
    if (messages.size > 1) throw new AggregateError(errors, [...messages].join('; '));
    if (errors[0]) throw errors[0];
  }

  async #switchMode(signal: AbortSignal): Promise<void> {
    const { mode } = this.#settings;
    for (const side of this.#sides) {
      if (side.backend.mode === mode) continue;
      const next = this.#recalled(side.family) ?? (await this.#openBackend(side.family));
      this.#retired.push(await side.replaceBackend(next, signal));
    }
    this.#deps.log.info('mode switched', { from: this.#mode, to: mode });
    this.#mode = mode;
  }

  /** A backend of this mode that still holds connections: two of them would remove each other's traces. */
  #recalled(family: Family): Backend | undefined {
    const { mode } = this.#settings;
    const at = this.#retired.findIndex((backend) => backend.mode === mode && backend.family === family);
    return at < 0 ? undefined : this.#retired.splice(at, 1)[0];
  }

  /** A former mode is let go once its last connection has ended. */
  async #releaseRetired(): Promise<void> {
    for (const backend of this.#retired.filter(({ activeCount = 0 }) => activeCount === 0)) {
      this.#retired.splice(this.#retired.indexOf(backend), 1);
      await backend[Symbol.asyncDispose]();
    }
  }

  /** Each refusal is told once, when it appears. */
  #logRefusals(next: ProxyStatus): void {
    const told = new Set(this.status.current.value.refused.map(({ key, reason }) => `${key} ${reason}`));
    for (const { key, reason } of next.refused)
      if (!told.has(`${key} ${reason}`)) this.#deps.log.warn('service port refused', { key, reason });
  }
}
