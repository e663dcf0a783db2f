import type { ServiceEntry } from '../../endpoints/service-port.ts';
import type {
  PodEntry,
  ServiceImportEntry,
  SnapshotChanges,
  SnapshotSource,
} from '../../endpoints/snapshot.ts';
import type { Clock } from '../../src/base/clock.ts';
import { ClientZones } from './client-zones.ts';
import type { ClusterOptions } from './options.ts';
import { PackedTable } from './table/packed-table.ts';
import type { ClusterView } from './view.ts';

const NO_KEYS: ReadonlySet<string> = new Set();

/** A batch of changes that readers can see now. */
export interface VisibleBatch {
  /** Empty when everything was compiled anew. */
  readonly services: ReadonlySet<string>;
  /** From the arrival of the first change of the batch; undefined = not known. */
  readonly sinceArrivalMs: number | undefined;
}

/** Follows a snapshot as one `kubernetes` stanza exposes it; the cost of a change is the size of the change. */
export class LiveView implements ClusterView, Disposable {
  readonly #source: SnapshotSource;
  readonly #clock: Clock;
  readonly #options: ClusterOptions;
  readonly #entries = new Map<string, ServiceEntry>();
  /** Names and addresses, compiled. */
  readonly table: PackedTable;
  readonly #serviceCounts = new Map<string, number>();
  /** Namespaces that may have come or gone since the table was told. */
  readonly #namespacesToTell = new Set<string>();
  readonly #subscription: Disposable;
  readonly #serialListeners = new Set<() => void>();
  readonly #visible: ((batch: VisibleBatch) => void) | undefined;
  /** Made anew when it is asked for after nodes have changed. */
  #clientZones: ClientZones | undefined;
  #version = -1;
  #serial: number;

  constructor(
    deps: {
      readonly snapshots: SnapshotSource;
      readonly clock: Clock;
      /** Told after each batch, when the first lists are complete. */
      readonly visible?: (batch: VisibleBatch) => void;
    },
    options: ClusterOptions,
  ) {
    this.#visible = deps.visible;
    this.#source = deps.snapshots;
    this.#clock = deps.clock;
    this.#options = options;
    this.table = new PackedTable(options);
    this.#serial = Math.floor(deps.clock.nowMs() / 1000);
    this.#subscription = deps.snapshots.subscribe(() => this.#follow());
    this.#follow();
  }

  get synced(): boolean {
    return this.#source.snapshot.synced;
  }

  get serial(): number {
    return this.#serial;
  }

  get version(): number {
    return this.#version;
  }

  service(namespace: string, name: string): ServiceEntry | undefined {
    const entry = this.#entries.get(`${namespace}/${name}`);
    return entry && this.#exposesNamespaceOf(entry) ? entry : undefined;
  }

  importedService(namespace: string, name: string): ServiceImportEntry | undefined {
    return this.hasNamespace(namespace)
      ? this.#source.snapshot.imports.get(`${namespace}/${name}`)
      : undefined;
  }

  hasNamespace(name: string): boolean {
    const { namespaces, namespaceLabels, strict } = this.#options;
    if (namespaces && !namespaces.has(name)) return false;
    const entry = this.#source.snapshot.namespaces.get(name);
    if (entry) return namespaceLabels?.matches(entry.labels) ?? true;
    // Without Namespace objects (plain manifests) a namespace is there when something lives in it.
    return !strict && !namespaces && !namespaceLabels && (this.#serviceCounts.get(name) ?? 0) > 0;
  }

  /** Topology zone of a client's node. */
  zoneOfClient(address: string): string | undefined {
    this.#clientZones ??= new ClientZones(this.#source.snapshot.nodes);
    return this.#clientZones.zoneOf(address);
  }

  podAt(address: string): PodEntry | undefined {
    return this.#source.snapshot.podsByAddress.get(address);
  }

  servicesAt(address: string): readonly ServiceEntry[] {
    return this.table.keysAt(address).flatMap((key) => this.#entries.get(key) ?? []);
  }

  *services(): Iterable<ServiceEntry> {
    for (const entry of this.#entries.values()) if (this.#exposesNamespaceOf(entry)) yield entry;
  }

  addresses(): Iterable<string> {
    return this.table.addresses();
  }

  /** Calls back when the serial has moved on. */
  onSerial(listener: () => void): Disposable {
    this.#serialListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#serialListeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }

  #exposesNamespaceOf(entry: ServiceEntry): boolean {
    return this.hasNamespace(entry.namespace);
  }

  #follow(): void {
    const changes = this.#source.changesSince(this.#version);
    const before = this.#serial;
    this.#serial = Math.max(before, Math.floor(this.#clock.nowMs() / 1000));
    if (!changes.complete || changes.nodes.size > 0) this.#clientZones = undefined;
    if (changes.complete) this.#apply(changes);
    else this.#rebuild();
    for (const name of this.#namespacesToTell) this.table.setNamespace(name, this.hasNamespace(name));
    this.#namespacesToTell.clear();
    this.table.settle(this.#serial, this.synced);
    if (this.synced) {
      const { arrivedMs } = this.#source.snapshot;
      const sinceArrivalMs = arrivedMs === undefined ? undefined : this.#clock.monotonicMs() - arrivedMs;
      const services = changes.complete ? changes.services : NO_KEYS;
      this.#visible?.({ services, sinceArrivalMs });
    }
    this.#version = this.#source.snapshot.version;
    if (this.#serial !== before) for (const listener of this.#serialListeners) listener();
  }

  #apply(changes: SnapshotChanges): void {
    for (const key of changes.services) this.#replace(key);
    // A namespace that comes, goes or changes its labels moves all of its services in or out.
    if (changes.namespaces.size > 0) this.#touchNamespaces(changes.namespaces);
  }

  #rebuild(): void {
    const { services, namespaces } = this.#source.snapshot;
    for (const name of [...this.table.namespaces(), ...namespaces.keys()]) this.#namespacesToTell.add(name);
    for (const key of this.#entries.keys()) if (!services.has(key)) this.#replace(key);
    for (const key of services.keys()) this.#replace(key);
    this.#touchNamespaces(undefined);
  }

  #replace(key: string): void {
    const before = this.#entries.get(key);
    const newest = this.#source.snapshot.services.get(key);
    const after = newest && (this.#options.labels?.matches(newest.labels) ?? true) ? newest : undefined;
    if (before === after) return;
    if (after) this.#entries.set(key, after);
    else this.#entries.delete(key);
    if (!before || !after) this.#count((after ?? before)!.namespace, after ? 1 : -1);
    this.table.replace(before, after, after !== undefined && this.#exposesNamespaceOf(after));
  }

  #count(namespace: string, delta: number): void {
    const count = (this.#serviceCounts.get(namespace) ?? 0) + delta;
    if (count === 0) this.#serviceCounts.delete(namespace);
    else this.#serviceCounts.set(namespace, count);
    if (count === 0 || count === delta) this.#namespacesToTell.add(namespace);
  }

  /** Tells the table again which services are exposed, in these namespaces or in all. */
  #touchNamespaces(namespaces: ReadonlySet<string> | undefined): void {
    for (const name of namespaces ?? []) this.#namespacesToTell.add(name);
    for (const entry of this.#entries.values()) {
      if (namespaces && !namespaces.has(entry.namespace)) continue;
      this.table.replace(entry, entry, this.#exposesNamespaceOf(entry));
    }
  }
}
