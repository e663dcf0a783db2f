import type { Clock } from '../src/base/clock.ts';
import { messageOf } from '../src/base/fault.ts';
import type { Logger } from '../src/base/log.ts';
import { Counter, type Registry } from '../src/base/metrics.ts';
import type { EndpointSlice } from '../src/api/kinds/endpoint-slice.ts';
import { kindKey, objectKey, type KubeObject, type UnknownObject } from '../src/api/kinds/meta.ts';
import type { ObjectSink } from '../src/api/kinds/object-sink.ts';
import type { Pod } from '../src/api/kinds/pod.ts';
import type { Service } from '../src/api/kinds/service.ts';
import { ChangeLog } from './change-log.ts';
import { importFacts, namespaceEntry, nodeEntry } from './cluster-entries.ts';
import { CHANGE_LOG_KEYS_MAX, ODD_OBJECT_LOG_LINES_MAX } from './limits.ts';
import { LiveTable } from './live-table.ts';
import { PodAddresses } from './pod-addresses.ts';
import { serviceEntry, serviceFacts, type ServiceFacts } from './service-entry.ts';
import type { ServiceEntry } from './service-port.ts';
import { SliceIndex, type SliceOwners } from './slice-index.ts';
import type {
  NamespaceEntry,
  NodeEntry,
  PodEntry,
  ServiceImportEntry,
  Snapshot,
  SnapshotChanges,
  SnapshotSource,
} from './snapshot.ts';

const SERVICE = 'v1/Service';
const SLICE = 'discovery.k8s.io/v1/EndpointSlice';
const POD = 'v1/Pod';
const NODE = 'v1/Node';
const NAMESPACE = 'v1/Namespace';
const IMPORTS = [
  'multicluster.x-k8s.io/v1alpha1/ServiceImport',
  'multicluster.x-k8s.io/v1beta1/ServiceImport',
];

export interface TrackerDeps {
  readonly log: Logger;
  readonly metrics?: Registry;
  /** For Snapshot.arrivedMs. */
  readonly clock?: Clock;
}

export interface TrackerOptions {
  /** Fill Snapshot.podsByAddress. Costs memory per pod; only some DNS features need it. */
  readonly pods?: boolean;
  /** See CHANGE_LOG_KEYS_MAX. */
  readonly changeLogKeysMax?: number;
}

/**
 * Turns API objects into the Snapshot that DNS, proxy and ingress read. An event costs the size of its service;
 * events are gathered and applied together in the next microtask or by `flush`. The outcome depends only on the
 * newest state of each object, never on the order in which the objects came.
 */
export class Tracker implements ObjectSink, SnapshotSource {
  readonly #log: Logger;
  readonly #clock: Clock | undefined;
  readonly #oddCounter: Counter<'kind'> | undefined;
  readonly #options: TrackerOptions;
  readonly #facts = new Map<string, ServiceFacts>();
  readonly #importFacts = new Map<string, Omit<ServiceImportEntry, 'endpoints'>>();
  readonly #nodeFacts = new Map<string, NodeEntry>();
  readonly #namespaceFacts = new Map<string, NamespaceEntry>();
  readonly #slices = new SliceIndex();
  readonly #pods = new PodAddresses();
  readonly #services = new LiveTable<ServiceEntry>((key) => this.#buildService(key));
  readonly #imports = new LiveTable<ServiceImportEntry>((key) => this.#buildImport(key));
  readonly #nodes = new LiveTable<NodeEntry>((name) => this.#nodeFacts.get(name));
  readonly #namespaces = new LiveTable<NamespaceEntry>((name) => this.#namespaceFacts.get(name));
  readonly #podsByAddress = new LiveTable<PodEntry>((address) => this.#pods.at(address));
  readonly #changes: ChangeLog;
  readonly #listeners = new Set<(version: number) => void>();
  readonly #syncedKinds = new Set<string>();
  #snapshot: Snapshot;
  #flushQueued = false;
  #arrivedMs: number | undefined;
  #oddObjects = 0;

