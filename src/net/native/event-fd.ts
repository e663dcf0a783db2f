import { Arena } from './arena.ts';
import { orErrno, type CallResult } from './errno.ts';
import { streamCalls } from './stream-calls.ts';

const ONE = 1;

/** Wakes a thread that waits in an EpollLoop. `fd` is of the whole process: any thread may write, by its number. */
export function wake(fd: number): void {
  // EAGAIN: it has 2^64 - 2 wake-ups before it; all else would be a closed loop, which needs none
  streamCalls().eventfd_write(fd, ONE);
}

/** Takes the wake-ups that have come, all at once. */
export class WakeUps {
  readonly #arena = new Arena(8);
  readonly #address = this.#arena.address(0, 8);

  take(fd: number): CallResult {
    return orErrno(streamCalls().eventfd_read(fd, this.#address));
  }
}
