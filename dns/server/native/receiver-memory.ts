import type { TableBuffers } from '../../cluster/table/layout.ts';
import type { ReaderOptions } from '../../cluster/table/reader-options.ts';
import type { SlowRingMemory } from './slow-ring.ts';

/** Words that a receiving thread and its owner share. */
export const CONTROL = { STOP: 0, NEWS: 1, BEATS: 2, WORDS: 4 } as const;
/** Totals that the thread writes after each batch. */
export const TOTAL = { RECEIVED: 0, FAST: 1, SEND_ERRORS: 2, WORDS: 4 } as const;

/** What a receiving thread is born with. */
export interface ReceiverData {
  readonly fd: number;
  readonly wildcard: boolean;
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly totals: Float64Array<SharedArrayBuffer>;
  readonly ring: SlowRingMemory;
  /** The processor that the thread is bound to; undefined = any. */
  readonly cpu: number | undefined;
}

/** The table to answer from; undefined = everything goes to the ring. Sent as `{ news }`, then NEWS is counted up. */
export interface ReceiverTable {
  readonly buffers: TableBuffers;
  readonly options: ReaderOptions;
  readonly cookieSecret: Uint8Array;
  /** Where the thread counts its answers. */
  readonly counts: Float64Array;
}
