import type { Arena } from '../../src/net/native/arena.ts';
import { KEPT_SLOT_BYTES, KEPT_SLOTS } from './limits.ts';
import { COUNT } from './messages.ts';

/** Places for the requests under way of one worker, in its arena: one is copied there without making anything. */
export class KeptSlots {
  readonly bytes: Uint8Array;
  readonly #free = new Int32Array(KEPT_SLOTS);
  readonly #counts: Float64Array;
  #count = KEPT_SLOTS;

  /** `counts` by COUNT. */
  constructor(arena: Arena, counts: Float64Array) {
    this.#counts = counts;
    const at = arena.allocate(KEPT_SLOTS * KEPT_SLOT_BYTES);
    this.bytes = arena.bytes;
    for (let i = 0; i < KEPT_SLOTS; i++) this.#free[i] = at + i * KEPT_SLOT_BYTES;
  }

  /** KEPT_SLOT_BYTES from here on; -1 = all are taken. */
  take(): number {
    if (this.#count > 0) return this.#free[--this.#count]!;
    this.#counts[COUNT.ARENA_FULL]!++;
    return -1;
  }

  give(slot: number): void {
    this.#free[this.#count++] = slot;
  }
}
