import type net from 'node:net';
import { EngineMetrics } from '../src/net/engine-metrics.ts';
import type { ClientHello } from './certificates/client-hello.ts';
import type { OcspStapler } from './certificates/ocsp-stapler.ts';
import type { ServerTls } from './certificates/server-names.ts';
import type { RouteTable } from './compile/route-table.ts';
import type { Configuration } from './configuration.ts';
import type { IngressDeps, IngressOptions } from './controller-options.ts';
import type { ClientSocketsDeps } from './listen/client-sockets.ts';
import type { HttpListener } from './listen/listener.ts';
import { openListeners } from './listen/open-listeners.ts';
import { NativePlane, type NativePlaneOptions } from './native/native-plane.ts';
import type { ControllerMetrics } from './observe/controller-metrics.ts';
import type { TrafficObserver } from './observe/traffic.ts';
import type { Gateway } from './relay/gateway.ts';
import type { GlobalSettings } from './settings.ts';
import { StreamExposure } from './streams/exposure.ts';
import { passthroughFor } from './streams/passthrough.ts';
import { type StreamDeps, tie } from './streams/tcp-port.ts';
import type { TimerWheel } from './timer-wheel.ts';
import { ClusterSet } from './upstream/clusters.ts';

export interface FrontDeps extends IngressDeps {
  readonly configuration: Configuration;
  readonly gateway: Gateway;
  readonly wheel: TimerWheel;
  readonly observer: TrafficObserver;
  readonly controllerMetrics: ControllerMetrics;
  readonly stapler: OcspStapler;
  /** An endpoint failed so often that it is left alone for a while. */
  readonly ejected: (backend: string, endpoint: string) => void;
}

/** Every socket that clients connect to: HTTP of both engines, ports of TCP and UDP services, ssl-passthrough. */
export class Front implements AsyncDisposable {
  readonly listeners: HttpListener[] = [];
  readonly #deps: FrontDeps;
  readonly #options: IngressOptions;
  /** Backends of TCP and UDP ports and of ssl-passthrough. */
  readonly #streamClusters: ClusterSet;
  #exposure: StreamExposure | undefined;
  /** Serves HTTP/1.1, where the native engine was chosen. */
  #plane: NativePlane | undefined;

  constructor(deps: FrontDeps, options: IngressOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#streamClusters = new ClusterSet({ ...deps, endpointGone: () => {} });
  }

  /** Rejects with Fault INGRESS_LISTEN; what was opened until then goes with the disposal. */
  async open(): Promise<void> {
    const { log, metrics } = this.#deps;
    const clients = this.#clients();
    const native = (where: NativePlaneOptions): readonly HttpListener[] => this.#listenNative(clients, where);
    await openListeners({ log, clients, native }, this.#options, this.listeners);
    const { streams } = this.#options;
    if (!streams) return;
    const reserved = new Set(this.listeners.map(({ address }) => address.port));
    const deps = { ...this.#streamDeps(), log, metrics };
    this.#exposure = new StreamExposure(deps, { host: streams.host, reserved });
  }

  /** The sum of what the listeners count. */
  sum(pick: (listener: HttpListener) => number): number {
    return this.listeners.reduce((total, listener) => total + pick(listener), 0);
  }

  /** Puts another table in force where the gateway does not see the requests. */
  async publish(table: RouteTable, settings: GlobalSettings): Promise<void> {
    await this.#plane?.publish(table, settings);
  }

  /** Forgets backends that nothing routes to. */
  retain(clusterIds: ReadonlySet<string>): void {
    this.#plane?.retain(clusterIds);
  }

  /** Opens and closes the ports of TCP and UDP services as their ConfigMaps say now. */
  async applyStreams(): Promise<void> {
    const { streams } = this.#options;
    if (!streams || !this.#exposure) return;
    const { configMaps } = this.#deps.configuration.objects;
    for (const [protocol, key] of [
      ['tcp', streams.tcpConfigMap],
      ['udp', streams.udpConfigMap],
    ] as const)
      if (key !== undefined) await this.#exposure.apply(protocol, configMaps.get(key));
  }

  /** Stops accepting HTTP; open connections finish what they have. */
  drain(): void {
    for (const listener of this.listeners) listener.drain();
  }

  /** Closes what is open, tunnels too. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exposure?.[Symbol.asyncDispose]();
    this.#deps.gateway.cutTunnels();
    for (const listener of this.listeners.toReversed()) await listener[Symbol.asyncDispose]();
    this.#streamClusters[Symbol.dispose]();
  }

  #clients(): ClientSocketsDeps {
    const { log, wheel, gateway, observer, challenges, configuration, stapler, controllerMetrics } =
      this.#deps;
    return {
      wheel,
      settings: () => gateway.settings,
      exchangeStarted: (exchange, failed) => gateway.serve(exchange, failed),
      badRequest: ({ clientAddress }, { status, reason }) => {
        observer.badRequest(status);
        log.info('bad request', { client: clientAddress, status, reason });
      },
      serverTls: (hello) =>
        challenges?.serverTls(hello.serverName, hello.alpn) ??
        configuration.serverNames.lookup(hello.serverName),
      staple: (certificate) => (gateway.settings.enableOcsp ? stapler.staple(certificate) : undefined),
      passThrough: (socket, hello) => this.#passThrough(socket, hello),
      refused: (reason) => {
        controllerMetrics.refused(reason);
        log.debug('connection refused', { reason });
      },
    };
  }

  #listenNative(clients: ClientSocketsDeps, where: NativePlaneOptions): readonly HttpListener[] {
    const { clock, log, snapshots, resolve, accessLog, metrics, observer, ejected } = this.#deps;
    const { controllerMetrics, configuration } = this.#deps;
    this.#plane = NativePlane.open(
      {
        clock,
        log,
        metrics: EngineMetrics.on(metrics),
        snapshots,
        resolve,
        accessLog,
        clientCa: (secretKey) => configuration.clientCa(secretKey),
        responseHeaders: (configMap) => configuration.responseHeaders(configMap),
        clients,
        serverTls: (name) => this.#nativeTls(name),
        refused: (reason) => clients.refused(reason),
        tallied: (labels, memory) => observer.tallied(labels, memory),
        ejected,
        handedOver: (why) => controllerMetrics.handedOver(why),
      },
      where,
    );
    return this.#plane.listeners;
  }

  /** How the native engine speaks TLS by a server name; undefined = the portable one does all of it. */
  #nativeTls(name: string): ServerTls | undefined {
    const { configuration } = this.#deps;
    const serverName = name === '' ? undefined : name;
    if (passthroughFor(configuration.passthrough, serverName)) return undefined;
    const server = configuration.serverNames.lookup(serverName);
    // without the authority of its clients a name is answered with an error
    return server.options.requestCert && server.clientCa === undefined ? undefined : server;
  }

  #streamDeps(): StreamDeps {
    const { wheel, clock, gateway, log } = this.#deps;
    return {
      wheel,
      nowMs: () => clock.monotonicMs(),
      cluster: (target) => this.#streamClusters.get(target.key, target.backend, false),
      tunnelOpened: (tunnel) => gateway.tunnelOpened(tunnel),
      dropped: (reason) => log.debug('stream went nowhere', { reason }),
    };
  }

  /** ssl-passthrough: the endpoint speaks TLS itself; the bytes are not ours to read. */
  #passThrough(socket: net.Socket, { serverName }: ClientHello): boolean {
    const target = passthroughFor(this.#deps.configuration.passthrough, serverName);
    if (!target) return false;
    const deps = this.#streamDeps();
    void tie(socket, deps.cluster(target), deps, '');
    return true;
  }
}
