import type { StoreWrite } from './versions.ts';

/** A lease as journals keep it; its deadline is not kept, a restart renews it. */
export interface LeaseRecord {
  readonly id: number;
  readonly ttlSeconds: number;
}

/** What one commit makes durable, all or nothing. */
export interface JournalBatch {
  readonly writes: readonly StoreWrite[];
  readonly granted: readonly LeaseRecord[];
  readonly ended: readonly number[];
}

/**
 * Where an embedded store keeps its writes. One commit is under way at a time; it resolves after the batch is
 * durable. A commit that fails with STORE_FULL or STORE_UNAVAILABLE wrote nothing and the next one may succeed;
 * after any other failure the journal is never called again except to dispose it.
 */
export interface Journal extends AsyncDisposable {
  commit(batch: JournalBatch): Promise<void>;
  /** Durably notes that history below the revision is gone; called before the first drop. */
  noteCompacted(revision: number): Promise<void>;
  /** Removes these writes; may run beside commits and may be lost in a crash. */
  drop(revisions: readonly number[]): Promise<void>;
  fileBytes(): number | undefined;
}
