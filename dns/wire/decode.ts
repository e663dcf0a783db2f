import type { Edns, EdnsOption, Message, MessageFlags, Question, ResourceRecord } from './message.ts';
import { className, opcodeName, rcodeName, typeName, type RecordType } from './numbers.ts';
import { READ_FIELD } from './rdata-codec.ts';
import { fieldsOf } from './rdata-schema.ts';
import { WireError, WireReader } from './wire-reader.ts';

export const HEADER_BYTES = 12;
const OPT = 41;

export type DecodeResult =
  | { readonly ok: true; readonly message: Message }
  /** The header is there when at least 12 bytes came: enough for FORMERR. */
  | { readonly ok: false; readonly reason: string; readonly header: Message | undefined };

/** Decodes untrusted bytes. Never throws. Trailing bytes behind the counted records are a fault. */
export function decodeMessage(bytes: Uint8Array): DecodeResult {
  if (bytes.length < HEADER_BYTES) return { ok: false, reason: 'shorter than a header', header: undefined };
  const reader = new WireReader(bytes);
  const { message: header, counts } = decodeHeader(reader);
  try {
    const questions = repeat(counts[0]!, () => decodeQuestion(reader));
    const answers = readRecords(reader, counts[1]!);
    const authorities = readRecords(reader, counts[2]!);
    const additionals = readRecords(reader, counts[3]!);
    const edns = additionals.edns;
    if (answers.edns || authorities.edns) throw new WireError('OPT outside of the additional section');
    if (reader.remaining > 0) throw new WireError('trailing bytes');
    const low = bytes[3]! & 15;
    const message: Message = {
      ...header,
      rcode: rcodeName(edns ? (edns.highRcode << 4) | low : low),
      questions,
      answers: answers.records,
      authorities: authorities.records,
      additionals: additionals.records,
      ...(edns && { edns: edns.edns }),
    };
    return { ok: true, message };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { ok: false, reason: error.message, header };
  }
}

/** Decodes one record's rdata given as octets without pointers (zone text `\#`, tests). */
export function decodeRdata(type: RecordType, octets: Uint8Array): unknown {
  try {
    return readRdata(new WireReader(octets), type, octets.length);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return undefined;
  }
}

function decodeHeader(reader: WireReader): { message: Message; counts: number[] } {
  const id = reader.u16();
  const high = reader.u8();
  const low = reader.u8();
  const message: Message = {
    id,
    ...decodeFlags(high, low),
    rcode: rcodeName(low & 15),
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
  };
  return { message, counts: [reader.u16(), reader.u16(), reader.u16(), reader.u16()] };
}

/** The third and the fourth octet of a header. */
export function decodeFlags(high: number, low: number): MessageFlags {
  return {
    response: (high & 0x80) !== 0,
    opcode: opcodeName((high >> 3) & 15),
    authoritative: (high & 4) !== 0,
    truncated: (high & 2) !== 0,
    recursionDesired: (high & 1) !== 0,
    recursionAvailable: (low & 0x80) !== 0,
    authenticData: (low & 0x20) !== 0,
    checkingDisabled: (low & 0x10) !== 0,
  };
}

export function decodeQuestion(reader: WireReader): Question {
  return { name: reader.name(), type: typeName(reader.u16()), class: className(reader.u16()) };
}

interface ReadRecords {
  readonly records: ResourceRecord[];
  readonly edns: { readonly edns: Edns; readonly highRcode: number } | undefined;
}

function readRecords(reader: WireReader, count: number): ReadRecords {
  const records: ResourceRecord[] = [];
  let edns: ReadRecords['edns'];
  for (let i = 0; i < count; i++) {
    const name = reader.name();
    const type = reader.u16();
    if (type === OPT) {
      if (edns || name !== '.') throw new WireError('OPT is malformed or repeated');
      edns = readOpt(reader);
    } else records.push(readRecord(reader, name, typeName(type)));
  }
  return { records, edns };
}

function readOpt(reader: WireReader): ReadRecords['edns'] {
  const udpSize = reader.u16();
  const highRcode = reader.u8();
  const version = reader.u8();
  const dnssecOk = (reader.u16() & 0x8000) !== 0;
  const body = slice(reader, reader.u16());
  const options: EdnsOption[] = [];
  while (body.remaining > 0) options.push({ code: body.u16(), data: body.take(body.u16()) });
  return { edns: { udpSize, version, dnssecOk, options }, highRcode };
}

function readRecord(reader: WireReader, name: string, type: RecordType): ResourceRecord {
  const recordClass = className(reader.u16());
  const ttl = reader.u32();
  const length = reader.u16();
  const bare = length === 0 && (recordClass === 'ANY' || recordClass === 'NONE');
  const data = bare ? { octets: new Uint8Array(0) } : readRdata(reader, type, length);
  return { name, type, class: recordClass, ttl, data } as ResourceRecord;
}

function readRdata(reader: WireReader, type: RecordType, length: number): unknown {
  const body = slice(reader, length);
  const fields = fieldsOf(type);
  if (!fields) return { octets: body.take(length) };
  const data: Record<string, unknown> = {};
  for (const [field, kind] of fields) data[field] = READ_FIELD[kind](body);
  if (body.remaining > 0) throw new WireError('rdata is longer than its fields');
  return data;
}

/** A reader over the next length bytes that can still follow pointers back; moves the outer cursor past them. */
function slice(reader: WireReader, length: number): WireReader {
  if (length > reader.remaining) throw new WireError('rdata reaches past the message');
  const inner = new WireReader(reader.bytes, reader.at, reader.at + length);
  reader.at += length;
  return inner;
}

function repeat<T>(count: number, read: () => T): T[] {
  const out: T[] = [];
  for (let i = 0; i < count; i++) out.push(read());
  return out;
}
