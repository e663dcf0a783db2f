import { IOVEC } from './abi.ts';
import type { Arena } from './arena.ts';

/** An array of struct iovec in an arena: regions of that arena for one readv or writev. */
export class IoVectors {
  readonly address: number;
  readonly #arena: Arena;
  readonly #at: number;
  readonly #countMax: number;
  #count = 0;

  constructor(arena: Arena, countMax: number) {
    this.#arena = arena;
    this.#at = arena.allocate(countMax * IOVEC.BYTES);
    this.#countMax = countMax;
    this.address = arena.address(this.#at, countMax * IOVEC.BYTES);
  }

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
  }

  /** False when the array is full. Throws Fault ARENA_BOUNDS for a region that is none of the arena. */
  push(offset: number, sizeBytes: number): boolean {
    if (this.#count === this.#countMax) return false;
    const vector = this.#at + this.#count++ * IOVEC.BYTES;
    this.#arena.setPointer(vector + IOVEC.BASE, offset, sizeBytes);
    this.#arena.setU64(vector + IOVEC.LENGTH, sizeBytes);
    return true;
  }
}
