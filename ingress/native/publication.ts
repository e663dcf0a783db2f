import type { HostTable, RouteTable } from '../compile/route-table.ts';
import type { Route } from '../compile/route.ts';
import type { GlobalSettings } from '../settings.ts';
import { clusterId, type Cluster } from '../upstream/clusters.ts';
import { redirectsPlain, slowRoute, slowSettings } from './fast-policy.ts';
import type { SentCluster, SentHost, SentRoute, TableUpdate } from './messages.ts';

export interface PublicationDeps {
  /** The cluster behind a route of the fast path. */
  cluster(route: Route): Cluster;
}

/** What one worker has been told, and what is to be told next: a change costs the hosts it touches. */
export class Publication {
  readonly #deps: PublicationDeps;
  #sent: ReadonlyMap<string, HostTable> = new Map();
  #known = new Set<string>();
  #version = 0;

  constructor(deps: PublicationDeps) {
    this.#deps = deps;
  }

  /** Clusters it has been told of. */
  get clusters(): ReadonlySet<string> {
    return this.#known;
  }

  /** Forgets everything: the worker is a new one. */
  reset(): void {
    this.#sent = new Map();
    this.#known = new Set();
  }

  forget(clusters: readonly string[]): void {
    for (const id of clusters) this.#known.delete(id);
  }

  next(table: RouteTable, settings: GlobalSettings): TableUpdate {
    const clusters: SentCluster[] = [];
    const sent = (route: Route): SentRoute => this.#route(route, clusters);
    const hosts: SentHost[] = [];
    for (const [key, host] of table.hosts)
      if (this.#sent.get(key) !== host) hosts.push(hostMessage(key, host, sent));
    const removed = [...this.#sent.keys()].filter((key) => !table.hosts.has(key));
    this.#sent = new Map(table.hosts);
    return {
      kind: 'table',
      version: ++this.#version,
      settings,
      fast: slowSettings(settings) === undefined,
      hosts,
      removed,
      catchAll: table.catchAll && sent(table.catchAll),
      patterns: table.hasPatterns,
      clusters,
    };
  }

  #route(route: Route, clusters: SentCluster[]): SentRoute {
    const { policy, canary: _, ...rest } = route;
    const secureOnly = redirectsPlain(route);
    if (slowRoute(route) !== undefined) return { ...rest, policy: undefined, cluster: undefined, secureOnly };
    const cluster = this.#deps.cluster(route);
    const id = clusterId(cluster.key, cluster.serviceUpstream);
    if (!this.#known.has(id)) {
      this.#known.add(id);
      clusters.push(clusterMessage(cluster));
    }
    return { ...rest, policy, cluster: id, secureOnly };
  }
}

export function clusterMessage(cluster: Cluster): SentCluster {
  return {
    id: clusterId(cluster.key, cluster.serviceUpstream),
    addresses: cluster.endpoints.map(({ address }) => address),
  };
}

/** Some request to the host may be one for the fast path. */
export function hasFastRoute({ paths, fallback, redirectTo }: HostTable): boolean {
  if (redirectTo !== undefined) return false;
  if (fallback && slowRoute(fallback) === undefined) return true;
  for (const route of paths.routes()) if (slowRoute(route) === undefined) return true;
  return false;
}

function hostMessage(key: string, host: HostTable, sent: (route: Route) => SentRoute): SentHost {
  const routes = [...host.paths.routes()];
  // patterns are tried between prefixes by length: such a host is matched in one place only
  const portable = host.redirectTo !== undefined || routes.some(({ pathType }) => pathType === 'Regex');
  const { name } = host;
  if (portable) return { key, name, routes: [], fallback: undefined, portable };
  return { key, name, routes: routes.map(sent), fallback: host.fallback && sent(host.fallback), portable };
}
