import type { Clock } from '../../src/base/clock.ts';
import type { PortCounts } from '../backend.ts';
import { COUNTING_TIME_SHARE } from '../limits.ts';

/** Reads counters seldom enough that it takes a small share of the time; in between the last figures hold. */
export class PacedReading {
  readonly #clock: Clock;
  #last: readonly PortCounts[] = [];
  #dueMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async read(now: () => Promise<readonly PortCounts[]>): Promise<readonly PortCounts[]> {
    const startMs = this.#clock.monotonicMs();
    if (startMs < this.#dueMs) return this.#last;
    this.#last = await now();
    const endMs = this.#clock.monotonicMs();
    this.#dueMs = endMs + (endMs - startMs) / COUNTING_TIME_SHARE;
    return this.#last;
  }
}
