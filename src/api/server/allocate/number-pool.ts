/**
 * Numbers 0..size-1 with owners. Automatic picks come from above the static band first, so that what people
 * choose by hand (low numbers) rarely collides (KEP-3070, KEP-3668).
 */
export class NumberPool {
  readonly size: number;
  readonly staticBand: number;
  readonly #owners = new Map<number, string>();
  readonly #random: () => number;

  constructor(size: number, staticBand: number, random: () => number) {
    this.size = size;
    this.staticBand = Math.min(staticBand, size);
    this.#random = random;
  }

  get used(): number {
    return this.#owners.size;
  }

  ownerOf(index: number): string | undefined {
    return this.#owners.get(index);
  }

  owners(): IterableIterator<[number, string]> {
    return this.#owners.entries();
  }

  /** False when somebody else has it. Taking what one has is fine. */
  take(index: number, owner: string): boolean {
    const holder = this.#owners.get(index);
    if (holder !== undefined && holder !== owner) return false;
    this.#owners.set(index, owner);
    return true;
  }

  /** Gives it back if this owner has it. */
  release(index: number, owner: string): void {
    if (this.#owners.get(index) === owner) this.#owners.delete(index);
  }

  /** A free number, undefined when there is none. */
  pick(isFree: (index: number) => boolean): number | undefined {
    return (
      this.#pickBetween(this.staticBand, this.size, isFree) ?? this.#pickBetween(0, this.staticBand, isFree)
    );
  }

  #pickBetween(from: number, to: number, isFree: (index: number) => boolean): number | undefined {
    const count = to - from;
    if (count <= 0) return undefined;
    const start = Math.floor(this.#random() * count);
    for (let step = 0; step < count; step++) {
      const index = from + ((start + step) % count);
      if (!this.#owners.has(index) && isFree(index)) return index;
    }
    return undefined;
  }
}
