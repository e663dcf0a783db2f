import net from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import { siblingModule } from '../../src/base/module-url.ts';
import { openStreamListener, type StreamListener } from '../../src/net/native/stream-listener.ts';
import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import { Fault, messageOf } from '../../src/base/fault.ts';
import type { RouteTable } from '../compile/route-table.ts';
import type { Route } from '../compile/route.ts';
import type { ListenAddress } from '../controller-options.ts';
import { ClientSockets, type ClientSocketsDeps } from '../listen/client-sockets.ts';
import type { HttpListener } from '../listen/listener.ts';
import type { TallyLabels } from '../observe/tallies.ts';
import type { GlobalSettings } from '../settings.ts';
import { clusterId, type Cluster, ClusterSet, type ResolveName } from '../upstream/clusters.ts';
import { LISTEN_BACKLOG } from './limits.ts';
import type { FromWorker, HandedOver, Order } from './messages.ts';
import { clusterMessage, Publication } from './publication.ts';
import { StandIn } from './stand-in.ts';
import { WorkerThread } from './worker-thread.ts';

export interface NativePlaneDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly snapshots: SnapshotSource;
  readonly resolve: ResolveName;
  readonly accessLog: ((line: string) => void) | undefined;
  /** Serves what is handed over. */
  readonly clients: ClientSocketsDeps;
  tallied(labels: TallyLabels, memory: Float64Array): void;
  ejected(cluster: string, endpoint: string): void;
  handedOver(why: Order['kind']): void;
}

/** One listening port of the engine: its socket, and the connections of it that the portable engine has. */
class NativeListener implements HttpListener {
  readonly secure = false;
  readonly socket: StreamListener;
  readonly clients: ClientSockets;
  readonly #plane: NativePlane;
  standIn: StandIn | undefined;

  constructor(plane: NativePlane, socket: StreamListener, clients: ClientSocketsDeps) {
    this.#plane = plane;
    this.socket = socket;
    this.clients = new ClientSockets(clients, { secure: false, port: () => socket.port });
  }

  get address(): { readonly host: string; readonly port: number } {
    return { host: this.socket.address, port: this.socket.port };
  }

  get acceptedCount(): number {
    return this.clients.acceptedCount + (this.#plane.isFirst(this) ? this.#plane.thread.acceptedCount : 0);
  }

  get connectionCount(): number {
    return this.clients.count + (this.#plane.isFirst(this) ? this.#plane.thread.connectionCount : 0);
  }

  get requestCount(): number {
    return this.#plane.isFirst(this) ? this.#plane.thread.requestCount : 0;
  }

  drain(): void {
    this.socket.refuse();
    this.#plane.drain();
    this.standIn?.[Symbol.dispose]();
    this.standIn = undefined;
    this.clients.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain();
    await this.#plane[Symbol.asyncDispose]();
    this.clients[Symbol.dispose]();
    this.socket[Symbol.dispose]();
  }
}

/**
 * The native engine of plain HTTP: a worker thread accepts and serves what its fast path covers, by the same tables, and
 * hands every other connection over to the portable engine. While the worker is away the portable engine accepts.
 */
export class NativePlane implements AsyncDisposable {
  readonly #deps: NativePlaneDeps;
  readonly #clusters: ClusterSet;
  readonly #publication: Publication;
  #listeners: readonly NativeListener[] = [];
  #thread: WorkerThread | undefined;
  #now: { readonly table: RouteTable; readonly settings: GlobalSettings } | undefined;
  #applied: { readonly version: number; readonly resolve: () => void }[] = [];
  #draining = false;

  private constructor(deps: NativePlaneDeps) {
    this.#deps = deps;
    this.#clusters = new ClusterSet({
      ...deps,
      endpointGone: () => {},
      changed: (cluster) => this.#clusterChanged(cluster),
    });
    this.#publication = new Publication({ cluster: (route) => this.#clusterOf(route) });
  }

