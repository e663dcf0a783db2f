import type { Edns, Message, ResourceRecord } from './message.ts';
import { classNumber, opcodeNumber, rcodeNumber, typeNumber } from './numbers.ts';
import { WRITE_FIELD } from './rdata-codec.ts';
import { fieldsOf, type FieldKind } from './rdata-schema.ts';
import { WireWriter } from './wire-writer.ts';

export const MAX_MESSAGE_BYTES = 65_535;
const OPT = 41;

export interface EncodeOptions {
  /** The answer is cut to this many bytes and gets TC; default 65535. */
  readonly maxBytes?: number;
  /** Default true. */
  readonly compress?: boolean;
  /** Set TC even when only additional records were left out (CoreDNS). RFC 2181 section 9 says no: default false. */
  readonly truncateForAdditional?: boolean;
}

/**
 * Packs a message into at most maxBytes: records that do not fit are left out, whole, from the first that does
 * not fit on. Throws RangeError for values that cannot be encoded: our own bug, never the peer's.
 */
export function encodeMessage(message: Message, options: EncodeOptions = {}): Uint8Array {
  const writer = new WireWriter({ compress: options.compress ?? true });
  const opt = message.edns ? encodeOpt(message.edns, rcodeNumber(message.rcode) >> 4) : new Uint8Array(0);
  const limit = Math.min(options.maxBytes ?? MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES) - opt.length;
  for (let i = 0; i < 6; i++) writer.u16(0);
  for (const question of message.questions) {
    writer.name(question.name, true);
    writer.u16(typeNumber(question.type));
    writer.u16(classNumber(question.class));
  }
  const counts = [message.questions.length, 0, 0, 0];
  const sections = [message.answers, message.authorities, message.additionals];
  let cutAt = -1;
  for (let i = 0; i < 3 && cutAt < 0; i++) {
    const written = writeSection(writer, sections[i]!, limit);
    counts[i + 1] = written;
    if (written < sections[i]!.length) cutAt = i;
  }
  const onlyAdditional = cutAt === 2 && options.truncateForAdditional !== true;
  writeHeader(writer, message, counts, message.truncated || (cutAt >= 0 && !onlyAdditional));
  writer.put(opt);
  if (message.edns) writer.patchU16(10, counts[3]! + 1);
  return writer.bytes.slice();
}

function writeHeader(writer: WireWriter, message: Message, counts: number[], truncated: boolean): void {
  const rcode = rcodeNumber(message.rcode);
  const low = rcode > 15 && !message.edns ? rcodeNumber('SERVFAIL') : rcode & 15;
  const flags =
    (message.response ? 0x8000 : 0) |
    (opcodeNumber(message.opcode) << 11) |
    (message.authoritative ? 0x0400 : 0) |
    (truncated ? 0x0200 : 0) |
    (message.recursionDesired ? 0x0100 : 0) |
    (message.recursionAvailable ? 0x0080 : 0) |
    (message.authenticData ? 0x0020 : 0) |
    (message.checkingDisabled ? 0x0010 : 0) |
    low;
  writer.patchU16(0, message.id);
  writer.patchU16(2, flags);
  counts.forEach((count, i) => writer.patchU16(4 + i * 2, count));
}

function writeSection(writer: WireWriter, records: readonly ResourceRecord[], limit: number): number {
  for (let i = 0; i < records.length; i++) {
    const before = writer.length;
    writeRecord(writer, records[i]!);
    if (writer.length > limit) {
      writer.truncate(before);
      return i;
    }
  }
  return records.length;
}

function writeRecord(writer: WireWriter, record: ResourceRecord): void {
  writer.name(record.name, true);
  writer.u16(typeNumber(record.type));
  writer.u16(classNumber(record.class));
  writer.u32(record.ttl);
  const lengthAt = writer.length;
  writer.u16(0);
  writeRdata(writer, record);
  writer.patchU16(lengthAt, writer.length - lengthAt - 2);
}

function writeRdata(writer: WireWriter, record: ResourceRecord): void {
  const data = record.data as unknown as Readonly<Record<string, unknown>>;
  const fields = fieldsOf(record.type);
  if (!fields || data['octets'] instanceof Uint8Array) return writer.put(data['octets'] as Uint8Array);
  for (const [field, kind] of fields) {
    (WRITE_FIELD[kind] as (writer: WireWriter, value: unknown, kind: FieldKind) => void)(
      writer,
      data[field],
      kind,
    );
  }
}

/** Wire form of a record's rdata, names whole: for signing, comparing and `\#` text. */
export function encodeRdata(record: ResourceRecord): Uint8Array {
  const writer = new WireWriter({ compress: false });
  writeRdata(writer, record);
  return writer.bytes.slice();
}

function encodeOpt(edns: Edns, highRcode: number): Uint8Array {
  const writer = new WireWriter({ compress: false });
  writer.u8(0);
  writer.u16(OPT);
  writer.u16(edns.udpSize);
  writer.u8(highRcode);
  writer.u8(edns.version);
  writer.u16(edns.dnssecOk ? 0x8000 : 0);
  const body = edns.options.reduce((sum, option) => sum + 4 + option.data.length, 0);
  writer.u16(body);
  for (const option of edns.options) {
    writer.u16(option.code);
    writer.u16(option.data.length);
    writer.put(option.data);
  }
  return writer.bytes.slice();
}
