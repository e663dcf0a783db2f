import { systemClock } from '../../../src/base/clock.ts';
import { Arena } from '../../../src/net/native/arena.ts';
import { DescriptorTable } from '../../../src/net/native/descriptor-table.ts';
import { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import { WakeUp } from '../../../src/net/native/event-fd.ts';
import { TimerWheel } from '../../../src/net/native/timer-wheel.ts';

export const SCRATCH_BYTES = 65_536;

/** A loop on the test's own thread, turned by hand so that peers on node:net get their turns too. */
export class LoopThread implements Disposable {
  readonly descriptors: DescriptorTable;
  readonly timers = new TimerWheel(systemClock, { slots: 64, tickMs: 5 });
  readonly wakeUp = WakeUp.open();
  readonly loop: EpollLoop;
  readonly arena = new Arena(2 * SCRATCH_BYTES);

  constructor(descriptorsMax = 4_096) {
    this.descriptors = DescriptorTable.sized(descriptorsMax);
    this.loop = EpollLoop.open({
      descriptors: this.descriptors,
      timers: this.timers,
      wakeFd: this.wakeUp.fd,
    });
    this.arena.allocate(SCRATCH_BYTES); // tests read and write at its start
  }

  async until(description: string, condition: () => unknown): Promise<void> {
    const end = performance.now() + 20_000;
    while (!condition()) {
      this.loop.turn(0);
      if (performance.now() > end) throw new Error(`gave up waiting for ${description}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  [Symbol.dispose](): void {
    this.loop[Symbol.dispose]();
    this.wakeUp[Symbol.dispose]();
  }
}