  /** Throws Fault INGRESS_LISTEN, FFI or NATIVE_UNSUPPORTED. */
  static open(deps: NativePlaneDeps, addresses: readonly ListenAddress[]): NativePlane {
    const plane = new NativePlane(deps);
    const sockets: StreamListener[] = [];
    try {
      for (const { host, port } of addresses) sockets.push(listenOn(host, port));
    } catch (error) {
      for (const socket of sockets) socket[Symbol.dispose]();
      plane.#clusters[Symbol.dispose]();
      throw error;
    }
    plane.#listeners = sockets.map((socket) => new NativeListener(plane, socket, deps.clients));
    plane.#thread = new WorkerThread(
      {
        module: siblingModule(import.meta.url, './relay-worker'),
        clock: deps.clock,
        log: deps.log,
        heard: (message) => plane.#heard(message),
        started: () => plane.#started(),
        lost: () => plane.#lost(),
      },
      sockets.map(({ fd, port }) => ({ fd, port })),
    );
    return plane;
  }

  get listeners(): readonly HttpListener[] {
    return this.#listeners;
  }

  get thread(): WorkerThread {
    return this.#thread!;
  }

  /** Counts of the worker belong to one of the listeners, so that they are counted once. */
  isFirst(listener: HttpListener): boolean {
    return this.#listeners[0] === listener;
  }

  /** Resolves when the worker serves by it; when it is lost meanwhile, it will as soon as it is back. */
  publish(table: RouteTable, settings: GlobalSettings): Promise<void> {
    this.#now = { table, settings };
    if (this.thread.isUp) return this.#tell();
    return new Promise((resolve) => this.#applied.push({ version: 0, resolve }));
  }

  /** Backends nothing routes to are forgotten. */
  retain(ids: ReadonlySet<string>): void {
    const gone = [...this.#publication.clusters].filter((id) => !ids.has(id));
    this.#clusters.retain(ids);
    if (gone.length === 0) return;
    this.#publication.forget(gone);
    this.thread.tell({ kind: 'forget', clusters: gone });
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.thread.tell({ kind: 'drain' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clusters[Symbol.dispose]();
    await this.#thread?.[Symbol.asyncDispose]();
    this.#settleAll();
  }

  #tell(): Promise<void> {
    const { table, settings } = this.#now!;
    const update = this.#publication.next(table, settings);
    this.thread.tell(update);
    return new Promise((resolve) => this.#applied.push({ version: update.version, resolve }));
  }

  #started(): void {
    this.#publication.reset();
    if (this.#now) void this.#tell();
    if (this.#draining) this.thread.tell({ kind: 'drain' });
  }

  #lost(): void {
    this.#settleAll();
    if (this.#draining) return;
    for (const listener of this.#listeners) {
      listener.standIn ??= new StandIn(
        listener.socket.fd,
        (socket) => listener.clients.accept(socket),
        (reason) => this.#deps.log.error('nobody accepts', { port: listener.socket.port, reason }),
      );
    }
  }

  #heard(message: FromWorker): void {
    switch (message.kind) {
      case 'handover':
        return this.#adopt(message);
      case 'applied':
        return this.#isApplied(message.version);
      case 'tally':
        return this.#deps.tallied(message.labels, message.memory);
      case 'ejected':
        return this.#deps.ejected(message.cluster, message.endpoint);
      case 'log':
        return message.lines.forEach((line) => this.#deps.accessLog?.(line));
      case 'accept-failed':
        return this.#deps.log.warn('no client can be accepted', { reason: message.errno });
      case 'broken':
        return this.#deps.log.error('request failed', { reason: message.reason });
      case 'up':
    }
  }

  #isApplied(version: number): void {
    for (const listener of this.#listeners) {
      listener.standIn?.[Symbol.dispose]();
      listener.standIn = undefined;
    }
    for (const waiting of this.#applied) if (waiting.version <= version) waiting.resolve();
    this.#applied = this.#applied.filter((waiting) => waiting.version > version);
  }

  #settleAll(): void {
    for (const { resolve } of this.#applied) resolve();
    this.#applied = [];
  }

  #adopt({ fd, listener, address, port, bytes, served, order }: HandedOver): void {
    this.#deps.handedOver(order.kind);
    try {
      const socket = new net.Socket({ fd, allowHalfOpen: true, readable: true, writable: true });
      this.#listeners[listener]!.clients.adopt(socket, {
        address,
        port,
        bytes,
        served,
        refuse: order.kind === 'refuse' ? order : undefined,
        failed: order.kind === 'tried' ? order : undefined,
      });
    } catch (error) {
      this.#deps.log.debug('a connection could not be taken over', { reason: messageOf(error) });
    }
  }

  #clusterOf({ target, policy }: Route): Cluster {
    if (target.kind !== 'service') throw new Error('a route of the fast path has a service');
    return this.#clusters.get(target.key, target.backend, policy.upstream.serviceUpstream);
  }

  #clusterChanged(cluster: Cluster): void {
    if (!this.#publication.clusters.has(clusterId(cluster.key, cluster.serviceUpstream))) return;
    this.#thread?.tell({ kind: 'clusters', clusters: [clusterMessage(cluster)] });
  }
}

function listenOn(host: string, port: number): StreamListener {
  try {
    const options = {
      address: host,
      port,
      backlog: LISTEN_BACKLOG,
      reusePort: false,
      dualStack: host === '::',
    };
    return openStreamListener(options);
  } catch (error) {
    if (error instanceof Fault && error.code === 'LISTEN_FAILED')
      throw new Fault('INGRESS_LISTEN', error.message.replace('/tcp', ''), { cause: error });
    throw error;
  }
}
