import type { Arena } from './arena.ts';
import type { Descriptor } from './epoll-loop.ts';
import type { CallResult, Failure } from './errno.ts';

/** A connection that never blocks, with or without TLS. Results are bytes, or a Failure: -EAGAIN when it would have to wait. */
export interface ByteStream extends Descriptor {
  /** A read that found nothing waits for EPOLL.OUT, too. */
  readonly readNeedsRoom: boolean;
  /** The last read stopped before it had all: more is here, of which no event will tell. */
  readonly hasMore: boolean;
  /** 0: the peer has ended its side. Less than was asked for: nothing more is there now, unless `hasMore`. */
  receive(arena: Arena, at: number, sizeBytes: number): CallResult;
  /** How many bytes were taken; after less than all, the next call begins with the first that was not. */
  send(arena: Arena, at: number, sizeBytes: number): CallResult;
  /** Ends the sending side; the peer may go on. */
  endWriting(): 0 | Failure;
  /** Says that nothing follows, and closes. */
  end(): void;
  /** Closes; what the kernel holds to be sent is still sent. */
  close(): void;
}
