import { type JsonObject, isObject, setField } from '../json-value.ts';
import { canonicalQuantity, QUANTITY_ERROR } from '../quantity.ts';
import { isTypeName, type TypeField, type TypeInfo, typeInfo } from '../schema/type-table.ts';
import type { StrictErrors } from './strict-errors.ts';
import { canonicalMicroTime, canonicalTime } from './time.ts';

/** Raised inside this file only: the first value that cannot be what its field is. */
class Mismatch extends Error {}

interface Place {
  readonly errors: StrictErrors;
  /** With indices, for unknown fields. */
  readonly path: string;
  /** Without indices, as Go's decoder tells it. */
  readonly goPath: string;
  /** Innermost type, without its package. */
  readonly struct: string;
}

export type Typed =
  | { readonly ok: true; readonly object: JsonObject }
  | { readonly ok: false; readonly message: string };

/**
 * Reads JSON data as the built-in type `name`, the way Kubernetes' Go structs would: unknown fields are told and
 * dropped, nulls and empty optional values vanish, quantities and times become canonical. Gives a fresh copy.
 */
export function readTyped(value: unknown, name: string, errors: StrictErrors): Typed {
  const type = typeInfo(name);
  if (!type) return { ok: false, message: `no type ${name}` };
  try {
    if (!isObject(value))
      throw new Mismatch(`json: cannot unmarshal ${jsonWord(value)} into Go value of type ${goName(name)}`);
    return { ok: true, object: readObject(value, type, { errors, path: '', goPath: '', struct: '' }) };
  } catch (error) {
    if (error instanceof Mismatch) return { ok: false, message: error.message };
    throw error;
  }
}

function readObject(value: JsonObject, type: TypeInfo, place: Place): JsonObject {
  const object: JsonObject = {};
  const struct = type.name.slice(type.name.indexOf('.') + 1);
  for (const key of Object.keys(value)) {
    const path = place.path ? `${place.path}.${key}` : key;
    const field = type.fields.get(key);
    if (!field) {
      place.errors.unknownField(path);
      continue;
    }
    const goPath = place.goPath ? `${place.goPath}.${key}` : key;
    const read = readField(value[key], field, { errors: place.errors, path, goPath, struct });
    if (read !== undefined && !(field.omitEmpty && !field.pointer && isEmpty(read, field)))
      object[key] = read;
  }
  fillRequired(object, type);
  return object;
}

/**
 * Go writes scalars that are not omitted when empty as their zero value and embedded structs as `{}`.
 * Absent lists and maps stay absent.
 */
export function fillRequired(object: JsonObject, type: TypeInfo): void {
  for (const field of type.fields.values()) {
    if (field.pointer || field.list || field.map || object[field.name] !== undefined) continue;
    if (isTypeName(field.base)) {
      if (!field.omitZero) fillStruct(object, field);
      continue;
    }
    const zero = field.omitEmpty ? undefined : zeroOf(field.base);
    if (zero !== undefined) object[field.name] = zero;
  }
}

function fillStruct(object: JsonObject, field: TypeField): void {
  const type = typeInfo(field.base);
  if (!type) return;
  const made: JsonObject = {};
  fillRequired(made, type);
  object[field.name] = made;
}

function zeroOf(base: string): unknown {
  if (base === 'string') return '';
  if (base === 'bool') return false;
  return base.startsWith('int') && base !== 'intstr' ? 0 : undefined;
}

/** True for what `omitempty` leaves out. */
export function isEmpty(value: unknown, field: TypeField): boolean {
  if (field.list) return Array.isArray(value) && value.length === 0;
  if (field.map) return isObject(value) && Object.keys(value).length === 0;
  return value === '' || value === 0 || value === false;
}

function readField(value: unknown, field: TypeField, place: Place): unknown {
  if (value === null || value === undefined) return undefined;
  if (field.map) return readMap(value, field, place);
  if (field.list) return readList(value, field, place);
  return readOne(value, field.base, place, false);
}

function readMap(value: unknown, field: TypeField, place: Place): JsonObject {
  if (!isObject(value)) throw mismatch(value, `map[string]${goName(field.base)}`, place);
  const map: JsonObject = {};
  for (const key of Object.keys(value)) {
    const inner = { ...place, path: `${place.path}.${key}` };
    setField(map, key, readOne(value[key], field.base, inner, true));
  }
  return map;
}

