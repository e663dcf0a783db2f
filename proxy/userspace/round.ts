/**
 * Takes turns over a list: every item once a round, each round in a new random order. Fair like a fixed order, but
 * clients that come in step with it do not meet the same items for ever. Drawing costs the same for any length.
 */
export class Round<T> {
  readonly #items: T[];
  readonly #random: () => number;
  #drawn = 0;

  /** `items` must not be empty. */
  constructor(items: readonly T[], random: () => number) {
    this.#items = [...items];
    this.#random = random;
  }

  next(): T {
    if (this.#drawn === this.#items.length) this.#drawn = 0;
    const at = this.#drawn + Math.floor(this.#random() * (this.#items.length - this.#drawn));
    const item = this.#items[at]!;
    this.#items[at] = this.#items[this.#drawn]!;
    this.#items[this.#drawn++] = item;
    return item;
  }
}
