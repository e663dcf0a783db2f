import type { Arena } from '../../src/net/native/arena.ts';
import { KEPT_SLOT_BYTES, KEPT_SLOTS } from './limits.ts';

/** Places for the requests under way of one worker, in its arena: one is copied there without making anything. */
export class KeptSlots {
  readonly bytes: Uint8Array;
  readonly #free = new Int32Array(KEPT_SLOTS);
  #count = KEPT_SLOTS;

  constructor(arena: Arena) {
    const at = arena.allocate(KEPT_SLOTS * KEPT_SLOT_BYTES);
    this.bytes = arena.bytes;
    for (let i = 0; i < KEPT_SLOTS; i++) this.#free[i] = at + i * KEPT_SLOT_BYTES;
  }

  /** KEPT_SLOT_BYTES from here on; -1 = all are taken. */
  take(): number {
    return this.#count === 0 ? -1 : this.#free[--this.#count]!;
  }

  give(slot: number): void {
    this.#free[this.#count++] = slot;
  }
}
