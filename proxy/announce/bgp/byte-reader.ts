/** Reads big-endian fields; past the end it gives zeros and says so, so that decoders check once. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #overrun = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** A field lay beyond the end. */
  get overrun(): boolean {
    return this.#overrun;
  }

  u8(): number {
    return this.bytes(1)[0] ?? 0;
  }

  u16(): number {
    return this.u8() * 0x100 + this.u8();
  }

  u32(): number {
    return this.u16() * 0x1_0000 + this.u16();
  }

  /** A view of the next bytes; shorter when there are not so many. */
  bytes(count: number): Uint8Array {
    if (count > this.left) this.#overrun = true;
    const end = Math.min(this.#bytes.length, this.#at + count);
    const found = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return found;
  }
}
