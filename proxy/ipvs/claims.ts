/** What changed since the last `take`. */
export interface ClaimsDelta<V> {
  readonly removed: ReadonlyMap<string, V>;
  readonly added: ReadonlyMap<string, V>;
}

/**
 * Values by key that several owners may claim; the first one holds the key until it lets go. Remembers what
 * changed, so that a sync writes just that.
 */
export class Claims<V> {
  readonly #held = new Map<string, V[]>();
  readonly #before = new Map<string, V | undefined>();

  get keys(): Iterable<string> {
    return this.#held.keys();
  }

  get(key: string): V | undefined {
    return this.#held.get(key)?.[0];
  }

  has(key: string): boolean {
    return this.#held.has(key);
  }

  claim(key: string, value: V): void {
    this.#remember(key);
    const values = this.#held.get(key);
    if (values) values.push(value);
    else this.#held.set(key, [value]);
  }

  release(key: string, value: V): void {
    this.#remember(key);
    const values = this.#held.get(key);
    const index = values?.indexOf(value) ?? -1;
    if (!values || index < 0) return;
    if (values.length === 1) this.#held.delete(key);
    else values.splice(index, 1);
  }

  /** The difference since the last call, by identity of values. */
  take(): ClaimsDelta<V> {
    const removed = new Map<string, V>();
    const added = new Map<string, V>();
    for (const [key, before] of this.#before) {
      const now = this.get(key);
      if (now === before) continue;
      if (before !== undefined) removed.set(key, before);
      if (now !== undefined) added.set(key, now);
    }
    this.#before.clear();
    return { removed, added };
  }

  #remember(key: string): void {
    if (!this.#before.has(key)) this.#before.set(key, this.get(key));
  }
}
