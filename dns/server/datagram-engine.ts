import type { AskingClient } from '../cluster/table/raw-question.ts';
import type { CompiledNames } from '../plugin.ts';
import type { Peer } from '../query.ts';
import type { WatchedAnswers } from './watched-answers.ts';

/** Receives one datagram. `reply` may be called later, more than once or never; bytes belong to the receiver. */
export type DatagramHandler = (bytes: Uint8Array, client: Peer, reply: (bytes: Uint8Array) => void) => void;

/** How a listener answers without a chain. */
export interface FastPath {
  /**
   * On the thread of the table: writes the whole answer into `out` and returns its length; 0 = take the slow path.
   * Must not keep `bytes` or `out`.
   */
  answer(bytes: Uint8Array, length: number, out: Uint8Array, client: AskingClient): number;
  /** Once what `answer` gave has been sent, and so long after it was asked. */
  settle(seconds: number): void;
  /** What other threads need for readers of their own. */
  readonly names: CompiledNames;
  readonly cookieSecret: Uint8Array;
  /** Memory where such a reader counts; part of what is told of this path from now on. */
  countsMemory(): Float64Array;
  /** Who is told of the answers of one such reader; undefined = nobody watches. */
  watchedAnswers(): WatchedAnswers | undefined;
}

/**
 * A bound UDP socket that hands datagrams to the fast path first and to the handler if that declines. Engines differ
 * in how they talk to the kernel (node:dgram here; batched calls elsewhere), never in what they answer.
 */
export interface DatagramEngine extends AsyncDisposable {
  readonly address: Peer;
  /** Replaces the fast path; undefined = everything goes to the handler. */
  useFastPath(fast: FastPath | undefined): void;
  readonly counts: DatagramCounts;
}

export interface DatagramCounts {
  received: number;
  fast: number;
  sendErrors: number;
}

export interface DatagramOptions {
  readonly address: string;
  readonly port: number;
  /** How many sockets to open on the port, for engines that gain by more; undefined = their own default. */
  readonly sockets?: number | undefined;
}

/** Rejects with Fault LISTEN_FAILED. */
export type OpenDatagramEngine = (
  options: DatagramOptions,
  handler: DatagramHandler,
) => Promise<DatagramEngine>;
