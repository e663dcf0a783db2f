/** As much of DER (X.690) as OCSP needs. */
export interface Tlv {
  readonly tag: number;
  /** Contents. */
  readonly body: Buffer;
  /** Offset after the whole value. */
  readonly end: number;
}

export const SEQUENCE = 0x30;
export const INTEGER = 0x02;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OID = 0x06;
export const ENUMERATED = 0x0a;
export const GENERALIZED_TIME = 0x18;

export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const size = body.length > 0xffff ? 3 : body.length > 0xff ? 2 : 1;
  const length = Buffer.alloc(size);
  length.writeUIntBE(body.length, 0, size);
  return Buffer.concat([Buffer.from([tag, 0x80 | size]), length, body]);
}

/** The value at an offset; undefined when the bytes are no DER. */
export function readTlv(bytes: Buffer, at = 0): Tlv | undefined {
  if (at + 2 > bytes.length) return undefined;
  const first = bytes[at + 1]!;
  const size = first < 0x80 ? 0 : first & 0x7f;
  if (size > 3 || (first >= 0x80 && size === 0) || at + 2 + size > bytes.length) return undefined;
  const length = size === 0 ? first : bytes.readUIntBE(at + 2, size);
  const start = at + 2 + size;
  if (start + length > bytes.length) return undefined;
  return { tag: bytes[at]!, body: bytes.subarray(start, start + length), end: start + length };
}

/** All values of a constructed one, in order; undefined when one of them is broken. */
export function readAll(bytes: Buffer): Tlv[] | undefined {
  const values: Tlv[] = [];
  for (let at = 0; at < bytes.length;) {
    const value = readTlv(bytes, at);
    if (!value) return undefined;
    values.push(value);
    at = value.end;
  }
  return values;
}

/** `YYYYMMDDHHMMSSZ` as Unix milliseconds. */
export function readTime(value: Tlv | undefined): number | undefined {
  if (value?.tag !== GENERALIZED_TIME) return undefined;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(value.body.toString('latin1'));
  if (!parts) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
