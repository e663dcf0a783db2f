import { labelText, MAX_LABEL_BYTES, MAX_NAME_BYTES } from './name.ts';

/** Thrown inside the decoder only; decodeMessage turns it into a value. */
export class WireError extends Error {}

/** A cursor over untrusted bytes; every read is bounds-checked. */
export class WireReader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.at;
  }

  u8(): number {
    if (this.at >= this.end) throw new WireError('message ends early');
    return this.bytes[this.at++]!;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  take(count: number): Uint8Array {
    if (count > this.remaining) throw new WireError('message ends early');
    this.at += count;
    return this.bytes.slice(this.at - count, this.at);
  }

  /** A name with compression pointers; each must point before the name it stands in (RFC 1035 4.1.4). */
  name(): string {
    let text = '';
    let position = this.at;
    let limit = this.at;
    let after = -1;
    let length = 1;
    for (;;) {
      const head = this.#byteAt(position);
      if (head === 0) {
        this.at = after < 0 ? position + 1 : after;
        return text === '' ? '.' : text;
      }
      if (head >= 0xc0) {
        const target = ((head & 0x3f) << 8) | this.#byteAt(position + 1);
        if (target >= limit) throw new WireError('compression pointer does not point back');
        if (after < 0) after = position + 2;
        position = target;
        limit = target;
        continue;
      }
      if (head > MAX_LABEL_BYTES) throw new WireError('label type is unknown');
      length += head + 1;
      if (length > MAX_NAME_BYTES) throw new WireError('name is longer than 255 octets');
      if (position + 1 + head > this.bytes.length) throw new WireError('message ends early');
      text += labelText(this.bytes, position + 1, position + 1 + head) + '.';
      position += head + 1;
    }
  }

  #byteAt(position: number): number {
    const within = position < this.at ? this.bytes.length : this.end;
    if (position >= within) throw new WireError('message ends early');
    return this.bytes[position]!;
  }
}
