import { type JsonObject, setField } from '../json-value.ts';
import { MAX_BODY_DEPTH } from '../limits.ts';
import { canonicalQuantity } from '../quantity.ts';
import { isTypeName, type TypeField, type TypeInfo, typeInfo } from '../schema/type-table.ts';
import { parseJson } from './json-text.ts';
import { WIRE, WireError, WireReader } from './protobuf-reader.ts';
import { StrictErrors } from './strict-errors.ts';
import { formatMicroTime, formatTime } from './time.ts';
import { fillRequired, isEmpty, type Typed } from './typed.ts';

/** First bytes of every protobuf body: `k8s` and a zero. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00];

/** A runtime.Unknown: which kind the message is, and the message. */
export type Envelope =
  | { readonly ok: true; readonly apiVersion: string; readonly kind: string; readonly raw: Uint8Array }
  | { readonly ok: false; readonly message: string };

/** Opens the envelope of a body of type application/vnd.kubernetes.protobuf. */
export function readEnvelope(body: Uint8Array): Envelope {
  if (MAGIC.some((byte, i) => body[i] !== byte)) {
    return {
      ok: false,
      message: 'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]',
    };
  }
  try {
    const envelope = { apiVersion: '', kind: '', raw: new Uint8Array() };
    eachField(body.subarray(MAGIC.length), (number, reader, wire) => {
      if (number === 1 && wire === WIRE.bytes) readTypeMeta(reader.bytes(), envelope);
      else if (number === 2 && wire === WIRE.bytes) envelope.raw = new Uint8Array(reader.bytes());
      else reader.skip(wire);
    });
    return { ok: true, ...envelope };
  } catch (error) {
    return failure(error);
  }
}

function readTypeMeta(bytes: Uint8Array, into: { apiVersion: string; kind: string }): void {
  eachField(bytes, (number, reader, wire) => {
    if (number === 1 && wire === WIRE.bytes) into.apiVersion = reader.string();
    else if (number === 2 && wire === WIRE.bytes) into.kind = reader.string();
    else reader.skip(wire);
  });
}

/**
 * Decodes the message of a built-in type to what its JSON form would be: zero values of plain fields dropped,
 * pointers kept, embedded structs flattened. Unknown fields are skipped, wrong bytes are an answer.
 */
export function readProtobuf(message: Uint8Array, name: string): Typed {
  const type = typeInfo(name);
  if (!type) return { ok: false, message: `no type ${name}` };
  try {
    return { ok: true, object: readMessage(message, type, {}, 0) };
  } catch (error) {
    return failure(error);
  }
}

function failure(error: unknown): { ok: false; message: string } {
  if (error instanceof WireError) return { ok: false, message: error.message };
  throw error;
}

function eachField(
  bytes: Uint8Array,
  visit: (number: number, reader: WireReader, wire: number) => void,
): void {
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const { number, wire } = reader.tag();
    visit(number, reader, wire);
  }
}

function readMessage(bytes: Uint8Array, type: TypeInfo, object: JsonObject, depth: number): JsonObject {
  if (depth > MAX_BODY_DEPTH) throw new WireError(`exceeded max depth of ${MAX_BODY_DEPTH}`);
  eachField(bytes, (number, reader, wire) => {
    const field = type.wire.get(number);
    if (!field) reader.skip(wire);
    else readField(field, reader, wire, object, depth);
  });
  for (const field of type.fields.values()) {
    const value = object[field.name];
    if (value !== undefined && field.omitEmpty && !field.pointer && isEmpty(value, field))
      delete object[field.name];
  }
  fillRequired(object, type);
  return object;
}

function readField(
  field: TypeField,
  reader: WireReader,
  wire: number,
  object: JsonObject,
  depth: number,
): void {
  if (field.name === '') {
    const embedded = typeInfo(field.base);
    if (embedded) readMessage(bytesOf(reader, wire), embedded, object, depth + 1);
  } else if (field.map) {
    readMapEntry(field, bytesOf(reader, wire), object, depth);
  } else if (field.list) {
    const list = (object[field.name] ??= []) as unknown[];
    if (wire === WIRE.bytes && isVarint(field.base)) readPacked(field.base, reader.bytes(), list);
    else list.push(readValue(field.base, reader, wire, depth));
  } else {
    const value = readValue(field.base, reader, wire, depth);
    if (value !== undefined) object[field.name] = value;
  }
}

function readMapEntry(field: TypeField, bytes: Uint8Array, object: JsonObject, depth: number): void {
  const map = (object[field.name] ??= {}) as JsonObject;
  let key = '';
  let value: unknown;
  eachField(bytes, (number, reader, wire) => {
    if (number === 1) key = new TextDecoder().decode(bytesOf(reader, wire));
    else if (number === 2) value = readValue(field.base, reader, wire, depth);
    else reader.skip(wire);
  });
  setField(map, key, value ?? emptyOf(field.base, depth));
}

/** Value of a map entry that left it out. */
function emptyOf(base: string, depth: number): unknown {
  const type = typeInfo(base);
  if (type) return readMessage(new Uint8Array(), type, {}, depth + 1);
  if (base === 'quantity') return '0';
  if (base === 'stringlist') return [];
  return base === 'string' || base === 'bytes' ? '' : null;
}

