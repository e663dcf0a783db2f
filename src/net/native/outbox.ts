import { ERRNO } from './errno.ts';
import type { Arena } from './arena.ts';
import type { ByteStream } from './byte-stream.ts';

/** Where a worker copies bytes to that a call shall send. */
export interface Scratch {
  readonly arena: Arena;
  readonly at: number;
  readonly sizeBytes: number;
}

/**
 * What a connection still has to send: empty in steady state, where the kernel takes all. Whoever fills it stops reading
 * the other side while `waiting`, so it holds one read at most.
 */
export class Outbox {
  readonly #stream: ByteStream;
  readonly #scratch: Scratch;
  #pending: Buffer | undefined;

  constructor(stream: ByteStream, scratch: Scratch) {
    this.#stream = stream;
    this.#scratch = scratch;
  }

  get waiting(): boolean {
    return this.#pending !== undefined;
  }

  /** Sends a region, or keeps a copy of what found no room. A failure means that the connection is over. */
  send(at: number, sizeBytes: number): number {
    const { arena } = this.#scratch;
    if (this.#pending) return this.hold(at, sizeBytes);
    const sent = this.#stream.send(arena, at, sizeBytes);
    if (sent === sizeBytes) return 0;
    if (sent < 0 && sent !== -ERRNO.EAGAIN && sent !== -ERRNO.EINTR) return sent;
    const done = Math.max(0, sent);
    return this.hold(at + done, sizeBytes - done);
  }

  /** Sends bytes that lie somewhere else: for rare things. */
  sendBytes(bytes: Uint8Array): number {
    this.#pending = this.#pending ? Buffer.concat([this.#pending, bytes]) : Buffer.from(bytes);
    return this.flush();
  }

  /** When there may be room again. */
  flush(): number {
    const { arena, at, sizeBytes } = this.#scratch;
    while (this.#pending) {
      const piece = this.#pending.subarray(0, sizeBytes);
      arena.bytes.set(piece, at);
      const sent = this.#stream.send(arena, at, piece.length);
      if (sent === -ERRNO.EAGAIN || sent === -ERRNO.EINTR) return 0;
      if (sent < 0) return sent;
      this.#pending = sent === this.#pending.length ? undefined : this.#pending.subarray(sent);
    }
    return 0;
  }

  clear(): void {
    this.#pending = undefined;
  }

  /** Keeps a copy of a region for `flush`. */
  hold(at: number, sizeBytes: number): 0 {
    const rest = this.#scratch.arena.bytes.subarray(at, at + sizeBytes);
    this.#pending = this.#pending ? Buffer.concat([this.#pending, rest]) : Buffer.from(rest);
    return 0;
  }
}
