import net from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import { Fault, messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { EngineMetrics } from '../../src/net/engine-metrics.ts';
import { openStreamListener, type StreamListener } from '../../src/net/native/stream-listener.ts';
import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import type { RouteTable } from '../compile/route-table.ts';
import type { Target } from '../compile/route.ts';
import type { ServerTls } from '../certificates/server-names.ts';
import type { ListenAddress } from '../controller-options.ts';
import { LentSocket } from '../lent-socket.ts';
import { ClientSockets, type ClientSocketsDeps } from '../listen/client-sockets.ts';
import type { HttpListener } from '../listen/listener.ts';
import type { TallyLabels } from '../observe/tallies.ts';
import type { ResponseHeaders } from '../relay/response-policy.ts';
import type { GlobalSettings } from '../settings.ts';
import { ClusterSet, type ResolveName } from '../upstream/clusters.ts';
import { LISTEN_BACKLOG } from './limits.ts';
import type { FromWorker, HandedOver, Order } from './messages.ts';
import { TlsManners } from './tls-manners.ts';
import type { StapleAnswered } from './tls-messages.ts';
import { type LaneSocket, WorkerLane } from './worker-lane.ts';
import { WORKER, type WorkerThread } from './worker-thread.ts';

export interface NativePlaneDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: EngineMetrics;
  readonly snapshots: SnapshotSource;
  readonly resolve: ResolveName;
  readonly accessLog: ((line: string) => void) | undefined;
  /** The authorities of an auth-tls-secret. */
  readonly clientCa: (secretKey: string) => string | undefined;
  /** The fields of a custom-headers ConfigMap. */
  readonly responseHeaders: ResponseHeaders;
  /** Serves what is handed over. */
  readonly clients: ClientSocketsDeps;
  /** How TLS is spoken by a server name, empty = none; undefined = the portable engine does. */
  serverTls(name: string): ServerTls | undefined;
  refused(reason: string): void;
  tallied(labels: TallyLabels, memory: Float64Array): void;
  ejected(cluster: string, endpoint: string): void;
  handedOver(why: Order['kind']): void;
}

export interface NativePlaneOptions {
  readonly addresses: readonly (ListenAddress & { readonly secure: boolean })[];
  /** Threads, each with a socket of its own on every port; the kernel spreads clients over them. */
  readonly workers: number;
  /** Processors that the threads are bound to, in turn; absent = any. */
  readonly cpus?: readonly number[];
}

/** One listening port of the engine, and the connections of it that the portable engine has. */
class NativeListener implements HttpListener {
  readonly secure: boolean;
  readonly address: { readonly host: string; readonly port: number };
  readonly clients: ClientSockets;
  readonly #plane: NativePlane;
  /** Whose counts are told here; they are not kept by port. */
  readonly #threads: readonly WorkerThread[];

  constructor(
    plane: NativePlane,
    { address, port, secure }: LaneSocket,
    clients: ClientSocketsDeps,
    threads: readonly WorkerThread[],
  ) {
    this.#plane = plane;
    this.secure = secure;
    this.address = { host: address, port };
    this.#threads = threads;
    this.clients = new ClientSockets(clients, { secure, port: () => port });
  }

  get acceptedCount(): number {
    return this.#threads.reduce((sum, thread) => sum + thread.acceptedCount, this.clients.acceptedCount);
  }

  get connectionCount(): number {
    return this.#threads.reduce((sum, thread) => sum + thread.connectionCount, this.clients.count);
  }

  get requestCount(): number {
    return this.#threads.reduce((sum, thread) => sum + thread.requestCount, 0);
  }

  drain(): void {
    this.#plane.drain();
    this.clients.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain();
    await this.#plane[Symbol.asyncDispose]();
    this.clients[Symbol.dispose]();
  }
}

/**
 * The native engine of HTTP/1.1, plain and over TLS: worker threads accept and serve what their fast path covers, by the same tables, and
 * hand every other connection over to the portable engine. While one of them is away the portable engine accepts.
 */
export class NativePlane implements AsyncDisposable {
  readonly listeners: readonly HttpListener[];
  readonly lanes: readonly WorkerLane[];
  readonly #deps: NativePlaneDeps;
  readonly #clusters: ClusterSet;
  readonly #clients: readonly ClientSockets[];
  readonly #manners = new TlsManners();

