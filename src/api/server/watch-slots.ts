import { WATCHES_PER_USER_MAX } from './limits.ts';
import { tooManyRequests } from './status.ts';

/** Counts the open watches of each user, so that nobody fills the memory with them. */
export class WatchSlots {
  readonly #open = new Map<string, number>();
  readonly #max: number;

  constructor(max = WATCHES_PER_USER_MAX) {
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
}
