/** The newest immutable value and its version: one writer publishes, readers pull when they are ready. */
export interface Versioned<T> {
  readonly version: number;
  readonly value: T;
}

export class Cell<T> {
  #current: Versioned<T>;
  readonly #listeners = new Set<(next: Versioned<T>) => void>();

  constructor(initial: T) {
    this.#current = { version: 0, value: initial };
  }

  get current(): Versioned<T> {
    return this.#current;
  }

  /** Makes value visible whole, then tells the listeners. Listeners must not throw and must not block. */
  publish(value: T): Versioned<T> {
    this.#current = { version: this.#current.version + 1, value };
    for (const listener of this.#listeners) listener(this.#current);
    return this.#current;
  }

  /** Hears of versions published after this call. */
  subscribe(listener: (next: Versioned<T>) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
