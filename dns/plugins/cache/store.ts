import type { ExtendedError } from '../../query.ts';
import type { Message } from '../../wire/message.ts';

export interface CacheItem {
  readonly message: Message;
  readonly extended: ExtendedError | undefined;
  readonly storedMs: number;
  /** Of the whole reply. */
  readonly ttlSeconds: number;
  /** Questions since the last pause of prefetch.durationMs. */
  hits: number;
  lastHitMs: number;
  refreshing: boolean;
  /** No refresh before this (serve_stale recheck). */
  notBeforeMs: number;
}

/** A bounded map; when full, something at random makes room. */
export class CacheStore {
  readonly #items = new Map<string, CacheItem>();
  readonly #keys: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #capacity: number;
  readonly #random: () => number;
  evictions = 0;

  constructor(deps: { random: () => number }, options: { readonly capacity: number }) {
    this.#random = deps.random;
    this.#capacity = options.capacity;
  }

  get size(): number {
    return this.#items.size;
  }

  get(key: string): CacheItem | undefined {
    return this.#items.get(key);
  }

  set(key: string, item: CacheItem): void {
    if (!this.#items.has(key)) {
      if (this.#items.size >= this.#capacity) this.#evict();
      this.#places.set(key, this.#keys.length);
      this.#keys.push(key);
    }
    this.#items.set(key, item);
  }

  delete(key: string): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    const last = this.#keys.pop()!;
    if (last !== key) {
      this.#keys[place] = last;
      this.#places.set(last, place);
    }
    this.#places.delete(key);
    this.#items.delete(key);
  }

  #evict(): void {
    const key = this.#keys[Math.floor(this.#random() * this.#keys.length)];
    if (key === undefined) return;
    this.delete(key);
    this.evictions++;
  }
}
