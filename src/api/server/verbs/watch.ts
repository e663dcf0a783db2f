import { Buffer } from 'node:buffer';
import type { Clock } from '../../../base/clock.ts';
import { hasCode } from '../../../base/fault.ts';
import { type Store, STORE_COMPACTED } from '../../../store/store.ts';
import type { WatchHub } from '../cache/hub.ts';
import type { Beginning } from '../cache/beginnings.ts';
import type { CacheEvent, EventType } from '../cache/resource-cache.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import type { ByteSink } from '../http/byte-sink.ts';
import { type Reply, statusOf } from '../http/reply.ts';
import {
  LIST_CHUNK_BYTES,
  WATCH_BUFFER_MAX_BYTES,
  WATCH_CHUNK_BYTES,
  WATCH_TIMEOUT_MIN_MS,
} from '../limits.ts';
import { expired, StatusError } from '../status.ts';
import { beginningOf } from './beginning.ts';
import { bookmarkFrame, type Encoder, eventFrame } from './encoder.ts';
import type { ListScope } from './list.ts';
import { type ListOptions, parseRevision } from './list-options.ts';

export interface WatchDeps {
  readonly hub: WatchHub;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  /** Waits for the user's turn to go on. */
  readonly nextSlice: () => Promise<void>;
  /** Waits until it is this watch's turn to send what is there; disposed when that has been sent. */
  readonly begin: () => Promise<Disposable>;
}

/** An event on its way out. */
interface Outgoing {
  /** Made when its turn comes, unless all watchers share it. */
  readonly frame: Uint8Array | (() => Uint8Array);
  readonly sizeBytes: number;
}

/** Answers a watch: a stream that ends by its timeout, its receiver, a lost history or the server's stop. */
export async function watch(
  deps: WatchDeps,
  scope: ListScope & { readonly namespace: string },
  options: ListOptions,
  encoder: Encoder,
): Promise<Reply> {
  const asked = parseRevision(options.resourceVersion);
  if (asked === undefined) await deps.hub.fresh();
  else if (asked > 0) await deps.hub.reach(asked);
  return {
    status: 200,
    headers: { 'content-type': encoder.contentType },
    body: async (sink) => {
      using stream = new WatchStream(deps, scope, options, encoder, sink);
      await stream.run(asked);
    },
  };
}

class WatchStream implements Disposable {
  readonly #deps: WatchDeps;
  readonly #scope: ListScope & { readonly namespace: string };
  readonly #options: ListOptions;
  readonly #encoder: Encoder;
  readonly #sink: ByteSink;
  /** Live events that wait until the past has been sent. */
  #pending: CacheEvent[] | undefined = [];
  /** What waits for the user's turn, and how much that is with what is pending. */
  #outbox: Outgoing[] = [];
  #waitingBytes = 0;
  #flushing: Promise<void> | undefined;
  /** The reader has not taken what was sent last; the rest waits for it. */
  #blocked = false;
  #first = true;
  #ended = false;
  #end: () => void = () => {};
  readonly #done: Promise<void>;
  readonly #owned: Disposable[] = [];
  /** Events a webhook has to convert, one behind the other; nothing overtakes them. */
  #converting: Promise<void> | undefined;