function readList(value: unknown, field: TypeField, place: Place): unknown[] {
  if (!Array.isArray(value)) throw mismatch(value, `[]${goName(field.base)}`, place);
  return value.map((one: unknown, index) =>
    readOne(one, field.base, { ...place, path: `${place.path}[${index}]` }, true),
  );
}

/** @param element Inside a list or map, where null is the zero value and not absence. */
function readOne(value: unknown, base: string, place: Place, element: boolean): unknown {
  if (isTypeName(base)) {
    const type = typeInfo(base);
    if (value === null && type && element) return readObject({}, type, place);
    if (!isObject(value) || !type) throw mismatch(value, goName(base), place);
    return readObject(value, type, place);
  }
  if (value === null && element) return zeroOf(base) ?? (base === 'bytes' ? '' : null);
  return readScalar(value, base, place);
}

function readScalar(value: unknown, base: string, place: Place): unknown {
  switch (base) {
    case 'string':
    case 'duration':
      return expect(typeof value === 'string', value, 'string', place);
    case 'bool':
      return expect(typeof value === 'boolean', value, 'bool', place);
    case 'int':
    case 'int32':
      return expect(isInteger(value, 0x7fff_ffff), value, 'int32', place);
    case 'int64':
      return expect(isInteger(value, Number.MAX_SAFE_INTEGER), value, 'int64', place);
    case 'float64':
      return expect(typeof value === 'number', value, 'float64', place);
    case 'bytes':
      return readBytes(value, place);
    case 'time':
      return canonicalOr(canonicalTime(value), value, 'Time', place);
    case 'microtime':
      return canonicalOr(canonicalMicroTime(value), value, 'MicroTime', place);
    case 'quantity':
      return readQuantity(value);
    case 'intstr':
      return expect(typeof value === 'string' || isInteger(value, 0x7fff_ffff), value, 'int32', place);
    case 'stringlist':
      if (!Array.isArray(value)) throw mismatch(value, '[]string', place);
      return value.map((one) => expect(typeof one === 'string', one, 'string', place));
    default:
      return value;
  }
}

function readQuantity(value: unknown): string {
  const text = canonicalQuantity(value);
  if (text === undefined) throw new Mismatch(QUANTITY_ERROR);
  return text;
}

function readBytes(value: unknown, place: Place): string {
  if (typeof value !== 'string') throw mismatch(value, '[]uint8', place);
  const text = value.replace(/[\r\n]/g, '');
  const bad = /[^A-Za-z0-9+/=]|=[^=]/.exec(text);
  if (bad) throw new Mismatch(`illegal base64 data at input byte ${bad.index}`);
  if (text.length % 4 !== 0)
    throw new Mismatch(`illegal base64 data at input byte ${text.length - (text.length % 4)}`);
  return text;
}

function canonicalOr(text: string | undefined, value: unknown, type: string, place: Place): string {
  if (text !== undefined) return text;
  if (typeof value !== 'string') throw mismatch(value, type, place);
  const layout = '2006-01-02T15:04:05Z07:00';
  throw new Mismatch(
    `parsing time ${JSON.stringify(value)} as "${layout}": cannot parse ${JSON.stringify(value)} as "2006"`,
  );
}

function isInteger(value: unknown, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value <= max && value >= -max - 1;
}

function expect(holds: boolean, value: unknown, type: string, place: Place): unknown {
  if (!holds) throw mismatch(value, type, place);
  return value;
}

function mismatch(value: unknown, type: string, place: Place): Mismatch {
  const where = `Go struct field ${place.struct}.${place.goPath}`;
  return new Mismatch(`json: cannot unmarshal ${jsonWord(value, type)} into ${where} of type ${type}`);
}

function jsonWord(value: unknown, type = ''): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return type.startsWith('int') ? `number ${value}` : 'number';
  return value === null ? 'null' : typeof value;
}

/** `core/v1.Container` -> `v1.Container`. */
function goName(base: string): string {
  return base.includes('/') ? base.slice(base.indexOf('/') + 1) : base;
}
