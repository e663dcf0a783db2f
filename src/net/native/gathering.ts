/** The load is looked at over so long. */
const WINDOW_MS = 4;
/** What was found out holds for so many windows, then it is tried again. */
const SETTLED_WINDOWS = 50;
/** Clients that ask less than this part of what they asked before wait for the answers that a pause delays. */
const RATE_KEPT_MIN = 0.85;

export interface GatheringOptions {
  /** So much work a millisecond is a load. Below, what comes is taken at once. */
  readonly busyPerMs: number;
  /** A batch of so many is large enough as it is. */
  readonly largeBatch: number;
}

/** plain: as it comes, to know its rate. trial: with pauses, to compare. kept, vain: with pauses and without, as the trial came out. */
type Stage = 'plain' | 'trial' | 'kept' | 'vain';

/**
 * When a thread that empties its queue faster than others fill it should pause before it looks again: one wake-up and one
 * pair of system calls then serve many, as with a network card's interrupts (ethtool(8), adaptive-rx). Whether it pays is
 * tried out: those who wait for each answer before they ask again would only ask less.
 */
export class Gathering {
  readonly #options: GatheringOptions;
  #stage: Stage = 'plain';
  #windows = 0;
  #plainPerMs = 0;
  #sinceMs = 0;
  #count = 0;

  constructor(options: GatheringOptions) {
    this.#options = options;
  }

  /** After a batch of `count`, at this monotonic time: whether to pause before the next one. */
  pays(count: number, nowMs: number): boolean {
    this.#count += count;
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs >= WINDOW_MS) {
      this.#turn(this.#count / elapsedMs);
      this.#sinceMs = nowMs;
      this.#count = 0;
    }
    return (this.#stage === 'trial' || this.#stage === 'kept') && count < this.#options.largeBatch;
  }

  /** A window is over. */
  #turn(perMs: number): void {
    const isBusy = perMs >= this.#options.busyPerMs;
    switch (this.#stage) {
      case 'plain':
        if (isBusy) this.#stage = 'trial';
        this.#plainPerMs = perMs;
        break;
      case 'trial':
        this.#stage = perMs >= this.#plainPerMs * RATE_KEPT_MIN ? 'kept' : 'vain';
        this.#windows = SETTLED_WINDOWS;
        break;
      case 'kept':
      case 'vain':
        if (--this.#windows === 0 || (this.#stage === 'kept' && !isBusy)) this.#stage = 'plain';
    }
  }
}
