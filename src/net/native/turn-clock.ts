import type { Clock } from '../../base/clock.ts';

/**
 * Monotonic time as it was when a loop's turn began. To read the real one costs half as much as a system call, and a
 * request would ask some ten times.
 */
export class TurnClock implements Clock {
  readonly #clock: Clock;
  #monotonicMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#monotonicMs = clock.monotonicMs();
  }

  /** By the loop, when it has waited. */
  read(): void {
    this.#monotonicMs = this.#clock.monotonicMs();
  }

  /** Held by timers as a function. */
  readonly monotonicMs = (): number => this.#monotonicMs;

  nowMs(): number {
    return this.#clock.nowMs();
  }

  setTimer(delayMs: number, callback: () => void): Disposable {
    return this.#clock.setTimer(delayMs, callback);
  }
}
