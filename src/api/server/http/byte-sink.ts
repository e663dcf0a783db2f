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

/** Writes what comes, as fast as the receiver takes it, until it is gone. */
export async function pump(chunks: AsyncIterable<Uint8Array>, sink: ByteSink): Promise<void> {
  for await (const chunk of chunks) {
    if (sink.closed.aborted) return;
    sink.write(chunk);
    await sink.drained();
  }
}