  /** `sockets`: of each worker, one for each address. */
  private constructor(
    deps: NativePlaneDeps,
    sockets: readonly (readonly LaneSocket[])[],
    cpus: readonly number[] = [],
  ) {
    this.#deps = deps;
    this.#clusters = new ClusterSet({
      ...deps,
      endpointGone: () => {},
      changed: (cluster) => this.lanes.forEach((lane) => lane.changed(cluster)),
    });
    const laneDeps = {
      clock: deps.clock,
      log: deps.log,
      metrics: deps.metrics,
      responseHeaders: deps.responseHeaders,
      clientCa: deps.clientCa,
      cluster: ({ key, backend }: Target & { kind: 'service' }, serviceUpstream: boolean) =>
        this.#clusters.get(key, backend, serviceUpstream),
      serverTls: (name: string) => {
        const server = deps.serverTls(name);
        return server && this.#manners.of(server);
      },
      staple: (name: string) => this.#staple(name),
      heard: (message: FromWorker) => this.#heard(message),
      accepted: (nth: number, socket: net.Socket) => this.#clients[nth]!.accept(socket),
    };
    this.lanes = sockets.map((own, i) => new WorkerLane(laneDeps, own, cpus[i % cpus.length]));
    const threads = this.lanes.map(({ thread }) => thread);
    const listeners = sockets[0]!.map((socket, nth) => {
      return new NativeListener(this, socket, deps.clients, nth === 0 ? threads : []);
    });
    this.listeners = listeners;
    this.#clients = listeners.map(({ clients }) => clients);
  }

  /** Throws Fault INGRESS_LISTEN, FFI or NATIVE_UNSUPPORTED. */
  static open(deps: NativePlaneDeps, { addresses, workers, cpus }: NativePlaneOptions): NativePlane {
    const lanes: LaneSocket[][] = Array.from({ length: workers }, () => []);
    try {
      for (const { host, port, secure } of addresses) {
        // a shared port would be shared with another program too: see first that there is none
        if (workers > 1 && port !== 0) listenOn(host, port, false)[Symbol.dispose]();
        let chosen = port;
        for (const lane of lanes) {
          const socket = listenOn(host, chosen, workers > 1);
          chosen = socket.port;
          lane.push({ ...socket, secure });
        }
      }
      return new NativePlane(deps, lanes, cpus);
    } catch (error) {
      for (const socket of lanes.flat()) socket[Symbol.dispose]();
      throw error;
    }
  }

  /** Resolves when every worker serves by it. */
  async publish(table: RouteTable, settings: GlobalSettings): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.publish(table, settings)));
  }

  /** Backends nothing routes to are forgotten. */
  retain(ids: ReadonlySet<string>): void {
    this.#clusters.retain(ids);
    for (const lane of this.lanes) lane.retain(ids);
  }

  drain(): void {
    for (const lane of this.lanes) lane.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clusters[Symbol.dispose]();
    await Promise.all(this.lanes.map((lane) => lane[Symbol.asyncDispose]()));
  }

  #staple(name: string): StapleAnswered | undefined {
    const server = this.#deps.serverTls(name);
    if (!server) return undefined;
    const answer = this.#deps.clients.staple(server.certificate);
    return { kind: 'stapled', id: this.#manners.of(server).id, answer };
  }

  #heard(message: FromWorker): void {
    switch (message.kind) {
      case 'handover':
        return this.#adopt(message);
      case 'tally':
        return this.#deps.tallied(message.labels, message.memory);
      case 'ejected':
        return this.#deps.ejected(message.cluster, message.endpoint);
      case 'log':
        return message.lines.forEach((line) => this.#deps.accessLog?.(line));
      case 'accept-failed':
        this.#deps.metrics?.acceptFailed(WORKER, message.errno);
        return this.#deps.log.warn('accept failed', { errno: message.errno });
      case 'broken':
        return this.#deps.log.error('request failed', { reason: message.reason });
      case 'refused':
        return this.#deps.refused(message.reason);
      case 'tls-unusable':
        return this.#deps.log.warn('certificate left to the portable engine', { reason: message.reason });
      case 'name':
      case 'staple':
      case 'applied':
    }
  }

  #adopt({ fd, listener, address, port, tls, bytes, served, order }: HandedOver): void {
    this.#deps.handedOver(order.kind);
    try {
      // node:tls reads what it is given the ordinary way
      const socket =
        order.kind === 'handshake' ? new net.Socket({ fd, allowHalfOpen: true }) : new LentSocket({ fd });
      this.#clients[listener]!.adopt(socket, {
        address,
        port,
        tls,
        bytes,
        served,
        refuse: order.kind === 'refuse' ? order : undefined,
        failed: order.kind === 'tried' ? order : undefined,
      });
    } catch (error) {
      this.#deps.log.debug('a connection could not be taken over', { reason: messageOf(error) });
    }
  }
}

function listenOn(host: string, port: number, reusePort: boolean): StreamListener {
  try {
    return openStreamListener({
      address: host,
      port,
      backlog: LISTEN_BACKLOG,
      reusePort,
      dualStack: host === '::',
    });
  } catch (error) {
    if (error instanceof Fault && error.code === 'LISTEN_FAILED')
      throw new Fault('INGRESS_LISTEN', error.message.replace('/tcp', ''), { cause: error });
    throw error;
  }
}
