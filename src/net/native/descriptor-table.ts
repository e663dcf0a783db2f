import { socketCalls } from '../libc.ts';
import { ERRNO, type CallResult } from './errno.ts';

/**
 * The descriptors that one thread has open. Memory is shared: when the thread dies, whoever started it closes what it
 * left, for the kernel closes nothing before the whole process ends.
 */
export class DescriptorTable {
  readonly memory: Uint8Array<SharedArrayBuffer>;
  readonly #close: (fd: number) => number;
  #count = 0;

  /** `memory`: a byte a descriptor; numbers beyond its end are not taken. */
  constructor(memory: Uint8Array<SharedArrayBuffer>) {
    this.memory = memory;
    this.#close = socketCalls().close;
  }

  static sized(descriptorsMax: number): DescriptorTable {
    return new DescriptorTable(new Uint8Array(new SharedArrayBuffer(descriptorsMax)));
  }

  /** How many this thread holds. */
  get count(): number {
    return this.#count;
  }

  /** Takes what a call returned: a descriptor is noted, a failure passes through, a number too high is closed (EMFILE). */
  adopt(fd: number): CallResult {
    if (fd < 0) return fd;
    if (fd >= this.memory.length) {
      this.#close(fd);
      return -ERRNO.EMFILE;
    }
    this.memory[fd] = 1;
    this.#count++;
    return fd;
  }

  close(fd: number): void {
    if (this.release(fd)) this.#close(fd); // noted first: the number may be given away at once
  }

  /** Gives an open descriptor away: whoever has it now closes it. False when it was not held. */
  release(fd: number): boolean {
    if (this.memory[fd] !== 1) return false;
    this.memory[fd] = 0;
    this.#count--;
    return true;
  }

  /** Closes all; for the end of a thread, and for the one who outlived it. */
  closeAll(): void {
    for (let fd = this.memory.indexOf(1); fd >= 0; fd = this.memory.indexOf(1, fd + 1)) this.close(fd);
  }
}
