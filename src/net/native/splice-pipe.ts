import { EVENTFD_FLAGS, F_SETPIPE_SIZE, SPLICE_FLAGS } from './abi.ts';
import type { DescriptorTable } from './descriptor-table.ts';
import { ERRNO, type CallResult, type Failure, orErrno } from './errno.ts';
import { streamCalls } from './stream-calls.ts';
import type { StreamSocket } from './stream-socket.ts';

const FLAGS = SPLICE_FLAGS.MOVE | SPLICE_FLAGS.NONBLOCK;
/** O_CLOEXEC and O_NONBLOCK have the numbers of their twins. */
const PIPE_FLAGS = EVENTFD_FLAGS;

/** A pipe through which the kernel moves bytes from one connection to another without copying them to this process. */
export class SplicePipe implements Disposable {
  readonly #descriptors: DescriptorTable;
  readonly #output: number;
  readonly #input: number;
  #heldBytes = 0;
  #isOpen = true;

  private constructor(descriptors: DescriptorTable, output: number, input: number) {
    this.#descriptors = descriptors;
    this.#output = output;
    this.#input = input;
  }

  /** `sizeBytes` is what the kernel is asked to hold; it may grant less (fs.pipe-user-pages-soft). */
  static open(descriptors: DescriptorTable, sizeBytes: number): SplicePipe | Failure {
    const calls = streamCalls();
    const fds = new Int32Array(2);
    const failure = orErrno(calls.pipe2(fds, PIPE_FLAGS));
    if (failure < 0) return failure;
    const [output, input] = [descriptors.adopt(fds[0]!), descriptors.adopt(fds[1]!)];
    if (output < 0 || input < 0) {
      if (output >= 0) descriptors.close(output);
      if (input >= 0) descriptors.close(input);
      return -ERRNO.EMFILE;
    }
    calls.fcntl(input, F_SETPIPE_SIZE, sizeBytes);
    return new SplicePipe(descriptors, output, input);
  }

  /** Bytes that came in and have not left. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Moves up to sizeBytes out of a connection: 0 its peer has ended, -EAGAIN nothing is there or the pipe is full. */
  fill(from: StreamSocket, sizeBytes: number): CallResult {
    if (!this.#isOpen || from.fd < 0) return -ERRNO.EBADF;
    const moved = orErrno(streamCalls().splice(from.fd, null, this.#input, null, sizeBytes, FLAGS));
    if (moved > 0) this.#heldBytes += moved;
    return moved;
  }

  /** Moves what it holds into a connection, as far as there is room. */
  drain(to: StreamSocket): CallResult {
    if (!this.#isOpen || to.fd < 0) return -ERRNO.EBADF;
    const moved = orErrno(streamCalls().splice(this.#output, null, to.fd, null, this.#heldBytes, FLAGS));
    if (moved > 0) this.#heldBytes -= moved;
    return moved;
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#descriptors.close(this.#input);
    this.#descriptors.close(this.#output);
  }
}
