import type { ServiceEntry } from './service-port.ts';

export interface PodEntry {
  readonly namespace: string;
  readonly name: string;
  readonly nodeName: string | undefined;
  /** Canonical; primary first. */
  readonly addresses: readonly string[];
  /** Namespaces of other pods that share an address with this one (host network). */
  readonly alsoIn?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface NodeEntry {
  readonly name: string;
  readonly zone: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** InternalIP first, canonical. */
  readonly addresses: readonly string[];
  readonly podCIDRs: readonly string[];
  readonly unschedulable: boolean;
  /** `key=value:effect`, `key:effect` without a value. */
  readonly taints: readonly string[];
  /** Has a deletion timestamp. */
  readonly deleting: boolean;
}

export interface NamespaceEntry {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** multicluster.x-k8s.io ServiceImport with the endpoints of its slices by source cluster. */
export interface ServiceImportEntry {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly headless: boolean;
  readonly clusterIPs: readonly string[];
  readonly ports: ServiceEntry['ports'];
  readonly endpoints: readonly (ServiceEntry['endpoints'][number] & {
    readonly clusterId: string | undefined;
  })[];
}

/**
 * The cluster as the network sees it, at one version. Values are immutable; the maps are live and belong to the
 * tracker, so a reader takes what it needs synchronously (compile) and keeps only values. That makes the cost of
 * a change the size of the change: nothing is copied per version.
 */
export interface Snapshot {
  /** Grows by one with each applied change. */
  readonly version: number;
  readonly services: ReadonlyMap<string, ServiceEntry>;
  readonly imports: ReadonlyMap<string, ServiceImportEntry>;
  readonly namespaces: ReadonlyMap<string, NamespaceEntry>;
  readonly nodes: ReadonlyMap<string, NodeEntry>;
  /** By canonical address. Only filled when pods are watched (DNS `pods verified`, autopath). */
  readonly podsByAddress: ReadonlyMap<string, PodEntry>;
  /** True after the first complete lists of services and slices were applied. */
  readonly synced: boolean;
  /** Monotonic time at which the first of the changes that made this version arrived; undefined = nobody looked. */
  readonly arrivedMs?: number | undefined;
}

/** What changed after `since`. `complete` false means: too long ago, rebuild from everything. */
export interface SnapshotChanges {
  readonly since: number;
  readonly version: number;
  readonly complete: boolean;
  /** Keys whose entry was added, replaced or removed. */
  readonly services: ReadonlySet<string>;
  readonly imports: ReadonlySet<string>;
  readonly namespaces: ReadonlySet<string>;
  readonly nodes: ReadonlySet<string>;
  /** Addresses whose pod was added, replaced or removed. */
  readonly pods: ReadonlySet<string>;
}

/** How readers follow the model: subscribe to be told, then pull the changes since the version last seen. */
export interface SnapshotSource {
  readonly snapshot: Snapshot;
  changesSince(version: number): SnapshotChanges;
  /** Called after each applied batch; must only mark or do bounded work proportional to the change. */
  subscribe(listener: (version: number) => void): Disposable;
}
