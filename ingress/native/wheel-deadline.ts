import { type TimerWheel, WheelTimer } from '../../src/net/native/timer-wheel.ts';

/** One deadline of a connection, with the wheel it is set on: moved on with each use, made once. */
export class WheelDeadline extends WheelTimer {
  readonly #wheel: TimerWheel;

  constructor(wheel: TimerWheel, expired: () => void) {
    super(expired);
    this.#wheel = wheel;
  }

  arm(delayMs: number): void {
    this.#wheel.set(this, delayMs);
  }

  cancel(): void {
    this.#wheel.cancel(this);
  }
}
