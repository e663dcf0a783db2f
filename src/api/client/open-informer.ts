import { backoffDelayMs, type BackoffOptions } from '../../base/backoff.ts';
import { type Clock, sleep } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Registry } from '../../base/metrics.ts';
import { type KubeObject, objectKey } from '../kinds/meta.ts';
import { type ClientMetrics, clientMetrics } from './client-metrics.ts';
import { type ApiClient, ApiError, type Resource, type WatchEvent } from './client.ts';
import type { Informer, InformerEvent, InformerOptions, ObjectMemory } from './informer.ts';
import { INFORMER_BACKOFF_MAX_MS, INFORMER_BACKOFF_MIN_MS, LIST_PAGE_SIZE } from './limits.ts';
import { RECALL_AFTER_MS, WATCH_MAX_SECONDS, WATCH_MIN_SECONDS, WATCH_TOO_SHORT_MS } from './limits.ts';
import { deepFreeze, type IndexFunction, ObjectCache } from './object-cache.ts';
import { guarded, WatchListUnsupported } from './watch-guard.ts';

export interface InformerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** 0..1; spreads retries and watch ends. */
  readonly random: () => number;
  readonly metrics?: Registry;
  readonly memory?: ObjectMemory;
}

/** An informer that takes further indices after it was opened. */
export interface SharedInformer<T extends KubeObject> extends Informer<T> {
  addIndex(name: string, indexFunction: IndexFunction<T>): void;
}

/** Starts to follow the collection at once; await `synced` for the first complete list. */
export function openInformer<T extends KubeObject>(
  client: ApiClient,
  resource: Resource,
  options: InformerOptions<T>,
  deps: InformerDeps,
): SharedInformer<T> {
  return new ListWatchInformer(client, resource, options, deps);
}

class ListWatchInformer<T extends KubeObject> implements SharedInformer<T> {
  readonly resource: Resource;
  readonly #client: ApiClient;
  readonly #options: InformerOptions<T>;
  readonly #deps: InformerDeps;
  readonly #log: Logger;
  readonly #metrics: ClientMetrics | undefined;
  readonly #backoff: BackoffOptions;
  readonly #cache: ObjectCache<T>;
  readonly #handlers = new Set<(event: InformerEvent<T>) => void>();
  readonly #abort = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  readonly #running: Promise<void>;
  readonly #recallTimer: Disposable | undefined;
  #resourceVersion = '';
  #hasSynced = false;
  #useWatchList = true;
  #failures = 0;

