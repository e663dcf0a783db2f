import { formatAddress, parseAddress } from '../../src/net/ip.ts';
import { typeName, typeNumber, type RecordType } from './numbers.ts';
import type { FieldKind, FieldTypes, SvcParameter } from './rdata-schema.ts';
import { WireError, type WireReader } from './wire-reader.ts';
import type { WireWriter } from './wire-writer.ts';

type Readers = { readonly [K in FieldKind]: (reader: WireReader) => FieldTypes[K] };
type Writers = { readonly [K in FieldKind]: (writer: WireWriter, value: FieldTypes[K]) => void };

/** Reads one field; the reader ends where the rdata ends. */
export const READ_FIELD: Readers = {
  u8: (reader) => reader.u8(),
  u16: (reader) => reader.u16(),
  u32: (reader) => reader.u32(),
  u48: (reader) => reader.u16() * 0x100000000 + reader.u32(),
  time: (reader) => reader.u32(),
  ipv4: (reader) => `${reader.u8()}.${reader.u8()}.${reader.u8()}.${reader.u8()}`,
  ipv6: (reader) => formatAddress(reader.take(16)),
  name: (reader) => reader.name(),
  compressible: (reader) => reader.name(),
  text: (reader) => byteString(reader.take(reader.u8())),
  texts: (reader) => {
    const texts = [byteString(reader.take(reader.u8()))];
    while (reader.remaining > 0) texts.push(byteString(reader.take(reader.u8())));
    return texts;
  },
  rest: (reader) => byteString(reader.take(reader.remaining)),
  hex: (reader) => reader.take(reader.remaining),
  base64: (reader) => reader.take(reader.remaining),
  saltHex: (reader) => reader.take(reader.u8()),
  hashBase32: (reader) => reader.take(reader.u8()),
  blob16: (reader) => reader.take(reader.u16()),
  type: (reader) => typeName(reader.u16()),
  types: readTypes,
  parameters: readParameters,
};

export const WRITE_FIELD: Writers = {
  u8: (writer, value) => writer.u8(value),
  u16: (writer, value) => writer.u16(value),
  u32: (writer, value) => writer.u32(value),
  u48: (writer, value) => {
    writer.u16(Math.floor(value / 0x100000000));
    writer.u32(value % 0x100000000);
  },
  time: (writer, value) => writer.u32(value),
  ipv4: (writer, value) => writer.put(addressBytes(value, 4)),
  ipv6: (writer, value) => writer.put(addressBytes(value, 16)),
  name: (writer, value) => writer.name(value, false),
  compressible: (writer, value) => writer.name(value, true),
  text: writeText,
  texts: (writer, value) => value.forEach((text) => writeText(writer, text)),
  rest: (writer, value) => writer.put(stringBytes(value)),
  hex: (writer, value) => writer.put(value),
  base64: (writer, value) => writer.put(value),
  saltHex: writeBlob8,
  hashBase32: writeBlob8,
  blob16: (writer, value) => {
    writer.u16(value.length);
    writer.put(value);
  },
  type: (writer, value) => writer.u16(typeNumber(value)),
  types: (writer, value) => writer.put(typeBitmap(value)),
  parameters: (writer, value) => {
    for (const { key, value: octets } of [...value].sort((a, b) => a.key - b.key)) {
      writer.u16(key);
      writer.u16(octets.length);
      writer.put(octets);
    }
  },
};

/** One char a byte. */
export function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

export function stringBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0) & 0xff);
}

function addressBytes(text: string, length: number): Uint8Array {
  const bytes = parseAddress(text);
  if (bytes?.length !== length) throw new RangeError(`not an address of ${length} octets: ${text}`);
  return bytes;
}

function writeText(writer: WireWriter, text: string): void {
  const bytes = stringBytes(text);
  if (bytes.length > 255) throw new RangeError('character-string is longer than 255 octets');
  writeBlob8(writer, bytes);
}

function writeBlob8(writer: WireWriter, bytes: Uint8Array): void {
  writer.u8(bytes.length);
  writer.put(bytes);
}

function readTypes(reader: WireReader): RecordType[] {
  const types: RecordType[] = [];
  let last = -1;
  while (reader.remaining > 0) {
    const window = reader.u8();
    const length = reader.u8();
    if (window <= last || length < 1 || length > 32) throw new WireError('type bitmap is malformed');
    last = window;
    reader.take(length).forEach((byte, i) => {
      for (let bit = 0; bit < 8; bit++) {
        if (byte & (0x80 >> bit)) types.push(typeName(window * 256 + i * 8 + bit));
      }
    });
  }
  return types;
}

function typeBitmap(types: readonly RecordType[]): Uint8Array {
  const windows = new Map<number, Uint8Array>();
  for (const type of types) {
    const number = typeNumber(type);
    const bits = windows.get(number >> 8) ?? new Uint8Array(32);
    windows.set(number >> 8, bits);
    bits[(number & 0xff) >> 3]! |= 0x80 >> (number & 7);
  }
  const out: number[] = [];
  for (const [window, bits] of [...windows].sort((a, b) => a[0] - b[0])) {
    const length = bits.findLastIndex((byte) => byte !== 0) + 1;
    out.push(window, length, ...bits.subarray(0, length));
  }
  return Uint8Array.from(out);
}

function readParameters(reader: WireReader): SvcParameter[] {
  const parameters: SvcParameter[] = [];
  let last = -1;
  while (reader.remaining > 0) {
    const key = reader.u16();
    if (key <= last) throw new WireError('SvcParamKeys are not in ascending order');
    last = key;
    parameters.push({ key, value: reader.take(reader.u16()) });
  }
  return parameters;
}
