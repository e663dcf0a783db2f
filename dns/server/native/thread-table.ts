import type { FastPath } from '../datagram-engine.ts';
import type { WatchedAnswers } from '../watched-answers.ts';
import type { ReceiverTable } from './receiver-memory.ts';

/** The table that a thread answers from, as it is made anew, and who is told of those answers. */
export class ThreadTable implements Disposable {
  readonly #tell: (table: ReceiverTable | undefined) => void;
  /** Of this table and of the one before, whose last answers may still come. */
  #watched: readonly (WatchedAnswers | undefined)[] = [];
  #current: ReceiverTable | undefined;
  #following: Disposable | undefined;

  /** @param tell hands the thread a table; undefined = it has none, all goes to the chain */
  constructor(tell: (table: ReceiverTable | undefined) => void) {
    this.#tell = tell;
  }

  /** What a thread that starts must be told. */
  get current(): ReceiverTable | undefined {
    return this.#current;
  }

  use(fast: FastPath | undefined): void {
    this[Symbol.dispose]();
    if (!fast) return this.#set(undefined);
    const { cookieSecret, names } = fast;
    const { options, table } = names;
    const counts = fast.countsMemory();
    const watched = fast.watchedAnswers();
    this.#watched = [this.#watched.at(-1), watched];
    const told = { options, cookieSecret, counts, watched: watched?.memory };
    this.#set({ ...told, buffers: table.buffers });
    this.#following = table.onBuffers((buffers) => this.#set({ ...told, buffers }));
  }

  /** The thread has put down answers that somebody watches, or may have. */
  heard(): void {
    for (const watched of this.#watched) watched?.heard();
  }

  /** After the end of the thread: tells what it had put down. */
  drain(): void {
    for (const watched of this.#watched) watched?.drain();
  }

  /** Follows no table any more; what the thread puts down is still told. */
  [Symbol.dispose](): void {
    this.#following?.[Symbol.dispose]();
    this.#following = undefined;
  }

  #set(table: ReceiverTable | undefined): void {
    this.#current = table;
    this.#tell(table);
  }
}
