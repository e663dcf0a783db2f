import type { HostTable, RouteTable } from '../compile/route-table.ts';
import { checkedBy } from '../access/client-certificate.ts';
import type { PathEntry } from '../compile/path-table.ts';
import type { Target } from '../compile/route.ts';
import type { RoutePolicy } from '../policy.ts';
import type { ResponseHeaders } from '../relay/response-policy.ts';
import type { GlobalSettings } from '../settings.ts';
import { clusterId, type Cluster } from '../upstream/clusters.ts';
import { slowRoute, slowSettings } from './fast-policy.ts';
import type { SentCluster, SentHeaders, SentHost, SentRoute, TableUpdate } from './messages.ts';

export interface PublicationDeps {
  /** The cluster behind a route of the worker. */
  cluster(target: Target & { kind: 'service' }, serviceUpstream: boolean): Cluster;
  /** The authorities of an auth-tls-secret. */
  readonly clientCa: (secretKey: string) => string | undefined;
  /** The fields of a custom-headers ConfigMap. */
  readonly responseHeaders: ResponseHeaders;
}

/** What one worker has been told, and what is to be told next: a change costs the hosts it touches. */
export class Publication {
  readonly #deps: PublicationDeps;
  #sent: ReadonlyMap<string, HostTable> = new Map();
  #known = new Set<string>();
  /** What was told of ConfigMaps that routes name, as text. */
  readonly #headers = new Map<string, string>();
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
    this.#headers.clear();
  }

  forget(clusters: readonly string[]): void {
    for (const id of clusters) this.#known.delete(id);
  }

  next(table: RouteTable, settings: GlobalSettings): TableUpdate {
    const clusters: SentCluster[] = [];
    const sent = (entry: PathEntry): SentRoute => this.#route(entry, clusters);
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
      catchAll: table.catchAll && sent({ route: table.catchAll, regex: undefined }),
      patterns: table.hasPatterns,
      responseHeaders: this.#changedHeaders(),
      clusters,
    };
  }

  #route({ route, regex }: PathEntry, clusters: SentCluster[]): SentRoute {
    const { policy, canary, ...rest } = route;
    const whose = { ...rest, policy: undefined, canary: undefined, regex, checkedBy: undefined };
    if (slowRoute(route) !== undefined) return { ...whose, cluster: undefined, canaryCluster: undefined };
    const { customHeaders } = policy.response;
    if (customHeaders !== undefined && !this.#headers.has(customHeaders))
      this.#headers.set(customHeaders, '');
    const { serviceUpstream } = policy.upstream;
    const cluster = this.#cluster(route.target, serviceUpstream, clusters);
    const canaryCluster = canary && this.#cluster(canary.target, serviceUpstream, clusters);
    return { ...whose, policy, canary, cluster, canaryCluster, checkedBy: this.#checkedBy(policy) };
  }

  #checkedBy({ clientCertificate }: RoutePolicy): string | undefined {
    const authorities = clientCertificate && this.#deps.clientCa(clientCertificate.secret);
    return authorities === undefined ? undefined : checkedBy(authorities, clientCertificate!);
  }

  #changedHeaders(): SentHeaders[] {
    const changed: SentHeaders[] = [];
    for (const [configMap, told] of this.#headers) {
      const fields = this.#deps.responseHeaders(configMap);
      const now = JSON.stringify(fields);
      if (now === told) continue;
      this.#headers.set(configMap, now);
      changed.push({ configMap, fields });
    }
    return changed;
  }

  /** The id of the cluster behind a target; a new one is told. */
  #cluster(target: Target, serviceUpstream: boolean, clusters: SentCluster[]): string | undefined {
    if (target.kind !== 'service') return undefined;
    const cluster = this.#deps.cluster(target, serviceUpstream);
    const id = clusterId(cluster.key, cluster.serviceUpstream);
    if (!this.#known.has(id)) {
      this.#known.add(id);
      clusters.push(clusterMessage(cluster));
    }
    return id;
  }
}

export function clusterMessage(cluster: Cluster): SentCluster {
  return {
    id: clusterId(cluster.key, cluster.serviceUpstream),
    addresses: cluster.endpoints.map(({ address }) => address),
  };
}

/** Some request to the host may be one for the worker. */
export function hasFastRoute({ paths, fallback, redirectTo }: HostTable): boolean {
  if (redirectTo !== undefined) return false;
  if (fallback && slowRoute(fallback) === undefined) return true;
  for (const route of paths.routes()) if (slowRoute(route) === undefined) return true;
  return false;
}

function hostMessage(key: string, host: HostTable, sent: (entry: PathEntry) => SentRoute): SentHost {
  const { name, paths, fallback, redirectTo } = host;
  const portable = redirectTo !== undefined;
  const routes = portable ? [] : Array.from(paths.entries(), sent);
  const rest = portable || !fallback ? undefined : sent({ route: fallback, regex: undefined });
  return { key, name, routes, fallback: rest, portable };
}
