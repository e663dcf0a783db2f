import { sleep } from '../src/base/clock.ts';
import { SyncLoop } from '../src/base/sync-loop.ts';
import type { IngressLoadBalancerIngress } from '../src/api/kinds/ingress.ts';
import type { KubeObject } from '../src/api/kinds/meta.ts';
import type { ObjectSink } from '../src/api/kinds/object-sink.ts';
import { wantedCertificates } from './acme/wanted.ts';
import { Gatekeeper } from './access/gatekeeper.ts';
import { ExternalAuth } from './access/external-auth.ts';
import { RateLimits } from './access/rate-limit.ts';
import { ActiveChecks } from './balance/active-checks.ts';
import { Chooser } from './balance/chooser.ts';
import { orphansOf } from './observe/orphans.ts';
import { OtlpExporter } from './observe/tracing/otlp-exporter.ts';
import { TrafficObserver } from './observe/traffic.ts';
import { Mirrors } from './relay/mirrors.ts';
import { SideRequests } from './upstream/side-requests.ts';
import { Configuration } from './configuration.ts';
import type { RouteTable } from './compile/route-table.ts';
import { defaultSettings } from './default-settings.ts';
import { CLUSTER_SWEEP_MS } from './limits.ts';
import { Front } from './front.ts';
import type { HttpListener } from './listen/listener.ts';
import { netConnector } from './net-wire.ts';
import { certificateOf } from './certificates/certificate-store.ts';
import { OcspStapler } from './certificates/ocsp-stapler.ts';
import { selfSignedCertificate } from '../src/net/self-signed.ts';
import { Gateway } from './relay/gateway.ts';
import { RequestIds } from './relay/request-id.ts';
import type { IngressDeps, IngressOptions } from './controller-options.ts';
import { ControllerMetrics, type ControllerState } from './observe/controller-metrics.ts';
import type { GlobalSettings } from './settings.ts';
import { TimerWheel } from './timer-wheel.ts';
import { ClusterSet } from './upstream/clusters.ts';
import { IdleBudget } from './upstream/pool.ts';
import { Upstreams } from './upstream/upstreams.ts';

const SYNC = { minIntervalMs: 20, retryIntervalMs: 1_000, maxIntervalMs: 0 };
const DRAIN_POLL_MS = 20;

/** The ingress: takes objects in, serves HTTP out. Open returns it listening; disposal drains. */
export class IngressController implements ObjectSink, AsyncDisposable {
  readonly #deps: IngressDeps;
  readonly #options: IngressOptions;
  readonly #configuration: Configuration;
  readonly #gateway: Gateway;
  readonly #wheel: TimerWheel;
  readonly #clusters: ClusterSet;
  readonly #upstreams: Upstreams;
  readonly #sideRequests: SideRequests;
  readonly #checks: ActiveChecks;
  readonly #observer: TrafficObserver;
  readonly #exporter: OtlpExporter;
  readonly #metrics: ControllerMetrics;
  readonly #front: Front;
  readonly #loop: SyncLoop;
  #applied: (() => void)[] = [];
  #sweepDueMs = 0;

