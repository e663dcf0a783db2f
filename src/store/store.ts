/**
 * Revisions over keys; knows bytes, not kinds. One counter for the whole store, at 1 when the store is new: every
 * successful write makes revision + 1, without gaps. The promises of etcd hold for every implementation
 * (test/suites/store.ts): writes are strictly serializable and durable once acknowledged; watches are ordered,
 * gap-free and resumable from any revision that is not compacted. On a shared etcd the counter also moves for
 * writes outside our prefix, so revisions only increase there (docs/store.md).
 *
 * Keys are well-formed, non-empty strings of at most KEY_BYTES_MAX bytes; values at most VALUE_BYTES_MAX bytes.
 * Values handed out are shared and must not be changed; values handed in are copied unless they are given away.
 */
export interface StoreEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  /** Revision of the last write of this key. */
  readonly modRevision: number;
  /** The lease the last write attached; absent when it attached none. */
  readonly leaseId?: string;
}

export interface RangeOptions {
  /** At most this many entries; 0 or absent = all. */
  readonly limit?: number;
  /** Only keys strictly greater than this one (paging). */
  readonly after?: string;
  /** Read as of this revision; 0 or absent = newest. */
  readonly revision?: number;
}

export interface RangeResult {
  /** In ascending order of the keys' UTF-8 bytes. */
  readonly entries: readonly StoreEntry[];
  /** The revision the result is valid at: everything up to it is included. */
  readonly revision: number;
  readonly more: boolean;
  /** Number of keys under the prefix at that revision, ignoring limit and after. */
  readonly count: number;
}

export type StoreEvent =
  | {
      readonly type: 'put';
      readonly entry: StoreEntry;
      readonly previous: StoreEntry | undefined;
      readonly revision: number;
    }
  | {
      readonly type: 'delete';
      readonly key: string;
      readonly previous: StoreEntry;
      readonly revision: number;
    };

/**
 * Events of one or more revisions in order (a revision is never split over two batches), or with no events the
 * proof that everything up to `revision` was delivered.
 */
export interface StoreWatchBatch {
  readonly events: readonly StoreEvent[];
  readonly revision: number;
}

/** `conflict` carries what is there now (undefined: the key does not exist). */
export type WriteResult =
  | { readonly ok: true; readonly revision: number; readonly previous: StoreEntry | undefined }
  | { readonly ok: false; readonly current: StoreEntry | undefined; readonly revision: number };

export interface PutOptions {
  readonly leaseId?: string;
  /**
   * The value's memory is its own (no part of a pool) and the caller never changes it again: a store in this
   * process keeps it as it is instead of a copy, and hands the same object out.
   */
  readonly givenAway?: boolean;
}

/** Numbers since the store was opened, for metrics. Absent = the implementation cannot know. */
export interface StoreStats {
  readonly revision: number;
  readonly compactedRevision: number;
  readonly keys?: number;
  /** Bytes of the newest values. */
  readonly valueBytes?: number;
  /** Revisions kept for watches and for reads in the past, and the bytes only they hold. */
  readonly historyEvents?: number;
  readonly historyBytes?: number;
  readonly watchers: number;
  readonly leases?: number;
  readonly writesQueued?: number;
  /** Writes made durable, and the commits (fsyncs, or requests to etcd) that took them. */
  readonly writes: number;
  readonly commits: number;
  readonly failedCommits: number;
  readonly commitSeconds: HistogramSnapshot;
  readonly batchWrites: HistogramSnapshot;
  /** Bytes on disk, log included. */
  readonly fileBytes?: number;
}

/** Cumulative counts: counts[i] is the number of observations <= bounds[i]; count is all of them. */
export interface HistogramSnapshot {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** Fault codes thrown by every implementation. */
export const STORE_COMPACTED = 'STORE_COMPACTED'; // the asked revision is older than the compacted one
export const STORE_FUTURE = 'STORE_FUTURE'; // the asked revision is newer than the store's
export const STORE_CLOSED = 'STORE_CLOSED';
export const STORE_CORRUPT = 'STORE_CORRUPT'; // integrity check failed; the message says what to do
export const STORE_FULL = 'STORE_FULL'; // disk full or quota reached; nothing was written
export const STORE_UNAVAILABLE = 'STORE_UNAVAILABLE'; // not reachable now; a read or refused write, safe to retry
export const STORE_OUTCOME_UNKNOWN = 'STORE_OUTCOME_UNKNOWN'; // the write may or may not have happened
export const STORE_INVALID = 'STORE_INVALID'; // a key or value outside the limits; nothing was written
export const STORE_LEASE_NOT_FOUND = 'STORE_LEASE_NOT_FOUND'; // put with a lease that has ended
export const STORE_IN_USE = 'STORE_IN_USE'; // another process has the file open
export const STORE_OPEN_FAILED = 'STORE_OPEN_FAILED'; // missing permission, read-only directory, bad address

export interface Store extends AsyncDisposable {
  /** Newest revision known to be durable. */
  currentRevision(signal?: AbortSignal): Promise<number>;
  compactedRevision(): number;
  get(key: string, revision?: number): Promise<{ entry: StoreEntry | undefined; revision: number }>;
  range(prefix: string, options?: RangeOptions): Promise<RangeResult>;
  /**
   * Writes when the key's modRevision equals expectedRevision; 0 = only if absent; undefined = unconditionally.
   * Resolves after the write is durable.
   */
  put(key: string, value: Uint8Array, expectedRevision?: number, options?: PutOptions): Promise<WriteResult>;
  /** As put. Deleting an absent key is a conflict with current undefined and makes no revision. */
  delete(key: string, expectedRevision?: number): Promise<WriteResult>;
  /**
   * Batches with revision > fromRevision, in order, until the signal aborts (then it returns). A fromRevision in
   * the future is waited for. A slow consumer is bounded: past the limit it gets Fault STORE_COMPACTED and must
   * list again. Ends with Fault STORE_CLOSED when the store is disposed.
   */
  watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreWatchBatch>;
  /**
   * Forgets history before revision: reads and watches below it fail with STORE_COMPACTED. Idempotent; a
   * revision above the current one is Fault STORE_FUTURE.
   */
  compact(revision: number): Promise<void>;
  /** Keys put with the lease are deleted when it expires. ttlSeconds >= 1. A restart of the store renews it. */
  grantLease(ttlSeconds: number): Promise<string>;
  /** False: the lease has ended. */
  renewLease(leaseId: string): Promise<boolean>;
  /** Ends the lease now and deletes its keys. Idempotent. */
  revokeLease(leaseId: string): Promise<void>;
  /** The time to live the lease was granted with; undefined: it has ended. */
  leaseTtlSeconds(leaseId: string): Promise<number | undefined>;
  stats(): StoreStats;
}
