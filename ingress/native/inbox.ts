import type { ByteStream } from '../../src/net/native/byte-stream.ts';
import { RECEIVE_BYTES } from './limits.ts';
import type { WorkerContext } from './worker-context.ts';

/**
 * What comes on a connection, client's or endpoint's: read into the worker's arena, behind what was read before and is of no use
 * yet. That is kept here meanwhile, for the arena belongs to the next connection; in steady state there is none.
 */
export class Inbox {
  /** There may be something to read. */
  readable = false;
  /** The peer has ended its side: what it sent before may still be there. */
  ended = false;
  /** Comes again before anything else. */
  held: Buffer | undefined;
  readonly #context: WorkerContext;
  readonly #stream: ByteStream;

  constructor(context: WorkerContext, stream: ByteStream) {
    this.#context = context;
    this.#stream = stream;
  }

  /**
   * Reads once: what was held and what came lie in the arena from `receiveAt` on, and it says where they end. 0 = the peer has ended, < 0 =
   * a failure, -EAGAIN when nothing is there; what is held stays then.
   */
  receive(): number {
    const { arena, receiveAt } = this.#context;
    const from = receiveAt + (this.held?.length ?? 0);
    const room = receiveAt + RECEIVE_BYTES - from;
    const size = this.#stream.receive(arena, from, room);
    this.readable = size > 0 && (this.ended || size === room || this.#stream.hasMore);
    if (size <= 0) return size;
    this.takeOut();
    return from + size;
  }

  /** Puts what is held back into the arena, at `receiveAt`; says where it ends. */
  takeOut(): number {
    const { held } = this;
    const { arena, receiveAt } = this.#context;
    if (!held) return receiveAt;
    this.held = undefined;
    arena.bytes.set(held, receiveAt);
    return receiveAt + held.length;
  }

  /** Keeps [from, end) of the arena, and nothing else. */
  hold(from: number, end: number): void {
    this.held = from < end ? Buffer.from(this.#context.arena.bytes.subarray(from, end)) : undefined;
  }

  /** So many bytes of what is held have been used. */
  skip(sizeBytes: number): void {
    if (sizeBytes > 0 && this.held)
      this.held = sizeBytes < this.held.length ? this.held.subarray(sizeBytes) : undefined;
  }
}
