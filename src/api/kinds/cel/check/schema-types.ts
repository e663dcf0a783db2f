import { arrayAt, isObject, type JsonObject, numberAt, stringAt } from '../../json-value.ts';
import { RESERVED } from '../tokens.ts';
import { BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP } from './type.ts';
import {
  listValue,
  mapValue,
  objectValue,
  REQUEST_MAX_BYTES,
  scalarValue,
  type ValueType,
} from './value-type.ts';

/** Bytes of times and durations as JSON (RFC 3339 section 5.6). */
const DATE_BYTES = 12;
const TIME_BYTES = { min: 21, max: 32 };
const DURATION_BYTES = { min: 3, max: 32 };
/** UTF-8 bytes of one character. */
const CHARACTER_MAX_BYTES = 4;
const META: JsonObject = {
  type: 'object',
  properties: { name: { type: 'string' }, generateName: { type: 'string' } },
};

/**
 * The type expressions see of a structural schema (KEP-2876); undefined for places they do not see, such as objects
 * of unknown fields. `root` has apiVersion, kind and two names of metadata, whatever the schema says about them.
 * @param name of the type in messages
 */
export function schemaType(schema: JsonObject, name: string, root: boolean): ValueType | undefined {
  if (schema['x-kubernetes-int-or-string'] === true) {
    return scalarValue(DYN, 1, maxCharacters(schema) ?? REQUEST_MAX_BYTES - 2);
  }
  switch (stringAt(schema, 'type')) {
    case 'array':
      return arrayType(schema, name);
    case 'object':
      return isObject(schema['additionalProperties'])
        ? mapType(schema, schema['additionalProperties'], name)
        : objectType(schema, name, root);
    case 'string':
      return stringType(schema);
    case 'boolean':
      return scalarValue(BOOL, 4);
    case 'number':
      return scalarValue(DOUBLE, 1);
    case 'integer':
      return scalarValue(INT, 1);
    default:
      return undefined;
  }
}

const embedded = (schema: JsonObject): boolean => schema['x-kubernetes-embedded-resource'] === true;

function arrayType(schema: JsonObject, name: string): ValueType | undefined {
  const { items } = schema;
  const item = isObject(items) ? schemaType(items, `${name}.@idx`, embedded(items)) : undefined;
  if (!item) return undefined;
  const most = Math.floor((REQUEST_MAX_BYTES - 2) / (item.minBytes + 1));
  return listValue(item, limit(schema, 'maxItems') ?? most);
}

function mapType(schema: JsonObject, values: JsonObject, name: string): ValueType | undefined {
  const item = schemaType(values, `${name}.@elem`, embedded(values));
  if (!item) return undefined;
  // A key of no characters with its quotes, colon and comma, and two braces.
  const most = Math.floor((REQUEST_MAX_BYTES - 2) / (item.minBytes + 6));
  return mapValue(item, limit(schema, 'maxProperties') ?? most);
}

function objectType(schema: JsonObject, name: string, root: boolean): ValueType {
  const declared = isObject(schema['properties']) ? schema['properties'] : {};
  const text = { type: 'string' };
  const properties =
    root && !hasMeta(declared) ? { ...declared, kind: text, apiVersion: text, metadata: META } : declared;
  const required = new Set(arrayAt(schema, 'required'));
  const fields = new Map<string, ValueType>();
  let minBytes = 2;
  for (const [field, child] of Object.entries(properties)) {
    if (!isObject(child)) continue;
    const escaped = escapedField(field);
    const value = schemaType(child, `${name}.${escaped ?? field}`, embedded(child));
    if (!value) continue;
    if (escaped !== undefined) fields.set(escaped, value);
    if (required.has(field) && child['default'] === undefined) minBytes += field.length + value.minBytes + 4;
  }
  return objectValue(name, fields, minBytes);
}

/** Whether the schema itself declares what every object has. */
function hasMeta(properties: JsonObject): boolean {
  const { metadata } = properties;
  const names = isObject(metadata) && isObject(metadata['properties']) ? metadata['properties'] : undefined;
  const isString = (one: unknown): boolean => stringAt(one, 'type') === 'string';
  return (
    isString(properties['kind']) &&
    isString(properties['apiVersion']) &&
    stringAt(metadata, 'type') === 'object' &&
    isString(names?.['name']) &&
    isString(names?.['generateName'])
  );
}

function stringType(schema: JsonObject): ValueType {
  const characters = maxCharacters(schema);
  switch (stringAt(schema, 'format')) {
    case 'byte':
      return scalarValue(BYTES, 2, limit(schema, 'maxLength') ?? REQUEST_MAX_BYTES - 2);
    case 'duration':
      return scalarValue(DURATION, DURATION_BYTES.min, DURATION_BYTES.max);
    case 'date':
      return scalarValue(TIMESTAMP, DATE_BYTES, DATE_BYTES);
    case 'date-time':
      return scalarValue(TIMESTAMP, TIME_BYTES.min, TIME_BYTES.max);
    default:
      return scalarValue(STRING, 2, characters ?? longestEnum(schema) ?? REQUEST_MAX_BYTES - 2);
  }
}

function longestEnum(schema: JsonObject): number | undefined {
  const values = arrayAt(schema, 'enum');
  if (values.length === 0) return undefined;
  return Math.max(0, ...values.map((one) => (typeof one === 'string' ? Buffer.byteLength(one) : 0)));
}

function limit(schema: JsonObject, field: string): number | undefined {
  const most = numberAt(schema, field);
  return most === undefined ? undefined : Math.max(0, most);
}

/** In bytes: what requests are measured in. */
function maxCharacters(schema: JsonObject): number | undefined {
  const most = limit(schema, 'maxLength');
  return most === undefined ? undefined : most * CHARACTER_MAX_BYTES;
}

const KEYWORDS: ReadonlySet<string> = new Set([...RESERVED, 'true', 'false', 'null', 'in']);
const ESCAPES: Readonly<Record<string, string>> = {
  __: '__underscores__',
  '.': '__dot__',
  '-': '__dash__',
  '/': '__slash__',
};

/** How expressions write the name of a field; undefined when they cannot. */
export function escapedField(name: string): string | undefined {
  if (KEYWORDS.has(name)) return `__${name}__`;
  if (!/^[a-zA-Z_./-][a-zA-Z0-9_./-]*$/.test(name)) return undefined;
  return name.replace(/__|[-./]/g, (one) => ESCAPES[one] ?? one);
}