  constructor(client: ApiClient, resource: Resource, options: InformerOptions<T>, deps: InformerDeps) {
    this.resource = resource;
    this.#client = client;
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log.with({ resource: resource.plural });
    this.#metrics = deps.metrics && clientMetrics(deps.metrics);
    this.#backoff = {
      minMs: INFORMER_BACKOFF_MIN_MS,
      maxMs: INFORMER_BACKOFF_MAX_MS,
      jitter: 0.5,
      random: deps.random,
    };
    this.#cache = new ObjectCache(options.indices ?? {});
    this.#synced.promise.catch(() => {}); // disposal before the first list: only those who wait must hear of it
    const silent = (): void => this.#recall('nothing was heard yet');
    this.#recallTimer = deps.memory && deps.clock.setTimer(RECALL_AFTER_MS, silent);
    this.#running = this.#run();
  }

  get resourceVersion(): string {
    return this.#resourceVersion;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#cache.get(namespace ? `${namespace}/${name}` : name);
  }

  list(namespace?: string): Iterable<T> {
    return this.#cache.list(namespace);
  }

  byIndex(index: string, value: string): Iterable<T> {
    return this.#cache.byIndex(index, value);
  }

  addIndex(name: string, indexFunction: IndexFunction<T>): void {
    this.#cache.addIndex(name, indexFunction);
  }

  subscribe(handler: (event: InformerEvent<T>) => void): Disposable {
    // A wrapper of its own: the same function may subscribe twice.
    const own = (event: InformerEvent<T>): void => handler(event);
    if (this.#hasSynced) {
      for (const object of Array.from(this.#cache.list())) this.#deliver({ type: 'added', object }, [own]);
    }
    this.#handlers.add(own);
    return { [Symbol.dispose]: () => void this.#handlers.delete(own) };
  }

  async synced(signal?: AbortSignal): Promise<void> {
    if (this.#hasSynced) return;
    if (!signal) return await this.#synced.promise;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.#synced.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('informer disposed'));
    this.#recallTimer?.[Symbol.dispose]();
    this.#handlers.clear();
    await this.#running;
    this.#synced.reject(new Error(`informer of ${this.resource.plural} disposed before its first list`));
  }

  /** Follows until disposed: every failure leads back here after a delay, with the last state kept. */
  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === '' || !this.#hasSynced) await this.#startOver();
        else await this.#follow();
      } catch (error) {
        if (signal.aborted) return;
        await this.#recover(error).catch(() => {}); // rejects only when disposed: the loop's condition ends it
      }
    }
  }

  async #recover(error: unknown): Promise<void> {
    if (error instanceof WatchListUnsupported) {
      this.#useWatchList = false;
      this.#log.debug('watch-list not supported, listing', { reason: messageOf(error) });
      return;
    }
    const expired = error instanceof ApiError && (error.status === 410 || error.reason === 'Expired');
    if (expired) this.#resourceVersion = '';
    this.#metrics?.informerErrors.inc({
      resource: this.resource.plural,
      stage: expired ? 'expired' : 'watch',
    });
    const delayMs = backoffDelayMs(this.#failures++, this.#backoff);
    const fields = { reason: messageOf(error), retryMs: Math.round(delayMs) };
    if (this.#failures === 1 && !expired) this.#log.warn('list or watch failed', fields);
    else this.#log.debug('list or watch failed again', fields);
    this.#recall(fields.reason);
    await sleep(this.#deps.clock, delayMs, this.#abort.signal);
  }

  /** Serves what was known at the last run until the first list; each later one is a difference to it. */
  #recall(reason: string): void {
    const known = this.#hasSynced ? undefined : this.#deps.memory?.recall(this.resource);
    if (!known) return;
    this.#log.warn('serving the last known state', { objects: known.length, reason });
    this.#metrics?.informerRecalled.set({ resource: this.resource.plural }, 1);
    this.#serve(new Map((known as readonly T[]).map((object) => [objectKey(object), this.#keep(object)])));
  }

  #healthy(): void {
    if (this.#failures > 1) this.#log.info('following again', { failures: this.#failures });
    this.#failures = 0;
  }

  async #startOver(): Promise<void> {
    const { signal } = this.#abort;
    if (this.#useWatchList) await this.#watch(true);
    else this.#replace(...(await this.#listAll(signal)));
  }

  async #follow(): Promise<void> {
    const startMs = this.#deps.clock.monotonicMs();
    const before = this.#resourceVersion;
    await this.#watch(false);
    const lastedMs = this.#deps.clock.monotonicMs() - startMs;
    if (lastedMs < WATCH_TOO_SHORT_MS && before === this.#resourceVersion) {
      throw new Error('the watch ended at once');
    }
  }

  /** One watch to its end; with `initial` the present objects come first and replace the cache in one step. */
  async #watch(initial: boolean): Promise<void> {
    let staged: Map<string, T> | undefined = initial ? new Map() : undefined;
    const timeoutSeconds = Math.round(
      WATCH_MIN_SECONDS + this.#deps.random() * (WATCH_MAX_SECONDS - WATCH_MIN_SECONDS),
    );
    const open = (signal: AbortSignal): AsyncIterable<WatchEvent<T>> =>
      this.#client.watch<T>(
        this.resource,
        {
          ...this.#selection(),
          timeoutSeconds,
          ...(initial ? { sendInitialEvents: true } : { resourceVersion: this.#resourceVersion }),
        },
        signal,
      );
    const guard = { clock: this.#deps.clock, signal: this.#abort.signal, timeoutSeconds, initial };
    for await (const event of guarded(open, guard)) {
      if (staged && event.type !== 'BOOKMARK') stage(staged, event, this.#keep);
      else if (staged && event.type === 'BOOKMARK' && event.initialEventsEnd) {
        this.#replace(staged, event.resourceVersion);
        staged = undefined;
      } else if (!staged) this.#apply(event);
    }
    if (staged) throw new WatchListUnsupported('the watch ended before the initial events did');
  }

  async #listAll(signal: AbortSignal): Promise<[Map<string, T>, string]> {
    const objects = new Map<string, T>();
    let continueToken: string | undefined;
    let resourceVersion = '';
    do {
      const page = await this.#client.list<T>(
        this.resource,
        { ...this.#selection(), limit: LIST_PAGE_SIZE, ...(continueToken && { continueToken }) },
        signal,
      );
      for (const object of page.items) objects.set(objectKey(object), this.#keep(object));
      continueToken = page.continueToken;
      resourceVersion = page.resourceVersion;
    } while (continueToken);
    return [objects, resourceVersion];
  }

  #selection(): { namespace?: string; labelSelector?: string; fieldSelector?: string } {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace && { namespace }),
      ...(labelSelector && { labelSelector }),
      ...(fieldSelector && { fieldSelector }),
    };
  }

  readonly #keep = (object: T): T => deepFreeze(this.#options.trim ? this.#options.trim(object) : object);

  #replace(objects: ReadonlyMap<string, T>, resourceVersion: string): void {
    this.#metrics?.informerLists.inc({ resource: this.resource.plural });
    this.#recallTimer?.[Symbol.dispose]();
    this.#metrics?.informerRecalled.remove({ resource: this.resource.plural });
    this.#resourceVersion = resourceVersion;
    this.#healthy();
    this.#serve(objects);
  }

  #serve(objects: ReadonlyMap<string, T>): void {
    const events = this.#cache.replace(objects);
    this.#hasSynced = true;
    for (const event of events) this.#deliver(event, this.#handlers);
    this.#synced.resolve();
  }

  #apply(event: WatchEvent<T>): void {
    this.#healthy();
    if (event.type === 'BOOKMARK') {
      this.#resourceVersion = event.resourceVersion || this.#resourceVersion;
      return;
    }
    const object = this.#keep(event.object);
    const change =
      event.type === 'DELETED' ? this.#cache.remove(objectKey(object), object) : this.#cache.upsert(object);
    this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion;
    if (change) this.#deliver(change, this.#handlers);
  }

  #deliver(event: InformerEvent<T>, handlers: Iterable<(event: InformerEvent<T>) => void>): void {
    const { plural } = this.resource;
    this.#metrics?.informerEvents.inc({ resource: plural, type: event.type });
    for (const handler of handlers) {
      try {
        handler(event);
      } catch (error) {
        this.#metrics?.informerErrors.inc({ resource: plural, stage: 'handler' });
        this.#log.error('informer handler failed', { error, object: objectKey(event.object) });
      }
    }
  }
}

function stage<T extends KubeObject>(
  staged: Map<string, T>,
  event: Exclude<WatchEvent<T>, { type: 'BOOKMARK' }>,
  keep: (object: T) => T,
): void {
  const key = objectKey(event.object);
  if (event.type === 'DELETED') staged.delete(key);
  else staged.set(key, keep(event.object));
}
