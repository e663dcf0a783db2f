import type { Clock } from '../../base/clock.ts';

/** A thread is looked at this often, and must come round at least as often. */
export const PULSE_LOOK_MS = 250;
/** Looks in a row without a beat after which it stands still: within a second. */
export const PULSE_MISSES_MAX = 3;
/** A look that itself comes this late proves little: the whole process was starved or stopped. */
const PULSE_LATE_MS = 250;
/** So many late ones in a row prove enough: the thread had as many turns to come round as the one that looks. */
const PULSE_LATE_MISSES_MAX = 20;

export interface Pulse {
  /** How often the thread has come round; 0 = it is still loading, or there is none. */
  readonly beats: () => number;
  /** The thread has not come round for PULSE_MISSES_MAX looks in time, or more late ones. Called once for each such spell. */
  readonly onStill: () => void;
}

/** Watches a thread that a stuck loop or call would silence without ending it. */
export class PulseWatch implements Disposable {
  readonly #clock: Clock;
  readonly #pulse: Pulse;
  #timer: Disposable;
  #beats = 0;
  #misses = 0;
  #lateMisses = 0;
  #isTold = false;

  constructor(clock: Clock, pulse: Pulse) {
    this.#clock = clock;
    this.#pulse = pulse;
    this.#timer = this.#lookLater();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #lookLater(): Disposable {
    const dueMs = this.#clock.monotonicMs() + PULSE_LOOK_MS;
    return this.#clock.setTimer(PULSE_LOOK_MS, () => {
      this.#timer = this.#lookLater();
      this.#look(this.#clock.monotonicMs() - dueMs);
    });
  }

  #look(lateMs: number): void {
    const beats = this.#pulse.beats();
    const isSilent = beats > 0 && beats === this.#beats;
    this.#beats = beats;
    if (!isSilent) {
      this.#misses = 0;
      this.#lateMisses = 0;
      this.#isTold = false;
      return;
    }
    if (lateMs < PULSE_LATE_MS) this.#misses++;
    else this.#lateMisses++;
    if (this.#isTold) return;
    this.#isTold = this.#misses >= PULSE_MISSES_MAX || this.#lateMisses >= PULSE_LATE_MISSES_MAX;
    if (this.#isTold) this.#pulse.onStill();
  }
}
