import { backoffDelayMs, type BackoffOptions } from './backoff.ts';
import type { Clock } from './clock.ts';

/**
 * A queue of keys with the contract of client-go's workqueue:
 * - fair: keys are handed out in the order they were added;
 * - stingy: a key is processed by one worker at a time, and additions while it waits are merged;
 * - a key added while it is being processed is processed again afterwards;
 * - after dispose nothing more is handed out and waiting takers get undefined.
 */
export class WorkQueue<K> implements Disposable {
  readonly #clock: Clock;
  readonly #backoff: BackoffOptions;
  readonly #waiting = new Set<K>();
  readonly #processing = new Set<K>();
  readonly #again = new Set<K>();
  readonly #delayed = new Map<K, Disposable>();
  readonly #failures = new Map<K, number>();
  readonly #takers: ((key: K | undefined) => void)[] = [];
  #disposed = false;

  constructor(deps: { clock: Clock }, backoff: BackoffOptions) {
    this.#clock = deps.clock;
    this.#backoff = backoff;
  }

  get size(): number {
    return this.#waiting.size + this.#delayed.size;
  }

  add(key: K): void {
    if (this.#disposed) return;
    this.#cancelDelay(key);
    if (this.#processing.has(key)) {
      this.#again.add(key);
      return;
    }
    // who waits for a key has left none behind
    const taker = this.#takers.shift();
    if (!taker) return void this.#waiting.add(key);
    this.#processing.add(key);
    taker(key);
  }

  /** Adds the key after delayMs. An earlier add wins; a later call replaces the delay. */
  addAfter(key: K, delayMs: number): void {
    if (this.#disposed || this.#waiting.has(key)) return;
    this.#cancelDelay(key);
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, timer);
  }

  /** Adds the key after its next backoff delay. Call `forget` after a success. */
  addWithBackoff(key: K): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, backoffDelayMs(failures, this.#backoff));
  }

  forget(key: K): void {
    this.#failures.delete(key);
  }

  /** Waits for the next key; undefined once the queue is disposed. Each taken key needs one `done`. */
  take(): Promise<K | undefined> {
    if (this.#disposed) return Promise.resolve(undefined);
    const first = this.#waiting.values().next();
    if (!first.done) {
      this.#waiting.delete(first.value);
      this.#processing.add(first.value);
      return Promise.resolve(first.value);
    }
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  done(key: K): void {
    this.#processing.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const timer of this.#delayed.values()) timer[Symbol.dispose]();
    this.#delayed.clear();
    this.#waiting.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #cancelDelay(key: K): void {
    this.#delayed.get(key)?.[Symbol.dispose]();
    this.#delayed.delete(key);
  }
}
