import type { LeaseRecord } from '../journal.ts';

/** What the main thread asks of the worker. Requests are done in order, except that commits pass a backup. */
export type WorkerRequest =
  | { readonly kind: 'open'; readonly path: string; readonly sizeMaxBytes: number }
  | { readonly kind: 'load' }
  | {
      readonly kind: 'commit';
      readonly writes: ArrayBuffer;
      readonly granted: readonly LeaseRecord[];
      readonly ended: readonly number[];
    }
  | { readonly kind: 'compacted'; readonly revision: number }
  | { readonly kind: 'drop'; readonly revisions: readonly number[] }
  | { readonly kind: 'backup'; readonly target: string }
  | { readonly kind: 'close' };

export interface OpenReply {
  readonly compacted: number;
  readonly leases: readonly LeaseRecord[];
}

/** The next writes in order; undefined = that was all. */
export interface LoadReply {
  readonly writes: ArrayBuffer | undefined;
}

export type WorkerReply =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };
