import type { KeptSlots } from './kept-slots.ts';
import { KEPT_BYTES_MAX, KEPT_SLOT_BYTES } from './limits.ts';

const NO_SLOT = -1;

/** The request under way as it came, in case it is needed again: whole, as long as it is not too long. */
export class KeptRequest {
  isWhole = false;
  readonly #slots: KeptSlots;
  #slot = NO_SLOT;
  /** In place of a slot, where that is too short or there is none. */
  #room: Buffer | undefined;
  #sizeBytes = 0;

  constructor(slots: KeptSlots) {
    this.#slots = slots;
  }

  /** To be used before the request is over. */
  get bytes(): Buffer {
    if (this.#room) return this.#room.subarray(0, this.#sizeBytes);
    const { buffer, byteOffset } = this.#slots.bytes;
    return Buffer.from(buffer, byteOffset + Math.max(0, this.#slot), this.#sizeBytes);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  begin(): void {
    this.isWhole = true;
    this.#sizeBytes = 0;
    this.#slot = this.#slots.take();
  }

  /** Bytes [from, to) of the worker's arena. */
  add(from: number, to: number): void {
    if (!this.isWhole) return;
    const { bytes } = this.#slots;
    const size = this.#sizeBytes + to - from;
    if (size > KEPT_BYTES_MAX) {
      this.isWhole = false;
      return;
    }
    const fits = this.#slot !== NO_SLOT && size <= KEPT_SLOT_BYTES;
    if (fits) bytes.copyWithin(this.#slot + this.#sizeBytes, from, to);
    else this.#roomFor(size).set(bytes.subarray(from, to), this.#sizeBytes);
    this.#sizeBytes = size;
  }

  /** The request is over, or somebody else's. */
  end(): void {
    if (this.#slot !== NO_SLOT) this.#slots.give(this.#slot);
    this.#slot = NO_SLOT;
    this.#room = undefined;
    this.#sizeBytes = 0;
  }

  #roomFor(sizeBytes: number): Buffer {
    if (this.#room && sizeBytes <= this.#room.length) return this.#room;
    const grown = Buffer.allocUnsafeSlow(Math.max(KEPT_SLOT_BYTES, sizeBytes * 2));
    grown.set(this.bytes);
    this.#room = grown;
    return grown;
  }
}
