import { Fault } from '../../base/fault.ts';
import { socketCalls } from '../libc.ts';
import { EVENTFD_FLAGS } from './abi.ts';
import { Arena } from './arena.ts';
import { type CallResult, errnoName, orErrno } from './errno.ts';
import { streamCalls } from './stream-calls.ts';

/**
 * Wakes a thread out of its EpollLoop. Belongs to whoever starts that thread and is closed after the thread has ended:
 * until then its number means nothing else, so a late wake-up harms nobody.
 */
export class WakeUp implements Disposable {
  readonly fd: number;
  #isOpen = true;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Throws Fault FFI, EMFILE. */
  static open(): WakeUp {
    const fd = orErrno(streamCalls().eventfd(0, EVENTFD_FLAGS));
    if (fd < 0) throw new Fault(errnoName(fd), `no eventfd: ${errnoName(fd)}`);
    return new WakeUp(fd);
  }

  /** Ends the thread's wait, the next one if it does not wait now. */
  wake(): void {
    // it can only fail when 2^64 - 2 wake-ups wait, and then another is not needed
    if (this.#isOpen) streamCalls().eventfd_write(this.fd, 1);
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) socketCalls().close(this.fd);
    this.#isOpen = false;
  }
}

/** Takes the wake-ups that have come, all at once. */
export class WakeUps {
  /** Held: its memory lives no longer than it. */
  readonly #arena = new Arena(8);
  readonly #address = this.#arena.address(0, 8);

  take(fd: number): CallResult {
    return orErrno(streamCalls().eventfd_read(fd, this.#address));
  }
}