  private constructor(deps: IngressDeps, options: IngressOptions, configuration: Configuration) {
    this.#deps = deps;
    this.#options = options;
    this.#configuration = configuration;
    this.#wheel = new TimerWheel({ clock: deps.clock });
    this.#sideRequests = new SideRequests(deps);
    this.#checks = new ActiveChecks(deps);
    this.#exporter = new OtlpExporter({ ...deps, requests: this.#sideRequests });
    this.#observer = new TrafficObserver({
      exporter: this.#exporter,
      metrics: deps.metrics,
      clock: deps.clock,
      accessLog: deps.accessLog,
    });
    const settings: GlobalSettings = { ...defaultSettings(options.strict), ...options.settings };
    const upstreams = new Upstreams(
      {
        wheel: this.#wheel,
        connector: deps.connector ?? netConnector,
        secret: (key) => configuration.objects.secrets.get(key),
        idleBudget: new IdleBudget(settings.upstreamIdleConnectionsMax),
      },
      { idleMs: settings.upstreamIdleMs, requestsMax: settings.upstreamRequestsMax },
    );
    this.#upstreams = upstreams;
    this.#clusters = new ClusterSet({
      snapshots: deps.snapshots,
      clock: deps.clock,
      log: deps.log,
      resolve: deps.resolve,
      endpointGone: (endpoint) => upstreams.retire(endpoint),
    });
    this.#gateway = new Gateway(
      {
        clock: deps.clock,
        log: deps.log,
        wheel: this.#wheel,
        upstreams,
        gatekeeper: gatekeeperOf(deps, configuration, this.#sideRequests),
        chooser: new Chooser({
          clock: deps.clock,
          random: deps.random,
          ejected: (cluster, endpoint) => this.#ejected(cluster.key, endpoint.id),
        }),
        observer: this.#observer,
        requestIds: new RequestIds(),
        challenges: deps.challenges,
        mirrors: new Mirrors(this.#sideRequests),
        checks: this.#checks,
        responseHeaders: (key) => configuration.responseHeaders(key),
        cluster: (target, serviceUpstream) => this.#clusters.get(target.key, target.backend, serviceUpstream),
      },
      settings,
    );
    this.#metrics = new ControllerMetrics(deps.metrics, options.controllerName, this.#state());
    this.#front = new Front(
      {
        ...deps,
        configuration,
        gateway: this.#gateway,
        wheel: this.#wheel,
        observer: this.#observer,
        controllerMetrics: this.#metrics,
        stapler: new OcspStapler(deps),
        ejected: (backend, endpoint) => this.#ejected(backend, endpoint),
      },
      options,
    );
    this.#loop = new SyncLoop({ clock: deps.clock, log: deps.log }, SYNC, () => this.#sync());
  }

  static async open(deps: IngressDeps, options: IngressOptions): Promise<IngressController> {
    const log = deps.log.with({ part: 'ingress' });
    const pair = await selfSignedCertificate(
      'weft default certificate',
      ['ingress.local'],
      deps.clock.nowMs(),
    );
    const fallback = certificateOf('default', pair);
    if (typeof fallback === 'string') throw new Error(`default certificate: ${fallback}`);
    let controller: IngressController | undefined;
    const configuration = new Configuration({ log, changed: () => controller?.mark() }, options, fallback);
    controller = new IngressController({ ...deps, log }, options, configuration);
    try {
      await controller.#front.open();
    } catch (error) {
      await controller[Symbol.asyncDispose]();
      throw error;
    }
    return controller;
  }

  /** Every bound address, in start order. */
  get addresses(): readonly {
    readonly protocol: 'http' | 'https';
    readonly host: string;
    readonly port: number;
  }[] {
    return this.#front.listeners.map((listener) => ({
      protocol: listener.secure ? 'https' : 'http',
      ...listener.address,
    }));
  }

  /** The first complete lists have been compiled and are being served. */
  get ready(): boolean {
    return this.#configuration.applied && this.#deps.snapshots.snapshot.synced;
  }

  get table(): RouteTable {
    return this.#gateway.table;
  }

  upsert(object: KubeObject): void {
    this.#configuration.objects.upsert(object);
  }

  remove(object: KubeObject): void {
    this.#configuration.objects.remove(object);
  }

  synced(apiVersion: string, kind: string): void {
    this.#configuration.objects.synced(apiVersion, kind);
  }

  mark(): void {
    this.#loop.mark();
  }

  /** What clients can reach us by, as of now: every Ingress of ours will show it. */
  publishAddresses(addresses: readonly IngressLoadBalancerIngress[]): void {
    this.#configuration.setStatusAddresses(addresses);
    this.mark();
  }

  /** Resolves when everything given so far is being served. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#applied.push(resolve);
      this.mark();
    });
  }

  /** Stops accepting, waits for what is under way until the deadline, cuts the rest. */
  async drain(deadlineMs: number): Promise<boolean> {
    this.#front.drain();
    const end = this.#deps.clock.monotonicMs() + deadlineMs;
    const busy = (): boolean =>
      this.#gateway.active > 0 || this.#front.sum(({ connectionCount }) => connectionCount) > 0;
    while (busy() && this.#deps.clock.monotonicMs() < end) await sleep(this.#deps.clock, DRAIN_POLL_MS);
    return this.#gateway.active === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
    await this.drain(this.#gateway.settings.drainMs);
    await this.#front[Symbol.asyncDispose]();
    this.#clusters[Symbol.dispose]();
    this.#upstreams[Symbol.dispose]();
    await this.#exporter[Symbol.asyncDispose]();
    await this.#checks[Symbol.asyncDispose]();
    await this.#sideRequests[Symbol.asyncDispose]();
    this.#wheel[Symbol.dispose]();
  }

  #ejected(backend: string, endpoint: string): void {
    this.#metrics.ejected(backend);
    this.#deps.log.warn('endpoint left alone after failures', { backend, endpoint });
  }

  #state(): ControllerState {
    // read when somebody asks: the front is opened last
    const sum = (pick: (listener: HttpListener) => number): number => this.#front.sum(pick);
    return {
      connections: () => ({
        active: sum((listener) => listener.connectionCount),
        accepted: sum((listener) => listener.acceptedCount),
      }),
      requests: () => ({ active: this.#gateway.active + sum((listener) => listener.requestCount) }),
      hosts: () => this.#gateway.table.hosts.size,
      ingresses: () => this.#configuration.ingresses.size,
      certificates: () => this.#configuration.servedCertificates(),
      orphans: () => orphansOf(this.#configuration.ingresses.values(), this.#deps.snapshots.snapshot),
    };
  }

  /** Redirects lead to the port we listen on, unless somebody says better. */
  #withPort(settings: GlobalSettings): GlobalSettings {
    if (this.#options.settings?.httpsPort !== undefined) return settings;
    const port = this.#front.listeners.find(({ secure }) => secure)?.address.port;
    return port === undefined ? settings : { ...settings, httpsPort: port };
  }

  /** Backends nothing routes to are forgotten now and then, not with every change. */
  #sweepClusters(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs < this.#sweepDueMs) return;
    this.#sweepDueMs = nowMs + CLUSTER_SWEEP_MS;
    const ids = this.#configuration.clusterIds();
    this.#clusters.retain(ids);
    this.#front.retain(ids);
  }

  async #sync(): Promise<void> {
    const waiting = this.#applied;
    this.#applied = [];
    const next = this.#configuration.apply();
    const settings = this.#withPort(next.settings);
    this.#gateway.publish(next.table, settings);
    await this.#front.publish(next.table, settings);
    this.#sweepClusters();
    this.#metrics.swapped(this.#deps.clock.nowMs());
    await this.#front.applyStreams();
    const secrets = this.#configuration.takeSecretReferences();
    if (secrets) this.#deps.needSecrets?.(secrets);
    this.#deps.wantCertificates?.(wantedCertificates(this.#configuration.askingIngresses()));
    for (const [ingress, report] of this.#configuration.takeReports()) this.#deps.report?.(ingress, report);
    for (const resolve of waiting) resolve();
    for (const { ingress, addresses } of this.#configuration.takeStatuses())
      await this.#deps.publishStatus(ingress, addresses);
  }
}

function gatekeeperOf(deps: IngressDeps, configuration: Configuration, requests: SideRequests): Gatekeeper {
  return new Gatekeeper({
    secret: (key) => configuration.objects.secrets.get(key),
    limits: new RateLimits({ clock: deps.clock }),
    external: new ExternalAuth({
      clock: deps.clock,
      requests,
      fields: (key) => configuration.fieldsOf(key),
    }),
  });
}
