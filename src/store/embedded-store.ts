import type { Clock } from '../base/clock.ts';
import { Fault, hasCode, messageOf } from '../base/fault.ts';
import type { Logger } from '../base/log.ts';
import { BatchBuilder } from './batch-builder.ts';
import type { Request } from './batch-builder.ts';
import { BATCH_WRITES_BOUNDS, COMMIT_SECONDS_BOUNDS, Histogram } from './histogram.ts';
import type { Journal } from './journal.ts';
import { checkKey, checkValue } from './keys.ts';
import { Leases } from './leases.ts';
import * as limits from './limits.ts';
import { ownMemory } from './own-memory.ts';
import * as store from './store.ts';
import type { Store, StoreEntry, StoreWatchBatch, WriteResult } from './store.ts';
import type { Versions } from './versions.ts';
import { WatchHub } from './watch-hub.ts';

export interface EmbeddedStoreDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly versions: Versions;
  readonly journal: Journal;
}

export interface HistoryLimits {
  readonly historyEventsMax: number;
  readonly historyBytesMax: number;
}

/**
 * A store inside this process: all versions in memory, every write in a journal. Writes that arrive while a
 * commit runs are decided and committed together by the next one (group commit). A write is seen by readers and
 * watchers only after it is durable, so nothing seen can be lost.
 */
export class EmbeddedStore implements Store {
  readonly #deps: EmbeddedStoreDeps;
  readonly #history: HistoryLimits;
  readonly #leases: Leases;
  readonly #hub: WatchHub;
  readonly #commitSeconds = new Histogram(COMMIT_SECONDS_BOUNDS);
  readonly #batchWrites = new Histogram(BATCH_WRITES_BOUNDS);
  #queue: Request[] = [];
  #queueBytes = 0;
  #failedCommits = 0;
  #pump: Promise<void> | undefined;
  #compaction: Promise<void> = Promise.resolve();
  #boundingHistory = false;
  /** Set once: every later write gets it. */
  #refusal: Fault | undefined;
  #closed: Promise<void> | undefined;

  constructor(deps: EmbeddedStoreDeps, options: HistoryLimits) {
    this.#deps = deps;
    this.#history = options;
    this.#leases = new Leases({ clock: deps.clock, onExpired: (id) => this.#expire(id) });
    this.#hub = new WatchHub(deps);
  }

  /** Leases found by the journal when it was opened; before the first use of the store. */
  adoptLeases(leases: Iterable<{ id: number; ttlSeconds: number }>): void {
    for (const lease of leases) this.#leases.add(lease);
    for (const entry of this.#deps.versions.range('', {}).entries) {
      if (entry.leaseId) this.#leases.attach(entry.key, Number(entry.leaseId));
    }
  }

  currentRevision(): Promise<number> {
    return this.#read(() => this.#deps.versions.revision);
  }

  compactedRevision(): number {
    return this.#deps.versions.compacted;
  }

