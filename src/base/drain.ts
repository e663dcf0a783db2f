import type { Clock } from './clock.ts';

/**
 * Stopping in two steps: `begin` tells everybody to finish, `finished` waits until the tracked work has ended
 * or the deadline has passed. Disposal afterwards cuts what is left.
 */
export class Drain {
  readonly #controller = new AbortController();
  #active = 0;
  #idle: (() => void) | undefined;

  /** Aborted when draining begins: stop accepting, answer what is under way, close idle connections. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get activeCount(): number {
    return this.#active;
  }

  begin(): void {
    this.#controller.abort(new Error('draining'));
  }

  /** Marks a unit of work; dispose it once when the unit ends. */
  track(): Disposable {
    this.#active++;
    let ended = false;
    return {
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        if (--this.#active === 0) this.#idle?.();
      },
    };
  }

  /** True when everything ended in time, false when the deadline cut it short. */
  async finished(clock: Clock, deadlineMs: number): Promise<boolean> {
    if (this.#active === 0) return true;
    return await new Promise<boolean>((resolve) => {
      const timer = clock.setTimer(deadlineMs, () => resolve(false));
      this.#idle = () => {
        timer[Symbol.dispose]();
        resolve(true);
      };
    });
  }
}
