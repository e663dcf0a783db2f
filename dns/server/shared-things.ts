/**
 * Things that several plugins, blocks or generations use together (an HTTP port, a metric, a compiled table): opened
 * by the first who asks, disposed after the last lease has ended.
 */
export class SharedThings {
  readonly #things = new Map<string, { readonly value: AsyncDisposable; leases: number }>();

  /** A view for one generation: whatever it took is given back when it is disposed. */
  lease(): SharedLease {
    return new SharedLease(this);
  }

  take<T extends AsyncDisposable>(key: string, open: () => T): T {
    const found = this.#things.get(key);
    if (found) {
      found.leases++;
      return found.value as T;
    }
    const value = open();
    this.#things.set(key, { value, leases: 1 });
    return value;
  }

  async giveBack(key: string): Promise<void> {
    const thing = this.#things.get(key);
    if (!thing || --thing.leases > 0) return;
    this.#things.delete(key);
    await thing.value[Symbol.asyncDispose]();
  }
}

export class SharedLease implements AsyncDisposable {
  readonly #things: SharedThings;
  readonly #keys = new Set<string>();

  constructor(things: SharedThings) {
    this.#things = things;
  }

  shared<T extends AsyncDisposable>(key: string, open: () => T): T {
    const value = this.#things.take(key, open);
    if (this.#keys.has(key)) void this.#things.giveBack(key);
    this.#keys.add(key);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const key of this.#keys) await this.#things.giveBack(key);
    this.#keys.clear();
  }
}