  constructor(deps: TrackerDeps, options: TrackerOptions = {}) {
    this.#log = deps.log.with({ part: 'endpoints' });
    this.#clock = deps.clock;
    this.#options = options;
    this.#changes = new ChangeLog(options.changeLogKeysMax ?? CHANGE_LOG_KEYS_MAX);
    this.#oddCounter = oddCounter(deps.metrics);
    this.#snapshot = this.#at(0, false);
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Objects, or fields of objects, that could not be used since the start. */
  get oddObjectCount(): number {
    return this.#oddObjects;
  }

  upsert(object: KubeObject): void {
    this.#arrivedMs ??= this.#clock?.monotonicMs();
    try {
      this.#upsert(kindKey(object), object);
    } catch (error) {
      this.#odd(object, [messageOf(error)]);
      this.#forget(object);
    }
    this.#queueFlush();
  }

  remove(object: KubeObject): void {
    this.#arrivedMs ??= this.#clock?.monotonicMs();
    try {
      this.#remove(kindKey(object), object);
    } catch (error) {
      this.#odd(object, [messageOf(error)]);
    }
    this.#queueFlush();
  }

  synced(apiVersion: string, kind: string): void {
    this.#syncedKinds.add(kindKey({ apiVersion, kind }));
    this.#queueFlush();
  }

  /** Applies what was gathered, now. Returns the version. */
  flush(): number {
    this.#flushQueued = false;
    const batch = {
      services: this.#services.flush(),
      imports: this.#imports.flush(),
      namespaces: this.#namespaces.flush(),
      nodes: this.#nodes.flush(),
      pods: this.#podsByAddress.flush(),
    };
    const synced = this.#syncedKinds.has(SERVICE) && this.#syncedKinds.has(SLICE);
    const changed = Object.values(batch).some((keys) => keys.size > 0);
    const arrivedMs = this.#arrivedMs;
    this.#arrivedMs = undefined;
    if (!changed && synced === this.#snapshot.synced) return this.#snapshot.version;
    const version = this.#snapshot.version + 1;
    this.#changes.append(version, batch);
    this.#snapshot = { ...this.#at(version, synced), arrivedMs };
    this.#notify(version);
    return version;
  }

  changesSince(version: number): SnapshotChanges {
    return this.#changes.since(version);
  }

  subscribe(listener: (version: number) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #upsert(kind: string, object: KubeObject): void {
    const key = objectKey(object);
    if (kind === SERVICE) {
      const { facts, oddities } = serviceFacts(object as Service);
      this.#facts.set(key, facts);
      this.#services.mark(key);
      this.#odd(object, oddities);
    } else if (kind === SLICE) {
      const { owners, oddities } = this.#slices.upsert(object as EndpointSlice);
      this.#markOwners(owners);
      this.#odd(object, oddities);
    } else if (kind === NODE) {
      this.#nodeFacts.set(key, nodeEntry(object));
      this.#nodes.mark(key);
    } else if (kind === NAMESPACE) {
      this.#namespaceFacts.set(key, namespaceEntry(object));
      this.#namespaces.mark(key);
    } else if (kind === POD) {
      if (this.#options.pods) this.#markPods(this.#pods.upsert(object as Pod));
    } else if (IMPORTS.includes(kind)) {
      this.#importFacts.set(key, importFacts(object as UnknownObject));
      this.#imports.mark(key);
    }
  }

  #remove(kind: string, object: KubeObject): void {
    const key = objectKey(object);
    if (kind === SERVICE && this.#facts.delete(key)) this.#services.mark(key);
    else if (kind === SLICE) this.#markOwners(this.#slices.remove(object));
    else if (kind === NODE && this.#nodeFacts.delete(key)) this.#nodes.mark(key);
    else if (kind === NAMESPACE && this.#namespaceFacts.delete(key)) this.#namespaces.mark(key);
    else if (kind === POD) this.#markPods(this.#pods.remove(object));
    else if (IMPORTS.includes(kind) && this.#importFacts.delete(key)) this.#imports.mark(key);
  }

  /** An object that cannot be read stands for nothing: what it was before must not live on. */
  #forget(object: KubeObject): void {
    if (typeof object?.metadata?.name === 'string') this.#remove(kindKey(object), object);
  }

  #markOwners(owners: SliceOwners): void {
    for (const key of owners.services) this.#services.mark(key);
    for (const key of owners.imports) this.#imports.mark(key);
  }

  #markPods(addresses: readonly string[]): void {
    for (const address of addresses) this.#podsByAddress.mark(address);
  }

  #buildService(key: string): ServiceEntry | undefined {
    const facts = this.#facts.get(key);
    if (!facts) return undefined;
    const { members, triggerTimeMs } = this.#slices.behindService(key, facts.headless);
    return serviceEntry(
      facts,
      members.map((member) => member.endpoint),
      triggerTimeMs,
    );
  }

  #buildImport(key: string): ServiceImportEntry | undefined {
    const facts = this.#importFacts.get(key);
    if (!facts) return undefined;
    const { members } = this.#slices.behindImport(key);
    return { ...facts, endpoints: members.map(({ endpoint, clusterId }) => ({ ...endpoint, clusterId })) };
  }

  #at(version: number, synced: boolean): Snapshot {
    return {
      version,
      services: this.#services.entries,
      imports: this.#imports.entries,
      namespaces: this.#namespaces.entries,
      nodes: this.#nodes.entries,
      podsByAddress: this.#podsByAddress.entries,
      synced,
    };
  }

  #queueFlush(): void {
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      if (this.#flushQueued) this.flush();
    });
  }

  #notify(version: number): void {
    for (const listener of this.#listeners) {
      try {
        listener(version);
      } catch (error) {
        this.#log.error('listener failed', { error, version });
      }
    }
  }

  #odd(object: KubeObject, oddities: readonly string[]): void {
    if (oddities.length === 0) return;
    this.#oddObjects++;
    this.#oddCounter?.inc({ kind: object?.kind ?? '' });
    if (this.#oddObjects > ODD_OBJECT_LOG_LINES_MAX) return;
    const { namespace, name } = object?.metadata ?? {};
    this.#log.warn('odd object', { kind: object?.kind, namespace, name, oddities });
  }
}

const ODD_METRIC = 'weft_endpoints_odd_objects_total';

function oddCounter(metrics: Registry | undefined): Counter<'kind'> | undefined {
  if (!metrics) return undefined;
  const known = metrics.getSingleMetric(ODD_METRIC) as Counter<'kind'> | undefined;
  const help = 'Objects that held something the endpoints model could not use, by kind';
  return known ?? new Counter({ name: ODD_METRIC, help, labelNames: ['kind'], registers: [metrics] });
}
