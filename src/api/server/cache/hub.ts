import type { Buffer } from 'node:buffer';
import type { Clock } from '../../../base/clock.ts';
import { sleep } from '../../../base/clock.ts';
import { messageOf } from '../../../base/fault.ts';
import type { Logger } from '../../../base/log.ts';
import type { Store, StoreEntry, StoreEvent } from '../../../store/store.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { BOOKMARK_INTERVAL_MS, FUTURE_REVISION_WAIT_MS } from '../limits.ts';
import { futureRevision, unavailable } from '../status.ts';
import { ResourceCache } from './resource-cache.ts';
import { collectionPrefix, parseKey, REGISTRY } from './storage-key.ts';
import { ParsedObjects, StoredObject } from './stored-object.ts';

/** Writes of other keys (locks of node ports) move the revision, too: nobody waits a second to be told so. */
const ALL_KEYS = '/';
const LOAD_PAGE_ENTRIES = 5_000;
const RETRY_MS = 500;

export interface HubDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Undoes encryption at rest. */
  readonly unseal: (key: string, value: Uint8Array) => Buffer;
}

/**
 * The one reader of the store's feed: loads everything under /registry/, then follows one watch and hands each
 * event to the cache of its resource. Because every revision passes here, `revision` is a revision of all caches.
 */
export class WatchHub implements AsyncDisposable {
  readonly #deps: HubDeps;
  readonly #abort = new AbortController();
  readonly #caches = new Map<string, ResourceCache>();
  readonly #parsedObjects = new ParsedObjects();
  /** Objects of writes under way, so that their event needs no parsing. */
  readonly #expected = new WeakMap<Uint8Array, UnknownObject>();
  #waiters: { revision: number; wake: () => void }[] = [];
  #revision = 0;
  #lastNamespace = '';
  #following: Promise<void> = Promise.resolve();
  #ticker: Disposable | undefined;

  static async open(deps: HubDeps): Promise<WatchHub> {
    const hub = new WatchHub(deps);
    await hub.#load();
    hub.#following = hub.#follow();
    hub.#tick();
    return hub;
  }

  private constructor(deps: HubDeps) {
    this.#deps = deps;
  }

  get revision(): number {
    return this.#revision;
  }

  caches(): Iterable<ResourceCache> {
    return this.#caches.values();
  }

  /** @param collection KindInfo.storage.collection */
  cache(collection: string): ResourceCache {
    return this.#cacheOf(collectionPrefix(collection));
  }

  /** Announces what the bytes of a write mean. */
  expect(bytes: Uint8Array, object: UnknownObject): void {
    this.#expected.set(bytes, object);
  }

  /** Resolves when the caches hold everything that was acknowledged before the call. */
  async fresh(signal?: AbortSignal): Promise<void> {
    const revision = await this.#deps.store.currentRevision(signal);
    if (revision > this.#revision) await this.reach(revision);
  }

  /** Resolves when the caches are at the revision; 504 when that takes too long. */
  async reach(revision: number): Promise<void> {
    if (this.#revision >= revision) return;
    await new Promise<void>((resolve, reject) => {
      const waiter = { revision, wake: resolve };
      const timer = this.#deps.clock.setTimer(FUTURE_REVISION_WAIT_MS, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(futureRevision(revision, this.#revision));
      });
      waiter.wake = () => {
        timer[Symbol.dispose]();
        resolve();
      };
      this.#waiters.push(waiter);
    });
  }

