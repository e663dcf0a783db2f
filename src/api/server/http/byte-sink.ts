/** Where a streamed reply goes: a socket, or the queue of an in-process caller. */
export interface ByteSink {
  /** Never blocks; what the receiver has not taken is counted in bufferedBytes. */
  write(chunk: Uint8Array): void;
  readonly bufferedBytes: number;
  /** Resolves when the receiver has taken what was written, or is gone. */
  drained(): Promise<void>;
  /** Aborted when the receiver went away or the server stops. */
  readonly closed: AbortSignal;
}
