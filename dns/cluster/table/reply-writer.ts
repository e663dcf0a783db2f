const MAX_POINTER = 0x3fff;

/**
 * Puts resource records into a buffer that belongs to somebody else. Records that pass the limit are taken back
 * whole. Reused for every answer.
 */
export class ReplyWriter {
  out: Uint8Array = new Uint8Array(0);
  at = 0;
  #limit = 0;

  begin(out: Uint8Array, at: number, limit: number): void {
    this.out = out;
    this.at = at;
    this.#limit = Math.min(limit, out.length);
  }

  /** False when what was written since `start` is too long; it is gone then. */
  keep(start: number): boolean {
    if (this.at <= this.#limit) return true;
    this.at = start;
    return false;
  }

  /** True while names written here can be pointed at. */
  get pointable(): boolean {
    return this.at <= MAX_POINTER;
  }

  u16(value: number): void {
    this.out[this.at++] = value >> 8;
    this.out[this.at++] = value;
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  pointer(target: number): void {
    this.u16(0xc000 | target);
  }

  copy(from: Uint8Array, start: number, length: number): void {
    for (let i = 0; i < length; i++) this.out[this.at++] = from[start + i]!;
  }

  byte(value: number): void {
    this.out[this.at++] = value;
  }

  /** Type, class IN, ttl; the length of the data follows by `closeData` with what this returns. */
  openRecord(type: number, ttl: number): number {
    this.u16(type);
    this.u16(1);
    this.u32(ttl);
    this.u16(0);
    return this.at;
  }

  closeData(start: number): void {
    const length = this.at - start;
    this.out[start - 2] = length >> 8;
    this.out[start - 1] = length;
  }
}
