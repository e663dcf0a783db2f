import type { Clock } from '../../base/clock.ts';
import { WATCH_START_SHARE_MS, WATCH_STARTS_PER_USER, WATCHES_PER_USER_MAX } from './limits.ts';
import { tooManyRequests } from './status.ts';

/** Watches of one user that send what is there, and those that wait to. */
interface Starts {
  running: number;
  readonly waiting: (() => void)[];
}

/**
 * Counts the open watches of each user, so that nobody fills the memory with them, and lets few of them begin at the
 * same time: hundreds of half-sent beginnings are hundreds of sockets that all become writable at once.
 */
export class WatchSlots {
  readonly #clock: Clock;
  readonly #open = new Map<string, number>();
  readonly #starts = new Map<string, Starts>();
  readonly #max: number;

  constructor(clock: Clock, max = WATCHES_PER_USER_MAX) {
    this.#clock = clock;
    this.#max = max;
  }

  /** Throws 429 when the user has no slot left. */
  check(user: string): void {
    if ((this.#open.get(user) ?? 0) >= this.#max) {
      throw tooManyRequests(`too many open watches of ${JSON.stringify(user)}, close some first`, 5);
    }
  }

  /** Held while a watch is open. */
  enter(user: string): Disposable {
    this.#open.set(user, (this.#open.get(user) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#open.get(user) ?? 1) - 1;
        if (left > 0) this.#open.set(user, left);
        else this.#open.delete(user);
      },
    };
  }

  /** Waits until the user's watch may send what is there; dispose the result when it has been sent. */
  async start(user: string): Promise<Disposable> {
    const starts = this.#starts.get(user) ?? { running: 0, waiting: [] };
    this.#starts.set(user, starts);
    if (starts.running < WATCH_STARTS_PER_USER) starts.running++;
    else await new Promise<void>((resolve) => starts.waiting.push(resolve)); // takes over the place of another
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      timer[Symbol.dispose]();
      this.#next(user, starts);
    };
    const timer = this.#clock.setTimer(WATCH_START_SHARE_MS, release);
    return { [Symbol.dispose]: release };
  }

  #next(user: string, starts: Starts): void {
    const next = starts.waiting.shift();
    if (next) return next();
    starts.running--;
    if (starts.running === 0) this.#starts.delete(user);
  }
}