  constructor(
    deps: WatchDeps,
    scope: ListScope & { readonly namespace: string },
    options: ListOptions,
    encoder: Encoder,
    sink: ByteSink,
  ) {
    this.#deps = deps;
    this.#scope = scope;
    this.#options = options;
    this.#encoder = encoder;
    this.#sink = sink;
    this.#done = new Promise((resolve) => {
      this.#end = () => {
        this.#ended = true;
        resolve();
      };
    });
  }

  async run(asked: number | undefined): Promise<void> {
    if (this.#sink.closed.aborted) return;
    this.#sink.closed.addEventListener('abort', this.#end, { once: true });
    this.#startTimeout();
    try {
      await this.#start(asked);
    } catch (error) {
      if (error instanceof StatusError) this.#fail(error);
      else if (hasCode(error, STORE_COMPACTED)) this.#tooOld(asked ?? 0);
      else throw error;
    }
    await this.#done;
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#sink.closed.removeEventListener('abort', this.#end);
    for (const owned of this.#owned) owned[Symbol.dispose]();
  }

  async #start(asked: number | undefined): Promise<void> {
    const { cache } = this.#scope;
    const { hub } = this.#deps;
    const initial = this.#options.sendInitialEvents ?? (asked === undefined || asked === 0);
    if (initial) {
      using _beginning = await this.#deps.begin();
      if (this.#ended) return;
      const revision = hub.revision;
      using beginning = beginningOf(this.#scope, this.#encoder, (entry) => this.#frameOf('ADDED', entry));
      this.#listen();
      await this.#sendInitial(beginning, revision);
    } else {
      const from = asked === undefined || asked === 0 ? hub.revision : asked;
      const past = cache.since(from);
      this.#listen();
      if (past) for (const event of past) this.#deliverScoped(event);
      else await this.#replay(from, hub.revision);
    }
    this.#flushPending();
  }

  #listen(): void {
    this.#owned.push(
      this.#scope.cache.listen({
        namespace: this.#scope.namespace,
        event: (event) => {
          if (this.#pending) this.#hold(event, this.#pending);
          else this.#deliver(event);
        },
        tick: (revision) => this.#inTurn(() => this.#bookmark(revision)),
        lost: () => this.#fail(expired('the watch history was lost, list again')),
      }),
    );
  }

  async #sendInitial({ pieces }: Beginning, revision: number): Promise<void> {
    let isFirst = true;
    for await (const piece of pieces) {
      if (!isFirst) {
        await this.#sink.drained();
        await this.#deps.nextSlice();
      }
      isFirst = false;
      if (this.#ended) return;
      this.#sink.write(piece);
    }
    if (this.#options.sendInitialEvents && this.#options.allowWatchBookmarks) {
      this.#sink.write(bookmarkFrame(this.#encoder, revision, true));
    }
  }

  /** The past is older than the memory: it comes from the store, up to where the live events begin. */
  async #replay(from: number, to: number): Promise<void> {
    const { store, hub } = this.#deps;
    const abort = new AbortController();
    this.#owned.push({ [Symbol.dispose]: () => abort.abort() });
    for await (const batch of store.watch(this.#scope.prefix, from, abort.signal)) {
      for (const event of batch.events) {
        if (event.revision > to) return abort.abort();
        const entry =
          event.type === 'put' ? hub.entry(event.entry) : hub.entry(event.previous)?.at(event.revision);
        const previous = event.previous && hub.entry(event.previous);
        const type: EventType = event.type === 'delete' ? 'DELETED' : previous ? 'MODIFIED' : 'ADDED';
        if (!entry) continue;
        this.#deliver({ type, entry, previous, revision: event.revision, frames: new Map() });
        if (this.#unsentBytes <= LIST_CHUNK_BYTES) continue;
        await this.#flushing;
        await this.#sink.drained();
      }
      if (batch.revision >= to || this.#ended) return abort.abort();
    }
  }

  #hold(event: CacheEvent, pending: CacheEvent[]): void {
    pending.push(event);
    this.#waitingBytes += event.entry.sizeBytes();
    if (this.#unsentBytes > WATCH_BUFFER_MAX_BYTES) this.#end();
  }

  #flushPending(): void {
    const pending = this.#pending ?? [];
    this.#pending = undefined;
    this.#waitingBytes = 0;
    for (const event of pending) this.#deliver(event);
  }

  #deliverScoped(event: CacheEvent): void {
    const { namespace } = this.#scope;
    if (!namespace || namespace === event.entry.namespace) this.#deliver(event);
  }

  #deliver(event: CacheEvent): void {
    const { views } = this.#scope;
    if (!views) return this.#show(event);
    this.#converting ??= Promise.resolve();
    this.#inTurn(async () => {
      if (this.#ended) return;
      const { entry, previous } = event;
      const [shown = entry, before] = await views(previous ? [entry, previous] : [entry]);
      this.#show({ ...event, entry: shown, previous: before, frames: new Map() });
    });
  }

  /** At once, or behind the events that are being converted. A conversion that fails ends the watch. */
  #inTurn(work: () => void | Promise<void>): void {
    if (!this.#converting) return void work();
    this.#converting = this.#converting.then(work).catch((error: unknown) => this.#fail(statusOf(error)));
  }

  #show(event: CacheEvent): void {
    if (this.#ended) return;
    const { selection } = this.#scope;
    if (selection.everything) return this.#sendEvent(event, event.type, event.entry);
    const type = this.#selectedType(event);
    if (!type) return;
    const leaving = type === 'DELETED' && event.type !== 'DELETED' && event.previous;
    this.#sendEvent(event, type, leaving ? leaving.at(event.revision) : event.entry);
  }

  /** How the change looks through the selector: coming in is ADDED, going out DELETED. */
  #selectedType(event: CacheEvent): EventType | undefined {
    const { selection, cache } = this.#scope;
    if (selection.name !== undefined && event.entry.name !== selection.name) return undefined;
    const before = event.previous !== undefined && selection.matches(event.previous, cache.fieldsOf);
    if (event.type === 'DELETED') return before ? 'DELETED' : undefined;
    const after = selection.matches(event.entry, cache.fieldsOf);
    if (after) return before ? 'MODIFIED' : 'ADDED';
    return before ? 'DELETED' : undefined;
  }

  #sendEvent(event: CacheEvent, type: EventType, entry: StoredObject): void {
    const { id } = this.#encoder;
    if (id) this.#send(this.#sharedFrame(event, type, entry, id), entry.sizeBytes());
    else this.#send(() => this.#frameOf(type, entry), entry.sizeBytes());
  }

  #sharedFrame(event: CacheEvent, type: EventType, entry: StoredObject, id: string): Uint8Array {
    const key = `${id} ${type}`;
    let frame = event.frames.get(key);
    if (!frame) {
      frame = eventFrame(this.#encoder, type, entry, false);
      event.frames.set(key, frame);
    }
    return frame;
  }

  #frameOf(type: EventType, entry: StoredObject): Buffer {
    const frame = eventFrame(this.#encoder, type, entry, this.#first);
    this.#first = false;
    return frame;
  }

  #send(frame: Outgoing['frame'], sizeBytes: number): void {
    this.#outbox.push({ frame, sizeBytes });
    this.#waitingBytes += sizeBytes;
    if (this.#unsentBytes > WATCH_BUFFER_MAX_BYTES) return this.#end();
    this.#flushing ??= this.#flush().catch((error: unknown) => this.#fail(statusOf(error)));
  }

  get #unsentBytes(): number {
    return this.#waitingBytes + this.#sink.bufferedBytes;
  }

  /**
   * What has gathered until the user's turn comes leaves in one piece, a backlog in several: what a slow reader has not
   * taken yet waits as frames that all watchers share.
   */
  async #flush(): Promise<void> {
    while (this.#outbox.length > 0) {
      if (this.#sink.bufferedBytes >= WATCH_CHUNK_BYTES) {
        this.#blocked = true;
        await this.#sink.drained();
        this.#blocked = false;
      }
      await this.#deps.nextSlice();
      if (this.#ended) break;
      this.#sink.write(this.#nextPiece());
    }
    this.#flushing = undefined;
  }

  #nextPiece(): Uint8Array {
    let [count, sizeBytes] = [0, 0];
    while (count < this.#outbox.length && sizeBytes < WATCH_CHUNK_BYTES) {
      sizeBytes += this.#outbox[count++]!.sizeBytes;
    }
    this.#waitingBytes -= sizeBytes;
    const frames = this.#outbox
      .splice(0, count)
      .map(({ frame }) => (typeof frame === 'function' ? frame() : frame));
    return frames.length === 1 ? frames[0]! : Buffer.concat(frames);
  }

  #bookmark(revision: number): void {
    if (this.#ended || this.#pending || !this.#options.allowWatchBookmarks) return;
    const frame = bookmarkFrame(this.#encoder, revision, false);
    this.#send(frame, frame.length);
  }

  #startTimeout(): void {
    const { clock, random, hub } = this.#deps;
    const seconds = this.#options.timeoutSeconds;
    const timeoutMs = seconds && seconds > 0 ? seconds * 1000 : WATCH_TIMEOUT_MIN_MS * (1 + random());
    this.#owned.push(
      clock.setTimer(timeoutMs, () => {
        const { revision } = hub;
        this.#inTurn(async () => {
          this.#bookmark(revision);
          if (!this.#blocked) await this.#flushing;
          this.#end();
        });
      }),
    );
  }

  #tooOld(asked: number): void {
    this.#fail(expired(`too old resource version: ${asked} (${this.#deps.hub.revision})`));
  }

  #fail(status: StatusError): void {
    if (this.#ended) return;
    this.#sink.write(
      Buffer.from(`${JSON.stringify({ type: 'ERROR', object: status.toStatus() })}\n`, 'utf8'),
    );
    this.#end();
  }
}