  get(key: string, revision = 0): Promise<{ entry: StoreEntry | undefined; revision: number }> {
    return this.#read(() => {
      const { versions } = this.#deps;
      if (revision === 0) return { entry: versions.current(key), revision: versions.revision };
      return { entry: versions.get(key, revision), revision };
    });
  }

  range(prefix: string, options: store.RangeOptions = {}): Promise<store.RangeResult> {
    return this.#read(() => this.#deps.versions.range(prefix, options));
  }

  async put(
    key: string,
    value: Uint8Array,
    expected?: number,
    options: store.PutOptions = {},
  ): Promise<WriteResult> {
    checkKey(key);
    checkValue(key, value);
    const leaseId = options.leaseId === undefined ? 0 : leaseNumber(options.leaseId);
    if (leaseId === undefined) {
      throw new Fault(store.STORE_LEASE_NOT_FOUND, `no lease ${options.leaseId}`);
    }
    // Else a copy of its own: callers' buffers may be parts of pools, or change.
    const own = options.givenAway ? value : ownMemory(value);
    return await this.#submit<WriteResult>((settle) => ({
      kind: 'put',
      key,
      value: own,
      expected,
      leaseId,
      ...settle,
    }));
  }

  async delete(key: string, expected?: number): Promise<WriteResult> {
    checkKey(key);
    return await this.#submit<WriteResult>((settle) => ({ kind: 'delete', key, expected, ...settle }));
  }

  watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreWatchBatch> {
    return this.#hub.watch(prefix, fromRevision, signal);
  }

  async compact(revision: number): Promise<void> {
    this.#checkOpen();
    const { versions } = this.#deps;
    if (revision > versions.revision) versions.checkRevision(revision);
    const run = this.#compaction.then(() => this.#compactTo(revision));
    this.#compaction = run.catch(() => {});
    await run;
  }

  async grantLease(ttlSeconds: number): Promise<string> {
    if (!(ttlSeconds >= 1 && ttlSeconds <= limits.LEASE_TTL_SECONDS_MAX)) {
      throw new Fault(store.STORE_INVALID, `a lease of ${ttlSeconds} s; it must be at least 1 s`);
    }
    const lease = { id: this.#leases.newId(), ttlSeconds };
    return String(await this.#submit<number>((settle) => ({ kind: 'grant', lease, ...settle })));
  }

  renewLease(leaseId: string): Promise<boolean> {
    return this.#read(() => this.#leases.renew(leaseNumber(leaseId) ?? 0));
  }

  async revokeLease(leaseId: string): Promise<void> {
    const id = leaseNumber(leaseId) ?? 0;
    await this.#submit<void>((settle) => ({ kind: 'revoke', leaseId: id, ...settle }));
  }

  leaseTtlSeconds(leaseId: string): Promise<number | undefined> {
    return this.#read(() => this.#leases.ttlSeconds(leaseNumber(leaseId) ?? 0));
  }

  stats(): store.StoreStats {
    const { versions, journal } = this.#deps;
    const fileBytes = journal.fileBytes();
    return {
      revision: versions.revision,
      compactedRevision: versions.compacted,
      keys: versions.keyCount,
      valueBytes: versions.valueBytes,
      historyEvents: versions.log.size,
      historyBytes: versions.historyBytes,
      watchers: this.#hub.watcherCount,
      leases: this.#leases.size,
      writesQueued: this.#queue.length,
      writes: this.#batchWrites.sum,
      commits: this.#commitSeconds.count,
      failedCommits: this.#failedCommits,
      commitSeconds: this.#commitSeconds.snapshot(),
      batchWrites: this.#batchWrites.snapshot(),
      ...(fileBytes !== undefined && { fileBytes }),
    };
  }

  /** Writes accepted before are finished; watches and later calls end with STORE_CLOSED. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#refusal ??= new Fault(store.STORE_CLOSED, 'the store is closed');
    this.#leases[Symbol.dispose]();
    await this.#pump;
    this.#hub[Symbol.dispose]();
    await this.#compaction;
    await this.#deps.journal[Symbol.asyncDispose]();
  }

  #checkOpen(): void {
    if (this.#closed) throw new Fault(store.STORE_CLOSED, 'the store is closed');
  }

  #read<T>(read: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#checkOpen();
      resolve(read());
    });
  }

  #submit<T>(
    make: (settle: { resolve(value: T): void; reject(error: unknown): void }) => Request,
  ): Promise<T> {
    if (this.#refusal) return Promise.reject(this.#refusal);
    const { QUEUE_WRITES_MAX, QUEUE_BYTES_MAX } = limits;
    if (this.#queue.length >= QUEUE_WRITES_MAX || this.#queueBytes >= QUEUE_BYTES_MAX) {
      const text = `${this.#queue.length} writes are waiting for the disk; try again later`;
      return Promise.reject(new Fault(store.STORE_UNAVAILABLE, text));
    }
    return new Promise<T>((resolve, reject) => {
      const request = make({ resolve, reject });
      this.#queue.push(request);
      if (request.kind === 'put') this.#queueBytes += request.value.byteLength;
      this.#pump ??= this.#run();
    });
  }

  /**
   * Commits batches until the queue is empty. `#pump` is cleared in the same turn the queue is found empty: a
   * write submitted a microtask later must start a new run, or it would wait for the write after it.
   */
  async #run(): Promise<void> {
    await Promise.resolve(); // what is submitted in the same turn shares the first commit
    try {
      while (this.#queue.length > 0) {
        const builder = this.#buildBatch();
        if (!builder.empty) await this.#commit(builder);
      }
    } finally {
      this.#pump = undefined;
    }
  }

  async #commit(builder: BatchBuilder): Promise<void> {
    const startMs = this.#deps.clock.monotonicMs();
    try {
      await this.#deps.journal.commit(builder.batch);
    } catch (error) {
      this.#commitFailed(builder, error);
      return;
    }
    this.#commitSeconds.observe((this.#deps.clock.monotonicMs() - startMs) / 1000);
    this.#apply(builder);
  }

  #buildBatch(): BatchBuilder {
    const builder = new BatchBuilder({ versions: this.#deps.versions, leases: this.#leases });
    let taken = 0;
    while (taken < this.#queue.length && !builder.full) {
      const request = this.#queue[taken++]!;
      if (request.kind === 'put') this.#queueBytes -= request.value.byteLength;
      builder.add(request);
    }
    this.#queue = this.#queue.slice(taken);
    return builder;
  }

  #apply(builder: BatchBuilder): void {
    const { versions } = this.#deps;
    const { writes, granted, ended } = builder.batch;
    this.#batchWrites.observe(writes.length);
    for (const lease of granted) this.#leases.add(lease);
    const events = writes.map((write) => {
      this.#leases.attach(write.key, write.leaseId);
      return versions.apply(write);
    });
    for (const id of ended) this.#leases.end(id);
    builder.succeed();
    this.#hub.publish(events);
    this.#boundHistory();
  }

  #commitFailed(builder: BatchBuilder, error: unknown): void {
    this.#failedCommits++;
    const again = builder.fail(error);
    if (hasCode(error, store.STORE_FULL) || hasCode(error, store.STORE_UNAVAILABLE)) {
      this.#queue = [...again, ...this.#queue];
      this.#deps.log.warn('store commit refused', { reason: messageOf(error) });
      return;
    }
    const text = `the store takes no more writes after a failed commit; restart to recover: ${messageOf(error)}`;
    this.#refusal ??= new Fault(store.STORE_UNAVAILABLE, text, { cause: error });
    for (const request of [...again, ...this.#queue]) request.reject(this.#refusal);
    this.#queue = [];
    this.#queueBytes = 0;
    this.#deps.log.error('store commit failed', { reason: messageOf(error), error });
  }

  #expire(id: number): void {
    this.revokeLease(String(id)).catch((error: unknown) => {
      this.#deps.log.warn('store lease expiry failed', { lease: id, reason: messageOf(error) });
      // A full disk must not make a lease immortal: it is tried again after another time to live.
      if (!this.#refusal) this.#leases.renewAndArm(id);
    });
  }

  #boundHistory(): void {
    const { versions } = this.#deps;
    const { historyEventsMax, historyBytesMax } = this.#history;
    const kept = versions.revision - versions.compacted;
    if (this.#boundingHistory) return;
    if (kept <= historyEventsMax && versions.historyBytes <= historyBytesMax) return;
    this.#boundingHistory = true;
    this.compact(versions.compacted + Math.ceil(kept / 4)).then(
      () => {
        this.#boundingHistory = false;
        if (!this.#closed) this.#boundHistory(); // writes may have outrun the compaction
      },
      (error: unknown) => {
        this.#boundingHistory = false;
        if (!this.#closed) this.#deps.log.warn('store history bound failed', { reason: messageOf(error) });
      },
    );
  }

  async #compactTo(revision: number): Promise<void> {
    const { versions, journal } = this.#deps;
    if (revision <= versions.compacted) return;
    if (this.#refusal && !this.#closed) throw this.#refusal;
    await journal.noteCompacted(revision);
    versions.markCompacted(revision);
    this.#hub.wakeAll();
    for (;;) {
      const { dropped, done } = versions.dropCompacted(limits.COMPACT_SLICE_EVENTS);
      await journal.drop(dropped).catch((error: unknown) => {
        // History is gone all the same; the next open removes what was left behind.
        this.#deps.log.warn('store compaction incomplete', {
          writes: dropped.length,
          reason: messageOf(error),
        });
      });
      if (done) return;
    }
  }
}

/** undefined = not one of our ids. */
function leaseNumber(leaseId: string): number | undefined {
  return /^[1-9]\d{0,15}$/.test(leaseId) ? Number(leaseId) : undefined;
}
