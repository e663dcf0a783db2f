import type { ReceiverTable } from './receiver-memory.ts';

/** Words that a thread that serves connections and its owner share: how many it has. */
export const STREAM_CONTROL = { OPEN: 0, WORDS: 1 } as const;

export interface StreamLimits {
  readonly connectionsMax: number;
  readonly idleMs: number;
  readonly readMs: number;
  readonly writeMs: number;
}

/** What such a thread is born with. */
export interface StreamData {
  readonly listenerFd: number;
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly limits: StreamLimits;
}

/** What the thread is told. It accepts from its first table on. */
export type StreamOrder =
  | { readonly kind: 'table'; readonly table: ReceiverTable | undefined }
  /** Accept nothing more, and end each connection after its last answer. */
  | { readonly kind: 'drain' };

/** What the thread tells. `accept failed`: errno, once until it works again; clients wait in the kernel. */
export type StreamReply =
  | { readonly kind: 'handed over'; readonly connection: HandedOver }
  | { readonly kind: 'accept failed'; readonly errno: string };

/** A connection that asked what the table does not answer: it goes on elsewhere, for good. */
export interface HandedOver {
  readonly fd: number;
  /** Read and not answered yet: whole frames and maybe a part of one. */
  readonly unread: Uint8Array;
  /** Answers that the kernel had no room for. */
  readonly unsent: Uint8Array;
}
