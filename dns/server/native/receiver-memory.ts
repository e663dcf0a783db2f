import type { AnswerRingMemory } from '../../cluster/table/answer-ring.ts';
import type { TableBuffers } from '../../cluster/table/layout.ts';
import type { ReaderOptions } from '../../cluster/table/reader-options.ts';
import type { SlowRingMemory } from './slow-ring.ts';

/** Totals that the thread writes after each batch. */
export const TOTAL = { RECEIVED: 0, FAST: 1, SEND_ERRORS: 2, WORDS: 4 } as const;

/** What a receiving thread is born with. */
export interface ReceiverData {
  readonly fd: number;
  readonly wildcard: boolean;
  readonly totals: Float64Array<SharedArrayBuffer>;
  readonly ring: SlowRingMemory;
}

/** The table to answer from: all that a receiving thread is told. undefined = everything goes to the ring. */
export interface ReceiverTable {
  readonly buffers: TableBuffers;
  readonly options: ReaderOptions;
  readonly cookieSecret: Uint8Array;
  /** Where the thread counts its answers. */
  readonly counts: Float64Array;
  /** Where it puts down answers that somebody watches. */
  readonly watched: AnswerRingMemory | undefined;
}
