/**
 * Revisions over keys; knows bytes, not kinds. One counter for the whole store: every successful write makes
 * revision + 1, without gaps. The promises of etcd hold for every implementation (test/suites/store.ts):
 * writes are strictly serializable and durable once acknowledged; watches are ordered, gap-free and resumable
 * from any revision that is not compacted.
 */
export interface StoreEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  /** Revision of the last write of this key. */
  readonly modRevision: number;
}

export interface RangeOptions {
  /** At most this many entries; 0 or absent = all. */
  readonly limit?: number;
  /** Only keys strictly greater than this one (paging). */
  readonly after?: string;
  /** Read as of this revision; absent = newest. */
  readonly revision?: number;
}

export interface RangeResult {
  /** In ascending order of key (UTF-16 code unit order of ASCII keys). */
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

/** Events of one or more revisions in order, or proof that everything up to `revision` was delivered. */
export interface StoreWatchBatch {
  readonly events: readonly StoreEvent[];
  readonly revision: number;
}

/** `conflict` carries what is there now (undefined: the key does not exist). */
export type WriteResult =
  | { readonly ok: true; readonly revision: number; readonly previous: StoreEntry | undefined }
  | { readonly ok: false; readonly current: StoreEntry | undefined; readonly revision: number };

/** Fault codes thrown by every implementation. */
export const STORE_COMPACTED = 'STORE_COMPACTED'; // the asked revision is older than the compacted one
export const STORE_FUTURE = 'STORE_FUTURE'; // the asked revision is newer than the store's
export const STORE_CLOSED = 'STORE_CLOSED';
export const STORE_CORRUPT = 'STORE_CORRUPT'; // integrity check failed; the message says what to do
export const STORE_FULL = 'STORE_FULL'; // disk full or quota reached; nothing was written
export const STORE_UNAVAILABLE = 'STORE_UNAVAILABLE'; // not reachable now; a read or refused write, safe to retry
export const STORE_OUTCOME_UNKNOWN = 'STORE_OUTCOME_UNKNOWN'; // the write may or may not have happened

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
  put(
    key: string,
    value: Uint8Array,
    expectedRevision?: number,
    options?: { leaseId?: string },
  ): Promise<WriteResult>;
  delete(key: string, expectedRevision?: number): Promise<WriteResult>;
  /**
   * Batches with revision > fromRevision, in order, until the signal aborts (then it returns). A slow consumer
   * is bounded: past the limit it gets Fault STORE_COMPACTED and must list again.
   */
  watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreWatchBatch>;
  /** Forgets history before revision: reads and watches below it fail with STORE_COMPACTED. */
  compact(revision: number): Promise<void>;
  /** Keys put with the lease are deleted when it expires. ttlSeconds >= 1. */
  grantLease(ttlSeconds: number): Promise<string>;
  renewLease(leaseId: string): Promise<boolean>;
  revokeLease(leaseId: string): Promise<void>;
}