  /** The object of a store entry; undefined for keys that are not objects. */
  entry(entry: StoreEntry, object?: UnknownObject): StoredObject | undefined {
    if (!parseKey(entry.key)) return undefined;
    return this.entryOf(entry.key, this.#deps.unseal(entry.key, entry.value), entry.modRevision, object);
  }

  /** @param object frozen, with its resourceVersion, when the caller has it already */
  entryOf(key: string, bytes: Buffer, revision: number, object?: UnknownObject): StoredObject {
    const { namespace: found, name } = parseKey(key) ?? { namespace: '', name: '' };
    // Neighbours share a namespace: one string for all of them.
    const namespace = found === this.#lastNamespace ? this.#lastNamespace : (this.#lastNamespace = found);
    return new StoredObject(this.#parsedObjects, { key, namespace, name, bytes, revision }, object);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('server stopped'));
    this.#ticker?.[Symbol.dispose]();
    await this.#following;
    for (const cache of this.#caches.values()) cache.reset(this.#revision);
  }

  #cacheOf(prefix: string): ResourceCache {
    let cache = this.#caches.get(prefix);
    if (!cache) {
      cache = new ResourceCache(prefix, this.#revision);
      this.#caches.set(prefix, cache);
    }
    return cache;
  }

  async #load(): Promise<void> {
    const { store } = this.#deps;
    let after: string | undefined;
    let revision: number | undefined;
    for (;;) {
      const page = await store.range(REGISTRY, {
        limit: LOAD_PAGE_ENTRIES,
        ...(after !== undefined && { after }),
        ...(revision !== undefined && { revision }),
      });
      revision ??= page.revision;
      this.#revision = revision;
      for (const stored of page.entries) this.#seed(stored);
      after = page.entries.at(-1)?.key;
      if (!page.more || after === undefined) return;
    }
  }

  #seed(stored: StoreEntry): void {
    const parts = parseKey(stored.key);
    const entry = this.entry(stored);
    if (parts && entry) this.#cacheOf(parts.prefix).seed(entry);
  }

  async #follow(): Promise<void> {
    const { store, log, clock } = this.#deps;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        for await (const batch of store.watch(ALL_KEYS, this.#revision, signal)) {
          for (const event of batch.events) this.#apply(event);
          this.#advance(batch.revision);
        }
        if (signal.aborted) return;
        throw unavailable('the store ended its watch');
      } catch (error) {
        if (signal.aborted) return;
        log.warn('store watch lost, loading again', { reason: messageOf(error) });
        await sleep(clock, RETRY_MS, signal).catch(() => undefined);
        await this.#reload().catch((cause: unknown) => log.error('store not readable', { error: cause }));
      }
    }
  }

  /** The feed has a gap: start over from what is there; every watcher is told to list again. */
  async #reload(): Promise<void> {
    const { revision } = await this.#deps.store.range(REGISTRY, { limit: 1 });
    for (const cache of this.#caches.values()) cache.reset(revision);
    await this.#load();
    this.#advance(this.#revision);
  }

  #apply(event: StoreEvent): void {
    const key = event.type === 'put' ? event.entry.key : event.key;
    const parts = parseKey(key);
    if (!parts) return;
    const cache = this.#cacheOf(parts.prefix);
    const previous = cache.get(key);
    const { revision } = event;
    if (event.type === 'put') {
      const entry = this.entry(event.entry, this.#expectedObject(event.entry));
      if (!entry) return;
      cache.apply({ type: previous ? 'MODIFIED' : 'ADDED', entry, previous, revision, frames: new Map() });
    } else if (previous) {
      cache.apply({ type: 'DELETED', entry: previous.at(revision), previous, revision, frames: new Map() });
    }
  }

  #expectedObject(entry: StoreEntry): UnknownObject | undefined {
    const object = this.#expected.get(entry.value);
    if (!object) return undefined;
    this.#expected.delete(entry.value); // the bytes live as long as the object, its parsed form need not
    const metadata = Object.freeze({ ...object.metadata, resourceVersion: String(entry.modRevision) });
    return Object.freeze({ ...object, metadata });
  }

  #advance(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter((waiter) => waiter.revision <= this.#revision);
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > this.#revision);
    for (const waiter of ready) waiter.wake();
  }

  #tick(): void {
    this.#ticker = this.#deps.clock.setTimer(BOOKMARK_INTERVAL_MS, () => {
      for (const cache of this.#caches.values()) cache.tick(this.#revision);
      this.#tick();
    });
  }
}
