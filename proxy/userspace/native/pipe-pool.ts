import type { DescriptorTable } from '../../../src/net/native/descriptor-table.ts';
import { SplicePipe } from '../../../src/net/native/splice-pipe.ts';
import { RELAY_PIPE_BYTES, RELAY_PIPES_IDLE_MAX } from '../../limits.ts';

/** Empty pipes of one thread, for connections that move much. */
export class PipePool {
  readonly #descriptors: DescriptorTable;
  readonly #idle: SplicePipe[] = [];

  constructor(descriptors: DescriptorTable) {
    this.#descriptors = descriptors;
  }

  /** Undefined when there are no descriptors left: bytes can be copied instead. */
  take(): SplicePipe | undefined {
    const pipe = this.#idle.pop() ?? SplicePipe.open(this.#descriptors, RELAY_PIPE_BYTES);
    return typeof pipe === 'number' ? undefined : pipe;
  }

  /** A pipe that still holds bytes is closed with them. */
  give(pipe: SplicePipe): void {
    if (pipe.heldBytes === 0 && this.#idle.length < RELAY_PIPES_IDLE_MAX) this.#idle.push(pipe);
    else pipe[Symbol.dispose]();
  }
}