function readPacked(base: string, bytes: Uint8Array, list: unknown[]): void {
  const reader = new WireReader(bytes);
  while (!reader.done) list.push(base === 'bool' ? reader.varint() !== 0n : reader.integer());
}

function isVarint(base: string): boolean {
  return base === 'bool' || base === 'int' || base === 'int32' || base === 'int64';
}

function bytesOf(reader: WireReader, wire: number): Uint8Array {
  if (wire !== WIRE.bytes) throw new WireError(`proto: wrong wireType = ${wire}`);
  return reader.bytes();
}

function readValue(base: string, reader: WireReader, wire: number, depth: number): unknown {
  if (isVarint(base)) {
    if (wire !== WIRE.varint) throw new WireError(`proto: wrong wireType = ${wire}`);
    return base === 'bool' ? reader.varint() !== 0n : reader.integer();
  }
  if (base === 'float64') {
    if (wire !== WIRE.fixed64) throw new WireError(`proto: wrong wireType = ${wire}`);
    return reader.double();
  }
  const bytes = bytesOf(reader, wire);
  if (isTypeName(base)) {
    const type = typeInfo(base);
    if (!type) throw new WireError(`no type ${base}`);
    return readMessage(bytes, type, {}, depth + 1);
  }
  return readSpecial(base, bytes, depth);
}

function readSpecial(base: string, bytes: Uint8Array, depth: number): unknown {
  switch (base) {
    case 'string':
      return new TextDecoder().decode(bytes);
    case 'bytes':
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
    case 'time':
    case 'microtime':
      return readTime(base, bytes);
    case 'quantity':
      return readQuantity(bytes);
    case 'intstr':
      return readIntOrString(bytes);
    case 'stringlist':
      return strings(bytes, 1);
    case 'schemaorbool':
    case 'schemaorarray':
    case 'schemaorstrings':
      return readSchemaOr(base, bytes, depth);
    default:
      return readRawJson(bytes);
  }
}

function readTime(base: string, bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return undefined;
  let seconds = 0;
  let nanos = 0;
  eachField(bytes, (number, reader, wire) => {
    if (number === 1 && wire === WIRE.varint) seconds = reader.integer();
    else if (number === 2 && wire === WIRE.varint) nanos = reader.integer();
    else reader.skip(wire);
  });
  // Outside of years 0-9999 there is no RFC 3339 text.
  if (seconds < -62_167_219_200 || seconds > 253_402_300_799) throw new WireError('time out of range');
  const micros = Math.floor(Math.max(0, Math.min(nanos, 999_999_999)) / 1000);
  return base === 'time' ? formatTime(seconds * 1000) : formatMicroTime(seconds, micros);
}

function readQuantity(bytes: Uint8Array): string {
  const [text = ''] = strings(bytes, 1);
  const canonical = text === '' ? '0' : canonicalQuantity(text);
  if (canonical === undefined) throw new WireError(`unable to parse quantity ${JSON.stringify(text)}`);
  return canonical;
}

function readIntOrString(bytes: Uint8Array): number | string {
  let kind = 0;
  let integer = 0;
  let text = '';
  eachField(bytes, (number, reader, wire) => {
    if (number === 1 && wire === WIRE.varint) kind = reader.integer();
    else if (number === 2 && wire === WIRE.varint) integer = reader.integer();
    else if (number === 3 && wire === WIRE.bytes) text = reader.string();
    else reader.skip(wire);
  });
  return kind === 0 ? integer : text;
}

/** The strings under one field number. */
function strings(bytes: Uint8Array, wanted: number): string[] {
  const found: string[] = [];
  eachField(bytes, (number, reader, wire) => {
    if (number === wanted && wire === WIRE.bytes) found.push(reader.string());
    else reader.skip(wire);
  });
  return found;
}

/** RawExtension, FieldsV1 and apiextensions JSON all carry JSON text under field 1. */
function readRawJson(bytes: Uint8Array): unknown {
  let raw = '';
  eachField(bytes, (number, reader, wire) => {
    if (number === 1 && wire === WIRE.bytes) raw = reader.string();
    else reader.skip(wire);
  });
  if (raw === '') return undefined;
  const parsed = parseJson(raw, new StrictErrors());
  if (!parsed.ok) throw new WireError(parsed.message);
  return parsed.value;
}

/** JSONSchemaPropsOr{Bool,Array,StringArray}: a schema, or the bare alternative. */
function readSchemaOr(base: string, bytes: Uint8Array, depth: number): unknown {
  const type = typeInfo('apiextensions/v1.JSONSchemaProps');
  if (!type) throw new WireError('no type JSONSchemaProps');
  let schema: JsonObject | undefined;
  let allows = false;
  const list: unknown[] = [];
  eachField(bytes, (number, reader, wire) => {
    if (base === 'schemaorbool' && number === 1 && wire === WIRE.varint) allows = reader.varint() !== 0n;
    else if (wire !== WIRE.bytes) reader.skip(wire);
    else if (base === 'schemaorstrings' && number === 2) list.push(reader.string());
    else {
      const read = readMessage(reader.bytes(), type, {}, depth + 1);
      if (base === 'schemaorarray' && number === 2) list.push(read);
      else schema = read;
    }
  });
  return schema ?? (base === 'schemaorbool' ? allows : list);
}
