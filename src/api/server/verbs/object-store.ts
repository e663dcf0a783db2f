import type { Buffer } from 'node:buffer';
import type { Clock } from '../../../base/clock.ts';
import type { Store, StoreEntry } from '../../../store/store.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import type { WatchHub } from '../cache/hub.ts';
import type { ResourceCache } from '../cache/resource-cache.ts';
import type { Conversions } from '../extension/conversions.ts';
import { encodeStored, type StoredObject } from '../cache/stored-object.ts';
import { deepFreeze } from '../json.ts';
import { toStored } from './versions.ts';

export interface ObjectStoreDeps {
  readonly store: Store;
  readonly hub: WatchHub;
  readonly clock: Clock;
  /** Encryption at rest; gives the bytes back as they are for kinds that are not encrypted. */
  readonly seal: (key: string, value: Buffer) => Uint8Array;
  readonly conversions: Conversions;
}

export type PutResult =
  | { readonly ok: true; readonly entry: StoredObject }
  | { readonly ok: false; readonly current: StoredObject | undefined };

/** A lease is shared by the objects written within this time. */
const LEASE_SHARE_MS = 60_000;

/** Objects over the store: keys, encoding, compare-and-swap. Reads come from the cache. */
export class ObjectStore {
  readonly #deps: ObjectStoreDeps;
  readonly #leases = new Map<number, { id: Promise<string>; untilMs: number }>();
  /** Fields that objects of a cache may be selected by, over all versions of the kind. */
  readonly #selectable = new WeakMap<ResourceCache, Map<string, (object: UnknownObject) => string>>();
  readonly #caches = new WeakMap<KindInfo, ResourceCache>();

  constructor(deps: ObjectStoreDeps) {
    this.#deps = deps;
  }

  get hub(): WatchHub {
    return this.#deps.hub;
  }

  cacheOf(kind: KindInfo): ResourceCache {
    const known = this.#caches.get(kind);
    if (known) return known;
    const cache = this.#deps.hub.cache(kind.storage.collection);
    this.#caches.set(kind, cache);
    const fields = new Map([...(this.#selectable.get(cache) ?? []), ...kind.selectableFields]);
    this.#selectable.set(cache, fields);
    cache.fieldsOf = (object) =>
      Object.fromEntries(Array.from(fields, ([field, valueOf]) => [field, valueOf(object)]));
    return cache;
  }

  keyOf(kind: KindInfo, namespace: string, name: string): string {
    return this.prefixOf(kind, namespace) + name;
  }

  prefixOf(kind: KindInfo, namespace: string): string {
    const { prefix } = this.cacheOf(kind);
    return kind.namespaced && namespace ? `${prefix}${namespace}/` : prefix;
  }

  /** What the cache has now; `fresh` first for a read that must see every acknowledged write. */
  get(kind: KindInfo, namespace: string, name: string): StoredObject | undefined {
    return this.cacheOf(kind).get(this.keyOf(kind, namespace, name));
  }

  async put(
    kind: KindInfo,
    namespace: string,
    name: string,
    object: UnknownObject,
    expectedRevision: number,
  ): Promise<PutResult> {
    const { store, hub, seal, conversions } = this.#deps;
    const key = this.keyOf(kind, namespace, name);
    const stored = deepFreeze(await conversions.toStorage(kind, object));
    const bytes = encodeStored(stored);
    const value = seal(key, bytes);
    hub.expect(value, stored);
    const leaseId = kind.ttlSeconds === undefined ? undefined : await this.#lease(kind.ttlSeconds);
    // What was sealed may be a part of a pool.
    const options = { givenAway: value === bytes, ...(leaseId !== undefined && { leaseId }) };
    const result = await store.put(key, value, expectedRevision, options);
    if (!result.ok) return { ok: false, current: this.#current(result.current) };
    const metadata = Object.freeze({ ...stored.metadata, resourceVersion: String(result.revision) });
    const entry = hub.entryOf(key, bytes, result.revision, Object.freeze({ ...stored, metadata }));
    return { ok: true, entry };
  }

  /** An entry that was not written: the reply of a dry run, or of a removal. A webhook converts none of these. */
  preview(kind: KindInfo, object: UnknownObject, revision?: number): StoredObject {
    const { namespace, name, resourceVersion } = object.metadata;
    const bytes = encodeStored(kind.conversionWebhook ? object : toStored(kind, object));
    const at = revision ?? Number(resourceVersion ?? 0);
    return this.#deps.hub.entryOf(this.keyOf(kind, namespace ?? '', name), bytes, at);
  }

  /** True when this call removed it. */
  async remove(
    kind: KindInfo,
    entry: StoredObject,
  ): Promise<{ ok: true; revision: number } | { ok: false; current: StoredObject | undefined }> {
    const result = await this.#deps.store.delete(entry.key, entry.revision);
    if (!result.ok) return { ok: false, current: this.#current(result.current) };
    return { ok: true, revision: result.revision };
  }

  #current(entry: StoreEntry | undefined): StoredObject | undefined {
    return entry && this.#deps.hub.entry(entry);
  }

  async #lease(ttlSeconds: number): Promise<string> {
    const nowMs = this.#deps.clock.monotonicMs();
    const known = this.#leases.get(ttlSeconds);
    if (known && known.untilMs > nowMs) return await known.id;
    const id = this.#deps.store.grantLease(ttlSeconds + LEASE_SHARE_MS / 1000);
    this.#leases.set(ttlSeconds, { id, untilMs: nowMs + LEASE_SHARE_MS });
    id.catch(() => this.#leases.delete(ttlSeconds));
    return await id;
  }
}
