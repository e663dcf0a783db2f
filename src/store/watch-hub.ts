import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import { WATCH_BATCH_EVENTS_MAX, WATCH_PROGRESS_INTERVAL_MS, WATCH_SCAN_EVENTS_MAX } from './limits.ts';
import { STORE_CLOSED } from './store.ts';
import type { StoreEvent, StoreWatchBatch } from './store.ts';
import { compactedFault } from './versions.ts';
import type { Versions } from './versions.ts';

/**
 * Watchers of the event log. A watcher is a place in the log, not a queue: a slow one costs nothing and fails
 * when compaction passes its place. Watchers of one prefix at the same place share the batch.
 */
export class WatchHub implements Disposable {
  readonly #clock: Clock;
  readonly #versions: Versions;
  readonly #groups = new Map<string, Group>();
  #progressTimer: Disposable | undefined;
  #watcherCount = 0;
  #closed = false;

  constructor(deps: { clock: Clock; versions: Versions }) {
    this.#clock = deps.clock;
    this.#versions = deps.versions;
  }

  get watcherCount(): number {
    return this.#watcherCount;
  }

  async *watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncGenerator<StoreWatchBatch> {
    if (signal.aborted) return;
    const watcher = this.#join(prefix, fromRevision);
    const onAbort = (): void => watcher.wake?.();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const batch = this.#next(watcher);
        if (batch) yield batch;
        else await new Promise<void>((resolve) => (watcher.wake = resolve));
        watcher.wake = undefined;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#leave(watcher);
    }
  }

  /** Tells watchers that the log has grown by these events. */
  publish(events: readonly StoreEvent[]): void {
    const { revision } = this.#versions;
    for (const group of this.#groups.values()) {
      const touched = events.some((event) => keyOf(event).startsWith(group.prefix));
      for (const watcher of group.watchers) {
        if (touched) watcher.wake?.();
        // A sleeping watcher has seen everything before, so its place moves with the log.
        else if (watcher.wake && watcher.place < revision) watcher.place = revision;
      }
      if (!touched) this.#armProgress();
    }
  }

  /** Wakes everybody: compaction has moved and may have passed a watcher's place. */
  wakeAll(): void {
    for (const group of this.#groups.values()) for (const watcher of group.watchers) watcher.wake?.();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#progressTimer?.[Symbol.dispose]();
    this.wakeAll();
  }

  #join(prefix: string, fromRevision: number): Watcher {
    let group = this.#groups.get(prefix);
    if (!group) this.#groups.set(prefix, (group = { prefix, watchers: new Set(), shared: undefined }));
    const watcher: Watcher = { group, place: fromRevision, told: fromRevision, wake: undefined };
    group.watchers.add(watcher);
    this.#watcherCount++;
    return watcher;
  }

  #leave(watcher: Watcher): void {
    const { group } = watcher;
    group.watchers.delete(watcher);
    this.#watcherCount--;
    if (group.watchers.size === 0) this.#groups.delete(group.prefix);
  }

  /** The batch that is due now; undefined = wait. */
  #next(watcher: Watcher): StoreWatchBatch | undefined {
    if (this.#closed) throw new Fault(STORE_CLOSED, 'the store is closed');
    const { compacted, revision } = this.#versions;
    if (watcher.place < compacted) throw compactedFault(watcher.place, compacted);
    if (watcher.place >= revision) return this.#progress(watcher);
    const batch = this.#collect(watcher.group, watcher.place);
    watcher.place = batch.revision;
    if (batch.events.length === 0 && batch.revision >= revision) {
      this.#armProgress();
      return undefined;
    }
    watcher.told = batch.revision;
    return batch;
  }

  #progress(watcher: Watcher): StoreWatchBatch | undefined {
    const due =
      watcher.progressDue && watcher.told < watcher.place && watcher.place <= this.#versions.revision;
    watcher.progressDue = false;
    if (!due) return undefined;
    watcher.told = watcher.place;
    return { events: [], revision: watcher.place };
  }

  #collect(group: Group, place: number): StoreWatchBatch {
    const { log, revision } = this.#versions;
    const shared = group.shared;
    if (shared && shared.place === place && shared.upTo === revision) return shared.batch;
    const events: StoreEvent[] = [];
    const stop = Math.min(revision, place + WATCH_SCAN_EVENTS_MAX);
    let at = place;
    while (at < stop && events.length < WATCH_BATCH_EVENTS_MAX) {
      const event = log.at(++at)!;
      if (keyOf(event).startsWith(group.prefix)) events.push(event);
    }
    const batch = { events, revision: at };
    group.shared = { place, upTo: revision, batch };
    return batch;
  }

  #armProgress(): void {
    if (this.#progressTimer || this.#closed) return;
    this.#progressTimer = this.#clock.setTimer(WATCH_PROGRESS_INTERVAL_MS, () => {
      this.#progressTimer = undefined;
      for (const group of this.#groups.values()) {
        for (const watcher of group.watchers) {
          if (!watcher.wake || watcher.told >= watcher.place) continue;
          watcher.progressDue = true;
          watcher.wake();
        }
      }
    });
  }
}

interface Group {
  readonly prefix: string;
  readonly watchers: Set<Watcher>;
  /** The last batch built, for the next watcher at the same place. */
  shared: { readonly place: number; readonly upTo: number; readonly batch: StoreWatchBatch } | undefined;
}

interface Watcher {
  readonly group: Group;
  /** Everything up to here was looked at. */
  place: number;
  /** Everything up to here was told. */
  told: number;
  progressDue?: boolean;
  /** Set while the watcher sleeps. */
  wake: (() => void) | undefined;
}

function keyOf(event: StoreEvent): string {
  return event.type === 'put' ? event.entry.key : event.key;
}
