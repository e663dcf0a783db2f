/** Which of the numbers 0..size-1 an automatic pick may be. */
export interface PickRange {
  readonly size: number;
  /** The lowest numbers, that people choose by hand, are picked last (KEP-3070, KEP-3668). */
  readonly staticBand: number;
}

/** A free number at random, from above the static band first; undefined when there is none. */
export function pickNumber(
  { size, staticBand }: PickRange,
  random: () => number,
  isFree: (index: number) => boolean,
): number | undefined {
  const band = Math.min(staticBand, size);
  return pickBetween(band, size, random, isFree) ?? pickBetween(0, band, random, isFree);
}

function pickBetween(
  from: number,
  to: number,
  random: () => number,
  isFree: (index: number) => boolean,
): number | undefined {
  const count = to - from;
  if (count <= 0) return undefined;
  const start = Math.floor(random() * count);
  for (let step = 0; step < count; step++) {
    const index = from + ((start + step) % count);
    if (isFree(index)) return index;
  }
  return undefined;
}

/** Numbers 0..size-1 with owners. */
export class NumberPool {
  readonly #range: PickRange;
  readonly #owners = new Map<number, string>();
  readonly #random: () => number;

  constructor(range: PickRange, random: () => number) {
    this.#range = range;
    this.#random = random;
  }

  ownerOf(index: number): string | undefined {
    return this.#owners.get(index);
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
    return pickNumber(this.#range, this.#random, (index) => !this.#owners.has(index) && isFree(index));
  }
}
