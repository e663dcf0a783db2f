import type { Worker } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';

/** A thread is looked at this often, and must come round at least as often. */
export const PULSE_LOOK_MS = 250;
/** Looks in a row without a beat after which it stands still: within a second. */
export const PULSE_MISSES_MAX = 3;
/** A look that itself comes this late proves nothing: the whole process was starved or stopped. */
const PULSE_LATE_MS = 250;

export interface Pulse {
  /** How often the thread has come round; 0 = it is still loading, or there is none. */
  readonly beats: () => number;
  /** At each look, for example to wake a thread that sleeps. */
  readonly onLook?: (beats: number) => void;
  /** The thread has not come round for PULSE_MISSES_MAX looks. Called once for each such spell. */
  readonly onStill: () => void;
}

/** Watches a thread that a stuck loop or call would silence without ending it. */
export class PulseWatch implements Disposable {
  readonly #clock: Clock;
  readonly #pulse: Pulse;
  #timer: Disposable;
  #beats = 0;
  #misses = 0;

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
    if (!isSilent) this.#misses = 0;
    else if (lateMs < PULSE_LATE_MS) this.#misses++;
    else return;
    this.#beats = beats;
    if (isSilent && this.#misses === PULSE_MISSES_MAX) this.#pulse.onStill();
    this.#pulse.onLook?.(beats);
  }
}

/** Resolves when a thread that was told to stop has ended; one that is stuck is ended. */
export async function stoppedThread(
  clock: Clock,
  worker: Worker | undefined,
  exit: Promise<void>,
): Promise<void> {
  using _timer = clock.setTimer(PULSE_MISSES_MAX * PULSE_LOOK_MS, () => void worker?.terminate());
  await exit;
}
