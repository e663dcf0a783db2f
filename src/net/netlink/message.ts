/**
 * Messages of netlink(7): a header of 16 bytes, the family's own fixed header, attributes (length, type, value, padded
 * to 4 bytes). Numbers are in the order of this machine unless a family says otherwise; weft runs on little-endian ones.
 */
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
/** The two top bits of an attribute's type are flags (nested, order of the network). */
const TYPE_MASK = 0x3fff;
const NESTED = 0x8000;
/** Added to a type where a family (ipset) insists on being told that its numbers are in the order of the network. */
export const NET_BYTEORDER = 0x4000;

/** Flags of a request (linux/netlink.h). */
export const NLM_F = {
  REQUEST: 0x1,
  ACK: 0x4,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
} as const;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the header. */
  readonly payload: Uint8Array;
}

const align = (size: number): number => (size + 3) & ~3;

/** Writes messages one behind the other into memory that grows. */
export class MessageWriter {
  #bytes = new Uint8Array(new ArrayBuffer(4_096));
  #view = new DataView(this.#bytes.buffer);
  #end = 0;
  #message = 0;
  #sequence = 0;

  /** Starts a message; gives its sequence number, by which answers name it. */
  begin(type: number, flags: number): number {
    this.#message = this.#end;
    this.#reserve(HEADER_BYTES);
    this.#view.setUint16(this.#end + 4, type, true);
    this.#view.setUint16(this.#end + 6, flags | NLM_F.REQUEST, true);
    this.#view.setUint32(this.#end + 8, ++this.#sequence, true);
    this.#end += HEADER_BYTES;
    return this.#sequence;
  }

  end(): void {
    this.#view.setUint32(this.#message, this.#end - this.#message, true);
  }

  /** A family's fixed header, or the inside of an attribute. */
  raw(value: Uint8Array): void {
    this.#reserve(align(value.length));
    this.#bytes.set(value, this.#end);
    this.#end += align(value.length);
  }

  bytes(type: number, value: Uint8Array): void {
    this.#attribute(type, value.length);
    this.#bytes.set(value, this.#end);
    this.#end += align(value.length);
  }

  /** Text with its closing NUL. */
  text(type: number, value: string): void {
    this.bytes(type, Buffer.from(`${value}\0`));
  }

  u8(type: number, value: number): void {
    this.bytes(type, Uint8Array.of(value));
  }

  u16(type: number, value: number): void {
    this.#attribute(type, 2);
    this.#view.setUint16(this.#end, value, true);
    this.#end += 4;
  }

  /** In the order of the network. */
  u16be(type: number, value: number): void {
    this.#attribute(type, 2);
    this.#view.setUint16(this.#end, value);
    this.#end += 4;
  }

  u32(type: number, value: number): void {
    this.#attribute(type, 4);
    this.#view.setUint32(this.#end, value, true);
    this.#end += 4;
  }

  /** In the order of the network. */
  u32be(type: number, value: number): void {
    this.#attribute(type, 4);
    this.#view.setUint32(this.#end, value);
    this.#end += 4;
  }

  /** An attribute that holds attributes; at most 65,535 bytes. */
  nest(type: number, write: () => void): void {
    const start = this.#end;
    this.#attribute(type | NESTED, 0);
    write();
    this.#view.setUint16(start, this.#end - start, true);
  }

  /** Everything written; valid until the next write. */
  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#end);
  }

  #attribute(type: number, sizeBytes: number): void {
    this.#reserve(ATTRIBUTE_HEADER_BYTES + align(sizeBytes));
    this.#view.setUint16(this.#end, ATTRIBUTE_HEADER_BYTES + sizeBytes, true);
    this.#view.setUint16(this.#end + 2, type, true);
    this.#end += ATTRIBUTE_HEADER_BYTES;
  }

  #reserve(sizeBytes: number): void {
    if (this.#end + sizeBytes <= this.#bytes.length) return;
    const grown = new Uint8Array(new ArrayBuffer(2 * (this.#bytes.length + sizeBytes)));
    grown.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** The messages of one datagram; what is cut short or malformed ends the list. */
export function parseMessages(bytes: Uint8Array): NetlinkMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const length = view.getUint32(at, true);
    if (length < HEADER_BYTES || at + length > bytes.length) break;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      payload: bytes.subarray(at + HEADER_BYTES, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** The attributes from `offset` on, in order; a type may come several times. */
export function* attributesOf(bytes: Uint8Array, offset = 0): Generator<readonly [number, Uint8Array]> {
  for (let at = offset; at + ATTRIBUTE_HEADER_BYTES <= bytes.length;) {
    const length = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    const type = ((bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8)) & TYPE_MASK;
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > bytes.length) return;
    yield [type, bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length)];
    at += align(length);
  }
}

/** The value of one attribute, by its path of types from the outside in. */
export function attributeAt(bytes: Uint8Array, path: readonly number[], offset = 0): Uint8Array | undefined {
  const [wanted, ...rest] = path;
  for (const [type, value] of attributesOf(bytes, offset))
    if (type === wanted) return rest.length === 0 ? value : attributeAt(value, rest);
  return undefined;
}
