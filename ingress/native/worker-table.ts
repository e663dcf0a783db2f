import { isAuthority } from '../http/framing.ts';
import { PathTable } from '../compile/path-table.ts';
import { type HostTable, RouteTable } from '../compile/route-table.ts';
import type { Route } from '../compile/route.ts';
import { WorkerCluster } from './endpoints.ts';
import { composesAll, isComposed, redirectsPlain } from './fast-policy.ts';
import type { SentCluster, SentHeaders, SentHost, SentRoute, TableUpdate } from './messages.ts';
import type { RequestScan } from './request-scan.ts';
import { RouteMemory } from './route-memory.ts';

/** Where a request of the worker goes. */
export interface FastRoute {
  readonly route: Route;
  readonly cluster: WorkerCluster;
  readonly canaryCluster: WorkerCluster | undefined;
  /** The rules that certificates of its clients must have been checked by. */
  readonly checkedBy: string | undefined;
  /** Its requests are composed. */
  readonly composed: boolean;
  /** For clients with TLS; others are redirected. */
  readonly secureOnly: boolean;
}

/** What is answered before any rule: for the portable engine. */
const WELL_KNOWN = '/.well-known/';

/**
 * The routes as one worker knows them: the portable engine's own tables, filled by updates, behind a memory of what was
 * looked up. A request that asks here once keeps what it got.
 */
export class WorkerTable {
  readonly #hosts = new Map<string, HostTable>();
  readonly #clusters = new Map<string, WorkerCluster>();
  readonly #fast = new WeakMap<Route, FastRoute>();
  readonly #headers = new Map<string, SentHeaders['fields']>();
  readonly #memory = new RouteMemory<FastRoute>();
  #table: RouteTable = RouteTable.empty;
  /** False = every request is for the portable engine. */
  isFast = false;
  /** Every request of the worker is composed. */
  composesAll = false;
  #bytes: Uint8Array = new Uint8Array();
  #scan: RequestScan | undefined;

  /** As the portable engine has them, where they are the worker's. */
  get routes(): RouteTable {
    return this.#table;
  }

  /** The fields of a custom-headers ConfigMap. */
  responseHeaders(configMap: string): SentHeaders['fields'] {
    return this.#headers.get(configMap) ?? [];
  }

  /** undefined = for the portable engine. */
  find(bytes: Uint8Array, scan: RequestScan): FastRoute | undefined {
    if (!this.isFast) return undefined;
    this.#bytes = bytes;
    this.#scan = scan;
    return this.#memory.find(bytes, scan.host, scan.hostEnd, scan.target, scan.pathEnd, this.#look);
  }

  update(change: TableUpdate, nowMs: number): void {
    this.setClusters(change.clusters, nowMs);
    for (const { configMap, fields } of change.responseHeaders) this.#headers.set(configMap, fields);
    for (const key of change.removed) this.#hosts.delete(key);
    for (const host of change.hosts) this.#hosts.set(host.key, this.#hostOf(host));
    const catchAll = change.catchAll && this.#routeOf(change.catchAll);
    let hosts = this.#hosts;
    if (change.patterns) {
      hosts = new Map(hosts);
      hosts.delete('');
    }
    this.#table = new RouteTable(change.version, hosts, [], change.patterns ? undefined : catchAll);
    this.isFast = change.fast;
    this.composesAll = composesAll(change.settings);
    this.#memory.clear();
  }

  setClusters(clusters: readonly SentCluster[], nowMs: number): void {
    for (const { id, addresses } of clusters) this.#cluster(id).setAddresses(addresses, nowMs);
  }

  forgetClusters(ids: readonly string[], nowMs: number): void {
    for (const id of ids) {
      this.#clusters.get(id)?.setAddresses([], nowMs);
      this.#clusters.delete(id);
    }
  }

  /** One closure for all requests. */
  readonly #look = (): FastRoute | undefined => {
    const { host, hostEnd, target, pathEnd } = this.#scan!;
    const authority = Buffer.from(this.#bytes.subarray(host, hostEnd)).toString('latin1');
    const path = Buffer.from(this.#bytes.subarray(target, pathEnd)).toString('latin1');
    if (!isAuthority(authority) || path.startsWith(WELL_KNOWN)) return undefined;
    const found = this.#table.match(authority, path);
    return found.kind === 'route' ? this.#fast.get(found.route) : undefined;
  };

  #cluster(id: string): WorkerCluster {
    let cluster = this.#clusters.get(id);
    if (!cluster) this.#clusters.set(id, (cluster = new WorkerCluster(id)));
    return cluster;
  }

  #hostOf({ name, routes, fallback, portable }: SentHost): HostTable {
    return {
      name,
      paths: new PathTable(routes.map((sent) => ({ route: this.#routeOf(sent), regex: sent.regex }))),
      fallback: fallback && this.#routeOf(fallback),
      // whatever is not a route is handed over
      redirectTo: portable ? name : undefined,
    };
  }

  #routeOf({ cluster, canaryCluster, checkedBy, ...sent }: SentRoute): Route {
    const { policy } = sent;
    // without a policy nobody looks further than at its path
    const route = sent as Route;
    if (policy && cluster !== undefined)
      this.#fast.set(route, {
        route,
        cluster: this.#cluster(cluster),
        canaryCluster: canaryCluster === undefined ? undefined : this.#cluster(canaryCluster),
        checkedBy,
        composed: isComposed(route),
        secureOnly: redirectsPlain(route),
      });
    return route;
  }
}
