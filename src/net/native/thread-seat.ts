import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../base/fault.ts';
import { hasLoaded, shareState, type ThreadState } from './binding.ts';
import { pinThread } from './cpu-affinity.ts';
import { DescriptorTable } from './descriptor-table.ts';
import type { EpollLoop } from './epoll-loop.ts';

/**
 * Words that a thread and its supervisor share. BEATS: 0 until it first comes round. NEWS counts what it was told. STATE: a
 * ThreadState, by which it may be ended once it has all it needs and takes its first orders, which may take longer than a turn.
 */
export const SEAT = { BEATS: 0, STOP: 1, NEWS: 2, STATE: 3, WORDS: 4 } as const;
/** Longest sleep of a thread: it comes round more often than its pulse is looked at. */
export const SEAT_SLEEP_MS = 150;

/** What every supervised thread is born with, beside its own data. */
export interface SeatData {
  readonly words: Int32Array<SharedArrayBuffer>;
  /** A byte a descriptor that the thread has open. */
  readonly descriptors: Uint8Array<SharedArrayBuffer>;
  readonly wakeFd: number;
  /** The processor that the thread is bound to; undefined = any. */
  readonly cpu: number | undefined;
}

/** The first message of every thread. `complaint`: it is not bound to its processor. */
export interface Seated {
  readonly complaint: string | undefined;
}

/**
 * A thread's side of its SupervisedWorker: what it was born with, what it is told, and that it still comes round.
 *
 * One with an EpollLoop calls `serve`; one that sleeps in a call of its own does the same by itself.
 */
export class ThreadSeat<Data, Order, Reply> {
  readonly data: Data;
  readonly wakeFd: number;
  readonly descriptors: DescriptorTable;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #state: ThreadState;
  readonly #port: MessagePort;
  #read = 0;

  private constructor(port: MessagePort, { words, descriptors, wakeFd }: SeatData, data: Data) {
    this.#port = port;
    this.#words = words;
    this.#state = stateOf(words);
    shareState(this.#state);
    this.data = data;
    this.wakeFd = wakeFd;
    this.descriptors = new DescriptorTable(descriptors);
  }

  /** Once, in a thread of a SupervisedWorker. A processor that is not to be had is told of, no more. */
  static take<Data, Order, Reply>(): ThreadSeat<Data, Order, Reply> {
    const { seat, data } = workerData as { readonly seat: SeatData; readonly data: Data };
    const seated: Seated = { complaint: pinned(seat.cpu) };
    parentPort!.postMessage(seated, []);
    return new ThreadSeat(parentPort!, seat, data);
  }

  /** The thread is to end. */
  get isStopped(): boolean {
    return Atomics.load(this.#words, SEAT.STOP) !== 0;
  }

  /** It was told something since it last read. */
  get hasNews(): boolean {
    return Atomics.load(this.#words, SEAT.NEWS) !== this.#read;
  }

  /** Turns the loop and takes orders until the thread is to end. */
  serve(loop: EpollLoop, on: { obey(order: Order): void; turned?(): void }): void {
    hasLoaded(this.#state);
    while (!this.isStopped) {
      if (this.hasNews) this.read((order) => on.obey(order));
      loop.turn(SEAT_SLEEP_MS);
      this.beat();
      on.turned?.();
    }
  }

  beat(): void {
    if (Atomics.add(this.#words, SEAT.BEATS, 1) === 0) hasLoaded(this.#state);
  }

  /** Takes all orders that have come; no promise and no event is needed for it. */
  read(obey: (order: Order) => void): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (!received) return;
      this.#read++;
      obey(received.message as Order);
    }
  }

  post(reply: Reply, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(reply, [...transfer]);
  }
}

/** A seat's STATE alone. */
export function stateOf(words: Int32Array<SharedArrayBuffer>): ThreadState {
  return words.subarray(SEAT.STATE, SEAT.STATE + 1);
}

function pinned(cpu: number | undefined): string | undefined {
  try {
    if (cpu !== undefined) pinThread(cpu);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
