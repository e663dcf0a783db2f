import { HISTORY_EVENTS_MAX } from '../limits.ts';
import { type Beginning, Beginnings } from './beginnings.ts';
import { SortedEntries } from './sorted-entries.ts';
import type { FieldsOf, StoredObject } from './stored-object.ts';

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One change of one object. `entry` of a DELETED event is the last state at the revision of the deletion. */
export interface CacheEvent {
  readonly type: EventType;
  readonly entry: StoredObject;
  readonly previous: StoredObject | undefined;
  readonly revision: number;
  /** Serialized frames by encoder and type, made once for all watchers. */
  readonly frames: Map<string, Uint8Array>;
}

export interface CacheListener {
  /** Only events of this namespace; '' = all. */
  readonly namespace: string;
  event(event: CacheEvent): void;
  /** Called on each bookmark tick with the newest revision. */
  tick(revision: number): void;
  /** The history has a gap: the watch must end with 410. */
  lost(): void;
}

/** What is there now of one resource, its recent history, and who listens. Written by the hub alone. */
export class ResourceCache {
  readonly prefix: string;
  /** Set when the resource is served; decides what field selectors see. */
  fieldsOf: FieldsOf = (object) => ({
    'metadata.name': object.metadata.name,
    'metadata.namespace': object.metadata.namespace ?? '',
  });
  readonly #entries = new SortedEntries();
  readonly #listeners = new Set<CacheListener>();
  #history: CacheEvent[] = [];
  /** Every event with a greater revision is in the history. */
  #historyStart: number;
  #lastChange = 0;
  readonly #beginnings = new Beginnings();
  /** Counts changes of the entries. */
  #state = 0;

  constructor(prefix: string, revision: number) {
    this.prefix = prefix;
    this.#historyStart = revision;
  }

  get size(): number {
    return this.#entries.size;
  }

  get watcherCount(): number {
    return this.#listeners.size;
  }

  /** Revision of the newest change of this resource: a list at or after it equals the present. */
  get lastChange(): number {
    return this.#lastChange;
  }

  get historyStart(): number {
    return this.#historyStart;
  }

  get(key: string): StoredObject | undefined {
    return this.#entries.get(key);
  }

  range(prefix: string, after?: string): Generator<StoredObject> {
    return this.#entries.range(prefix, after);
  }

  /**
   * What watches of the prefix begin with now.
   * @param encoding tells beginnings of one prefix apart
   */
  beginning(
    prefix: string,
    encoding: string,
    piecesOf: (entries: readonly StoredObject[]) => Iterator<Uint8Array>,
  ): Beginning {
    return this.#beginnings.open(`${encoding} ${prefix}`, this.#state, () =>
      piecesOf([...this.range(prefix)]),
    );
  }

  /** Puts what a load found there, without an event. */
  seed(entry: StoredObject): void {
    this.#state++;
    this.#entries.set(entry);
    this.#lastChange = Math.max(this.#lastChange, entry.revision);
  }

  apply(event: CacheEvent): void {
    this.#state++;
    if (event.type === 'DELETED') {
      this.#entries.delete(event.entry.key);
    } else {
      this.#entries.set(event.entry);
    }
    this.#lastChange = event.revision;
    this.#remember(event);
    for (const listener of this.#listeners) {
      if (!listener.namespace || listener.namespace === event.entry.namespace) listener.event(event);
    }
    event.frames.clear(); // sent: whoever replays the history makes them again, once
  }

  /** Events after the revision, oldest first; undefined when the memory does not reach back that far. */
  since(revision: number): readonly CacheEvent[] | undefined {
    if (revision < this.#historyStart) return undefined;
    const history = this.#history;
    let low = 0;
    let high = history.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (history[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return history.slice(low);
  }

  listen(listener: CacheListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  tick(revision: number): void {
    for (const listener of this.#listeners) listener.tick(revision);
  }

  /** After a gap in the feed: forget everything, end all watches. */
  reset(revision: number): void {
    this.#state++;
    this.#entries.clear();
    this.#history = [];
    this.#historyStart = revision;
    this.#lastChange = revision;
    for (const listener of Array.from(this.#listeners)) listener.lost();
  }

  #remember(event: CacheEvent): void {
    this.#history.push(event);
    if (this.#history.length < HISTORY_EVENTS_MAX * 2) return;
    const dropped = this.#history.splice(0, HISTORY_EVENTS_MAX);
    this.#historyStart = dropped.at(-1)?.revision ?? this.#historyStart;
  }
}
