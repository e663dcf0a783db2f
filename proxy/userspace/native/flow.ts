import type { Arena } from '../../../src/net/native/arena.ts';
import { type CallResult, ERRNO } from '../../../src/net/native/errno.ts';
import { setNoDelay } from '../../../src/net/native/socket-options.ts';
import type { SplicePipe } from '../../../src/net/native/splice-pipe.ts';
import type { StreamSocket } from '../../../src/net/native/stream-socket.ts';
import { RELAY_PIPE_BYTES, RELAY_READ_BYTES, RELAY_READS_A_TURN } from '../../limits.ts';
import type { PipePool } from './pipe-pool.ts';

/** Whole reads in a row after which bytes go through a pipe instead of this process. */
const BULK_READS = 2;
/** Trickles in a row after which a pipe is given back. */
const TRICKLES = 8;

/** What one segment holds on a path of IPv6's least MTU (RFC 8200 section 5: 1,280 bytes, less the headers). */
const FIRST_SEGMENT_BYTES = 1_220;

/** What a thread's connections share: one at a time is moved. */
export interface FlowDeps {
  readonly arena: Arena;
  /** RELAY_READ_BYTES in the arena. */
  readonly buffer: number;
  readonly pipes: PipePool;
}

/** open: more may come. again: more is there, but others have waited. ended: all was passed on, the end too. */
export type FlowState = 'open' | 'again' | 'ended' | 'failed';

/**
 * One direction of a connection: what `from` brings goes to `to`, then its end. Reads no more than `to` takes. Small
 * messages are copied once through the thread's buffer; much at a time is spliced.
 */
export class Flow {
  bytes = 0;
  readonly #deps: FlowDeps;
  readonly #from: StreamSocket;
  #to: StreamSocket | undefined;
  /** Bytes may be there to read: no read has come back empty or short since the kernel said so. */
  #readable = false;
  /** A short read is no proof that nothing is left: the end follows, or urgent data made it short. */
  #thorough = false;
  #ended = false;
  #passedOn = false;
  /** Bytes that were read and not taken. */
  #rest: Uint8Array | undefined;
  #pipe: SplicePipe | undefined;
  #bulkReads = 0;
  #trickles = 0;
  #sends = 0;
  /** Small writes leave at once (TCP_NODELAY). */
  #isPrompt = false;

  constructor(deps: FlowDeps, from: StreamSocket) {
    this.#deps = deps;
    this.#from = from;
  }

  get ended(): boolean {
    return this.#passedOn;
  }

  /** Where it flows to, and whether that has TCP_NODELAY already; `first` goes before anything else. */
  join(to: StreamSocket, isPrompt: boolean, first?: Uint8Array): void {
    this.#to = to;
    this.#isPrompt = isPrompt;
    this.#rest = first;
  }

  /** The kernel says there is something to read: `thorough`, read until nothing comes. */
  heard(thorough: boolean): void {
    this.#readable = true;
    if (thorough) this.#thorough = true;
  }

  /** `isLast`: the other direction has ended, so that closing is all that is left to do. */
  pump(isLast: boolean): FlowState {
    const to = this.#to;
    if (!to) return 'open';
    if (this.#passedOn) return 'ended';
    let result = this.#flush(to);
    let reads = 0;
    while (result > 0 && this.#readable) {
      if (reads++ === RELAY_READS_A_TURN) return 'again';
      result = this.#pipe ? this.#splice(to, this.#pipe) : this.#copy(to);
    }
    if (result === -ERRNO.EAGAIN) return 'open';
    if (result < 0) return 'failed';
    if (!this.#ended) return 'open';
    this.#passedOn = true;
    if (!isLast) to.endWriting();
    this.#giveBack();
    return 'ended';
  }

  /** Bytes that wait are lost. */
  drop(): void {
    this.#rest = undefined;
    this.#giveBack();
  }

  /** 1: nothing waits any more. */
  #flush(to: StreamSocket): CallResult {
    const rest = this.#rest;
    if (rest) {
      const { arena, buffer } = this.#deps;
      arena.bytes.set(rest, buffer);
      this.#rest = undefined;
      return this.#send(to, rest.length);
    }
    return this.#pipe && this.#pipe.heldBytes > 0 ? this.#empty(to, this.#pipe) : 1;
  }

  /** Passes one read on. 1: go on; -EAGAIN: `to` takes no more for now. */
  #copy(to: StreamSocket): CallResult {
    const { arena, buffer } = this.#deps;
    const size = this.#from.receive(arena, buffer, RELAY_READ_BYTES);
    if (size <= 0) return this.#nothing(size);
    this.bytes += size;
    if (size === RELAY_READ_BYTES) {
      if (++this.#bulkReads >= BULK_READS) this.#pipe = this.#deps.pipes.take();
    } else {
      this.#bulkReads = 0;
      if (!this.#thorough) this.#readable = false;
    }
    return this.#send(to, size);
  }

  #send(to: StreamSocket, sizeBytes: number): CallResult {
    const { arena, buffer } = this.#deps;
    if (!this.#isPrompt) this.#hurry(to, sizeBytes);
    const sent = to.send(arena, buffer, sizeBytes);
    if (sent === sizeBytes) return 1;
    if (sent < 0 && sent !== -ERRNO.EAGAIN) return sent;
    this.#rest = arena.bytes.slice(buffer + Math.max(0, sent), buffer + sizeBytes);
    return -ERRNO.EAGAIN;
  }

  /** One segment that nothing is before leaves at once anyway: many connections need no more, and no system call for it. */
  #hurry(to: StreamSocket, sizeBytes: number): void {
    if (this.#sends++ === 0 && sizeBytes <= FIRST_SEGMENT_BYTES) return;
    setNoDelay(to.fd);
    this.#isPrompt = true;
  }

  #splice(to: StreamSocket, pipe: SplicePipe): CallResult {
    const size = pipe.fill(this.#from, RELAY_PIPE_BYTES);
    if (size <= 0) return this.#nothing(size);
    this.bytes += size;
    this.#trickles = size < RELAY_READ_BYTES / 2 ? this.#trickles + 1 : 0;
    const result = this.#empty(to, pipe);
    if (this.#trickles >= TRICKLES && pipe.heldBytes === 0) this.#giveBack();
    return result;
  }

  #empty(to: StreamSocket, pipe: SplicePipe): CallResult {
    while (pipe.heldBytes > 0) {
      const moved = pipe.drain(to);
      if (moved <= 0) return moved === 0 ? -ERRNO.EAGAIN : moved;
    }
    return 1;
  }

  /** A read that brought nothing: the end, no more for now, or a failure. */
  #nothing(result: CallResult): CallResult {
    if (result < 0 && result !== -ERRNO.EAGAIN) return result;
    this.#readable = false;
    if (result === 0) this.#ended = true;
    return 1;
  }

  #giveBack(): void {
    if (this.#pipe) this.#deps.pipes.give(this.#pipe);
    this.#pipe = undefined;
    this.#bulkReads = 0;
    this.#trickles = 0;
  }
}
