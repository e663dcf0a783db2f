import type net from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import type { EngineMetrics } from '../../src/net/engine-metrics.ts';
import type { StreamListener } from '../../src/net/native/stream-listener.ts';
import type { RouteTable } from '../compile/route-table.ts';
import type { ResponseHeaders } from '../relay/response-policy.ts';
import type { GlobalSettings } from '../settings.ts';
import { clusterId, type Cluster } from '../upstream/clusters.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { clusterMessage, hasFastRoute, Publication, type PublicationDeps } from './publication.ts';
import type { SentTls, StapleAnswered } from './tls-messages.ts';
import { StandIn } from './stand-in.ts';
import { WorkerThread } from './worker-thread.ts';

export interface WorkerLaneDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: EngineMetrics | undefined;
  /** The cluster behind a route of the worker. */
  readonly cluster: PublicationDeps['cluster'];
  readonly clientCa: PublicationDeps['clientCa'];
  readonly responseHeaders: ResponseHeaders;
  heard(message: FromWorker): void;
  /** How TLS is spoken by a server name; undefined = the portable engine does. */
  serverTls(name: string): SentTls | undefined;
  /** What to show to clients of a server name that ask for its certificate's status; undefined = the portable engine has the name. */
  staple(name: string): StapleAnswered | undefined;
  /** A client of the nth socket that came while the worker was away. */
  accepted(nth: number, socket: net.Socket): void;
}

/** A socket of its own that a worker accepts from. */
export interface LaneSocket extends StreamListener {
  readonly secure: boolean;
}

/** One worker and the sockets it accepts from: what it has been told, and who accepts while it is away. */
export class WorkerLane implements AsyncDisposable {
  readonly thread: WorkerThread;
  readonly #deps: WorkerLaneDeps;
  readonly #sockets: readonly LaneSocket[];
  readonly #publication: Publication;
  #now: { readonly table: RouteTable; readonly settings: GlobalSettings } | undefined;
  #waiting: { readonly version: number; readonly resolve: () => void }[] = [];
  #standIns: readonly StandIn[] = [];
  #draining = false;

  constructor(deps: WorkerLaneDeps, sockets: readonly LaneSocket[], cpu: number | undefined) {
    this.#deps = deps;
    this.#sockets = sockets;
    this.#publication = new Publication(deps);
    this.thread = new WorkerThread(
      {
        clock: deps.clock,
        log: deps.log,
        metrics: deps.metrics,
        heard: (message) => this.#heard(message),
        started: (tell) => this.#started(tell),
        lost: () => this.#lost(),
      },
      { listeners: sockets.map(({ fd, port, secure }) => ({ fd, port, secure })), cpu },
    );
  }

  /** Resolves when the worker serves by it; when it is lost meanwhile, the next one will. */
  publish(table: RouteTable, settings: GlobalSettings): Promise<void> {
    this.#now = { table, settings };
    const update = this.#publication.next(table, settings);
    return new Promise((resolve) => {
      this.#waiting.push({ version: update.version, resolve });
      this.thread.tell(update);
    });
  }

  /** The endpoints of a cluster are others now. */
  changed(cluster: Cluster): void {
    if (this.#publication.clusters.has(clusterId(cluster.key, cluster.serviceUpstream)))
      this.thread.tell({ kind: 'clusters', clusters: [clusterMessage(cluster)] });
  }

  /** Backends nothing routes to are forgotten. */
  retain(ids: ReadonlySet<string>): void {
    const gone = [...this.#publication.clusters].filter((id) => !ids.has(id));
    if (gone.length === 0) return;
    this.#publication.forget(gone);
    this.thread.tell({ kind: 'forget', clusters: gone });
  }

  /** Refuses clients from now on; those it has finish what is under way. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const socket of this.#sockets) socket.refuse();
    this.#dismissStandIns();
    this.thread.tell({ kind: 'drain' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain();
    await this.thread[Symbol.asyncDispose]();
    this.#settle(Infinity);
    for (const socket of this.#sockets) socket[Symbol.dispose]();
  }

  #started(tell: (message: ToWorker) => void): void {
    this.#publication.reset();
    if (this.#now) tell(this.#publication.next(this.#now.table, this.#now.settings));
    if (this.#draining) tell({ kind: 'drain' });
  }

  #lost(): void {
    this.#settle(Infinity);
    if (this.#draining || this.#standIns.length > 0) return;
    this.#standIns = this.#sockets.map(
      ({ fd, port }, nth) =>
        new StandIn(
          fd,
          (socket) => this.#deps.accepted(nth, socket),
          (reason) => this.#deps.log.error('nobody accepts', { port, reason }),
        ),
    );
  }

  #heard(message: FromWorker): void {
    if (message.kind === 'name') return this.#named(message.name);
    if (message.kind === 'staple') {
      const answer = this.#deps.staple(message.name);
      return answer && this.thread.tell(answer);
    }
    if (message.kind !== 'applied') return this.#deps.heard(message);
    this.#dismissStandIns();
    this.#settle(message.version);
  }

  /** A host without routes of the fast path is better off where all its requests are served. */
  #named(name: string): void {
    const host = name === '' ? undefined : this.#now?.table.hostFor(name);
    const tls = !host || hasFastRoute(host) ? this.#deps.serverTls(name) : undefined;
    this.thread.tell({ kind: 'name', name, tls });
  }

  #dismissStandIns(): void {
    for (const standIn of this.#standIns) standIn[Symbol.dispose]();
    this.#standIns = [];
  }

  #settle(version: number): void {
    for (const waiting of this.#waiting) if (waiting.version <= version) waiting.resolve();
    this.#waiting = this.#waiting.filter((waiting) => waiting.version > version);
  }
}
