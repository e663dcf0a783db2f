import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import type { Clock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { BackendRef } from '../compile/route.ts';
import type { Address } from '../wire.ts';
import { type EndpointGroup, EndpointState, endpointsOf, type EndpointsOf } from './cluster.ts';

/** Looks a name up in DNS; rejects when it does not exist. */
export type ResolveName = (name: string) => Promise<{ addresses: readonly string[]; ttlSeconds: number }>;

/** Shortest and longest time an ExternalName answer is used. */
const RESOLVE_MS_MIN = 1_000;
const RESOLVE_MS_MAX = 300_000;
const RESOLVE_RETRY_MS = 2_000;

export interface ClusterDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly resolve: ResolveName;
  /** An endpoint left: its connections have no future. */
  endpointGone(endpoint: EndpointState): void;
  /** The endpoints of a cluster are others now. */
  changed?(cluster: Cluster): void;
}

/** A backend reached through its cluster IP has endpoints of its own. */
export function clusterId(key: string, serviceUpstream: boolean): string {
  return serviceUpstream ? `${key}!` : key;
}

/** A backend with its endpoints now. The endpoints array is replaced when it changes, the states in it stay. */
export class Cluster implements EndpointGroup {
  readonly key: string;
  readonly backend: BackendRef;
  readonly serviceUpstream: boolean;
  endpoints: readonly EndpointState[] = [];
  reason: string | undefined;
  portNumber = 0;
  /** Grows when the endpoints change: rings and other derived things are built anew. */
  generation = 0;
  cursor = 0;
  readonly derived = new Map<string, unknown>();
  externalName: { readonly name: string; readonly port: number } | undefined;
  resolveTimer: Disposable | undefined;
  /** Nothing routes to it any more. */
  forgotten = false;
  /** Settles when the first look-up of an ExternalName has ended. */
  resolving: Promise<void> | undefined;

  constructor(key: string, backend: BackendRef, serviceUpstream: boolean) {
    this.key = key;
    this.backend = backend;
    this.serviceUpstream = serviceUpstream;
  }
}

/** All backends that routes ever asked for, kept in step with the snapshot: a change costs the services it names. */
export class ClusterSet implements Disposable {
  readonly #deps: ClusterDeps;
  readonly #clusters = new Map<string, Cluster>();
  readonly #byService = new Map<string, Set<Cluster>>();
  readonly #subscription: Disposable;
  #version: number;
  #disposed = false;

  constructor(deps: ClusterDeps) {
    this.#deps = deps;
    this.#version = deps.snapshots.snapshot.version;
    this.#subscription = deps.snapshots.subscribe(() => this.#follow());
  }

  get(key: string, backend: BackendRef, serviceUpstream: boolean): Cluster {
    const id = clusterId(key, serviceUpstream);
    const known = this.#clusters.get(id);
    if (known) return known;
    const cluster = new Cluster(key, backend, serviceUpstream);
    this.#clusters.set(id, cluster);
    const serviceKey = `${backend.namespace}/${backend.service}`;
    let peers = this.#byService.get(serviceKey);
    if (!peers) this.#byService.set(serviceKey, (peers = new Set()));
    peers.add(cluster);
    this.#refresh(cluster);
    return cluster;
  }

  /** Forgets the clusters nobody routes to any more. */
  retain(keys: ReadonlySet<string>): void {
    for (const [id, cluster] of this.#clusters) {
      if (keys.has(id)) continue;
      this.#clusters.delete(id);
      cluster.forgotten = true;
      this.#byService.get(`${cluster.backend.namespace}/${cluster.backend.service}`)?.delete(cluster);
      this.#setAddresses(cluster, []);
      cluster.resolveTimer?.[Symbol.dispose]();
    }
  }

  all(): Iterable<Cluster> {
    return this.#clusters.values();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#subscription[Symbol.dispose]();
    for (const cluster of this.#clusters.values()) cluster.resolveTimer?.[Symbol.dispose]();
  }

  #follow(): void {
    const changes = this.#deps.snapshots.changesSince(this.#version);
    this.#version = changes.version;
    if (!changes.complete) {
      for (const cluster of this.#clusters.values()) this.#refresh(cluster);
      return;
    }
    for (const service of changes.services) {
      for (const cluster of this.#byService.get(service) ?? []) this.#refresh(cluster);
    }
  }

  #refresh(cluster: Cluster): void {
    const { namespace, service } = cluster.backend;
    const entry = this.#deps.snapshots.snapshot.services.get(`${namespace}/${service}`);
    const found: EndpointsOf = endpointsOf(entry, cluster.backend, cluster.serviceUpstream);
    cluster.portNumber = found.portNumber;
    const before = cluster.externalName;
    cluster.externalName = found.externalName;
    if (!found.externalName) {
      cluster.resolveTimer?.[Symbol.dispose]();
      cluster.resolveTimer = undefined;
      cluster.resolving = undefined;
      cluster.reason = found.reason;
      this.#setAddresses(cluster, found.addresses);
      return;
    }
    if (before?.name === found.externalName.name && before.port === found.externalName.port) return;
    this.#setAddresses(cluster, []);
    cluster.resolving = this.#resolve(cluster);
  }

  /** Looks the external name up and again when its TTL has passed; a failure keeps the old addresses. */
  async #resolve(cluster: Cluster): Promise<void> {
    const external = cluster.externalName;
    if (!external) return;
    let againMs = RESOLVE_RETRY_MS;
    try {
      const answer = await this.#deps.resolve(external.name);
      if (cluster.externalName !== external || this.#disposed) return;
      cluster.reason = answer.addresses.length === 0 ? 'external name has no address' : undefined;
      this.#setAddresses(
        cluster,
        answer.addresses.map((host) => ({ host, port: external.port })),
      );
      againMs = Math.min(RESOLVE_MS_MAX, Math.max(RESOLVE_MS_MIN, answer.ttlSeconds * 1000));
    } catch (error) {
      if (cluster.externalName !== external || this.#disposed) return;
      cluster.reason = `external name ${external.name} did not resolve`;
      this.#deps.log.warn('external name did not resolve', { name: external.name, reason: messageOf(error) });
    }
    cluster.resolving = undefined;
    cluster.resolveTimer = this.#deps.clock.setTimer(againMs, () => void this.#resolve(cluster));
  }

  #setAddresses(cluster: Cluster, addresses: readonly Address[]): void {
    const known = new Map(cluster.endpoints.map((endpoint) => [endpoint.id, endpoint]));
    const nowMs = this.#deps.clock.monotonicMs();
    const next = addresses.map((address) => {
      const id = joinHostPort(address.host, address.port);
      const kept = known.get(id);
      known.delete(id);
      return kept ?? new EndpointState(address, nowMs);
    });
    const same = known.size === 0 && next.length === cluster.endpoints.length;
    if (same && next.every((endpoint, i) => endpoint === cluster.endpoints[i])) return;
    cluster.endpoints = next;
    cluster.generation++;
    cluster.derived.clear();
    for (const endpoint of known.values()) {
      endpoint.gone = true;
      this.#deps.endpointGone(endpoint);
    }
    this.#deps.changed?.(cluster);
  }
}
