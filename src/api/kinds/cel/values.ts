import { timeMs } from '../decode/time.ts';
import { isObject } from '../json-value.ts';
import type { Schema } from '../schema/schema.ts';
import { parseDurationMs } from './durations.ts';

export class CelTimestamp {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

export class CelDuration {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

export class CelType {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

export class CelOptional {
  readonly value: CelValue | undefined;
  constructor(value: CelValue | undefined) {
    this.value = value;
  }
}

/** Values of Kubernetes' own libraries. */
export class CelOpaque {
  readonly type:
    | 'kubernetes.URL'
    | 'net.IP'
    | 'net.CIDR'
    | 'kubernetes.Quantity'
    | 'kubernetes.Semver'
    | 'kubernetes.NamedFormat'
    | `kubernetes.authorization.${'Authorizer' | 'PathCheck' | 'GroupCheck' | 'ResourceCheck' | 'Decision'}`;
  /** What values of one type are equal by. */
  readonly text: string;
  /** Known to the library of the type. */
  readonly data: unknown;
  constructor(type: CelOpaque['type'], text: string, data: CelOpaque['data']) {
    this.type = type;
    this.text = text;
    this.data = data;
  }
}

export type CelKey = string | bigint | boolean | number;
export type CelMap = ReadonlyMap<CelKey, CelValue>;

/** int is bigint, double is number; unsigned integers are taken for ints. */
export type CelValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | readonly CelValue[]
  | CelMap
  | CelTimestamp
  | CelDuration
  | CelType
  | CelOptional
  | CelOpaque;

const SCALARS: Readonly<Record<string, string>> = {
  boolean: 'bool',
  bigint: 'int',
  number: 'double',
  string: 'string',
};

export function typeName(value: CelValue): string {
  const scalar = SCALARS[typeof value];
  if (scalar !== undefined) return scalar;
  if (value === null) return 'null_type';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'map';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof CelTimestamp) return 'google.protobuf.Timestamp';
  if (value instanceof CelDuration) return 'google.protobuf.Duration';
  if (value instanceof CelType) return 'type';
  if (value instanceof CelOptional) return 'optional_type';
  return value instanceof CelOpaque ? value.type : 'dyn';
}

/** JSON data as CEL sees it; the schema decides between int and double, text and time. */
export function celFromJson(value: unknown, schema?: Schema): CelValue {
  if (typeof value === 'string') return textValue(value, schema);
  if (typeof value === 'number') {
    return schema?.type === 'number' || !Number.isInteger(value) ? value : BigInt(value);
  }
  if (typeof value === 'boolean') return value;
  if (Array.isArray(value)) {
    const items = schema?.items();
    return (value as unknown[]).map((one) => celFromJson(one, items));
  }
  if (!isObject(value)) return null;
  const map = new Map<CelKey, CelValue>();
  for (const [name, item] of Object.entries(value)) {
    if (item !== undefined) map.set(name, celFromJson(item, schema?.field(name)));
  }
  return map;
}

function textValue(text: string, schema: Schema | undefined): CelValue {
  const format = schema?.type === 'string' ? (schema.format ?? '') : '';
  switch (format) {
    case 'date-time':
    case 'date': {
      const ms = timeMs(text) ?? Date.parse(text);
      return Number.isNaN(ms) ? text : new CelTimestamp(ms);
    }
    case 'duration': {
      const ms = parseDurationMs(text);
      return ms === undefined ? text : new CelDuration(ms);
    }
    case 'byte':
      return Buffer.from(text, 'base64');
    default:
      return text;
  }
}

/** CEL data as JSON, for parameters and messages; opaque values as their text. */
export function jsonFromCel(value: CelValue): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return (value as readonly CelValue[]).map(jsonFromCel);
  if (value instanceof Map) {
    return Object.fromEntries(Array.from(value as CelMap, ([key, item]) => [String(key), jsonFromCel(item)]));
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof CelTimestamp) return new Date(value.ms).toISOString();
  if (value instanceof CelDuration) return `${value.ms / 1000}s`;
  if (value instanceof CelOpaque) return value.text;
  if (value instanceof CelOptional) return value.value === undefined ? null : jsonFromCel(value.value);
  return value instanceof CelType ? value.name : value;
}

/** Steps that looking at the whole value takes. */
export function sizeOf(value: CelValue): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return 1 + value.length / 10;
  if (Array.isArray(value)) {
    let total = 1;
    for (const one of value as readonly CelValue[]) total += sizeOf(one);
    return total;
  }
  if (!(value instanceof Map)) return 1;
  let total = 1;
  for (const item of (value as CelMap).values()) total += 1 + sizeOf(item);
  return total;
}
