import { sleepThread } from './thread-sleep.ts';

/** The load is looked at over so long. */
const WINDOW_MS = 4;
/** With pauses and without, by turns: loads come in bursts. Even. */
const TRIAL_WINDOWS = 16;
/** What was found out holds for so many windows, then it is tried again. */
const SETTLED_WINDOWS = 125;
/** Clients that ask less than this part of what they ask otherwise wait for the answers that a pause delays. */
const RATE_KEPT_MIN = 0.75;

export interface GatheringOptions {
  /** So much work a millisecond is a load. Below, what comes is taken at once. */
  readonly busyPerMs: number;
  /** A batch of so many is large enough as it is. */
  readonly largeBatch: number;
  /** How long a pause is, and by how much work may be done later. */
  readonly pauseMicroseconds: number;
}

/** calm: too little to do. trial: with pauses and without, to compare. kept, vain: with and without, as the trial came out. */
type Stage = 'calm' | 'trial' | 'kept' | 'vain';

/**
 * When a thread that empties its queue faster than others fill it should pause before it looks again: one wake-up and one
 * pair of system calls then serve many, as with a network card's interrupts (ethtool(8), adaptive-rx). Whether it pays is
 * tried out: those who wait for each answer before they ask again would only ask less.
 */
export class Gathering {
  readonly #options: GatheringOptions;
  #stage: Stage = 'calm';
  #windows = 0;
  /** Sums over the windows of a trial. */
  #plainPerMs = 0;
  #pausedPerMs = 0;
  #sinceMs = 0;
  #count = 0;
  #isSmall = false;

  constructor(options: GatheringOptions) {
    this.#options = options;
  }

  /** To pause before the next batch. */
  get pays(): boolean {
    return this.#isSmall && this.#mayPause;
  }

  /** A batch of `count` came at this monotonic time. */
  took(count: number, nowMs: number): void {
    this.#isSmall = count < this.#options.largeBatch;
    this.#count += count;
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs >= WINDOW_MS) {
      this.#turn(this.#count / elapsedMs);
      this.#sinceMs = nowMs;
      this.#count = 0;
    }
  }

  /** Sleeps where it pays. */
  pause(): void {
    if (this.pays) sleepThread(this.#options.pauseMicroseconds);
  }

  get #mayPause(): boolean {
    return this.#stage === 'kept' || (this.#stage === 'trial' && this.#windows % 2 === 1);
  }

  /** A window is over. */
  #turn(perMs: number): void {
    const isBusy = perMs >= this.#options.busyPerMs;
    switch (this.#stage) {
      case 'calm':
        if (isBusy) this.#enter('trial', TRIAL_WINDOWS);
        this.#plainPerMs = 0;
        this.#pausedPerMs = 0;
        break;
      case 'trial':
        if (this.#mayPause) this.#pausedPerMs += perMs;
        else this.#plainPerMs += perMs;
        if (--this.#windows > 0) break;
        this.#enter(this.#pausedPerMs >= this.#plainPerMs * RATE_KEPT_MIN ? 'kept' : 'vain', SETTLED_WINDOWS);
        break;
      case 'kept':
      case 'vain':
        if (--this.#windows === 0 || (this.#stage === 'kept' && !isBusy)) this.#enter('calm', 0);
    }
  }

  #enter(stage: Stage, windows: number): void {
    this.#stage = stage;
    this.#windows = windows;
  }
}
