/** Writes JSON data of a built-in type as the protobuf message a Go client would send. */
import { isObject, type JsonObject } from '../../src/api/kinds/json-value.ts';
import { isTypeName, type TypeField, typeInfo } from '../../src/api/kinds/schema/type-table.ts';

export function encodeEnvelope(apiVersion: string, kind: string, raw: Uint8Array): Uint8Array {
  const typeMeta = Buffer.concat([bytesField(1, text(apiVersion)), bytesField(2, text(kind))]);
  return Buffer.concat([Buffer.from('k8s\0'), bytesField(1, typeMeta), bytesField(2, raw)]);
}

export function encodeMessage(value: JsonObject, name: string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [number, field] of typeInfo(name)?.wire ?? []) {
    if (field.name === '') {
      parts.push(bytesField(number, encodeMessage(value, field.base)));
      continue;
    }
    const one = value[field.name];
    if (one === undefined) continue;
    if (field.map) parts.push(...encodeMap(number, field, one as JsonObject));
    else if (field.list)
      for (const item of one as unknown[]) parts.push(encodeField(number, field.base, item));
    else parts.push(encodeField(number, field.base, one));
  }
  return Buffer.concat(parts);
}

function encodeMap(number: number, field: TypeField, map: JsonObject): Uint8Array[] {
  return Object.entries(map).map(([key, value]) =>
    bytesField(number, Buffer.concat([bytesField(1, text(key)), encodeField(2, field.base, value)])),
  );
}

function encodeField(number: number, base: string, value: unknown): Uint8Array {
  if (base === 'bool') return varintField(number, value ? 1n : 0n);
  if (base === 'int' || base === 'int32' || base === 'int64')
    return varintField(number, BigInt(value as number));
  if (base === 'float64') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value as number);
    return Buffer.concat([varint(BigInt(number * 8 + 1)), bytes]);
  }
  return bytesField(number, encodeBytes(base, value));
}

function encodeBytes(base: string, value: unknown): Uint8Array {
  if (isTypeName(base)) return encodeMessage(value as JsonObject, base);
  switch (base) {
    case 'bytes':
      return Buffer.from(value as string, 'base64');
    case 'time':
    case 'microtime':
      return encodeTime(value as string);
    case 'quantity':
      return bytesField(1, text(value as string));
    case 'intstr':
      return typeof value === 'number'
        ? Buffer.concat([varintField(1, 0n), varintField(2, BigInt(value))])
        : Buffer.concat([varintField(1, 1n), bytesField(3, text(value as string))]);
    case 'stringlist':
      return Buffer.concat((value as string[]).map((one) => bytesField(1, text(one))));
    case 'schemaorbool':
    case 'schemaorarray':
    case 'schemaorstrings':
      return encodeSchemaOr(value);
    case 'fieldsv1':
    case 'rawextension':
    case 'rawjson':
      return bytesField(1, text(JSON.stringify(value)));
    default:
      return text(value as string);
  }
}

function encodeSchemaOr(value: unknown): Uint8Array {
  const schema = (one: unknown): Uint8Array =>
    encodeMessage(one as JsonObject, 'apiextensions/v1.JSONSchemaProps');
  if (typeof value === 'boolean') return varintField(1, value ? 1n : 0n);
  if (Array.isArray(value)) {
    return Buffer.concat(
      value.map((one) => bytesField(2, isObject(one) ? schema(one) : text(one as string))),
    );
  }
  return bytesField(1, schema(value));
}

function encodeTime(value: string): Uint8Array {
  const seconds = BigInt(Math.floor(Date.parse(value) / 1000));
  const nanos = BigInt((/\.(\d+)/.exec(value)?.[1] ?? '').padEnd(9, '0').slice(0, 9) || 0);
  return Buffer.concat([varintField(1, seconds), varintField(2, nanos)]);
}

function bytesField(number: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([varint(BigInt(number * 8 + 2)), varint(BigInt(bytes.length)), bytes]);
}

function varintField(number: number, value: bigint): Uint8Array {
  return Buffer.concat([varint(BigInt(number * 8)), varint(value)]);
}

function varint(value: bigint): Uint8Array {
  let rest = BigInt.asUintN(64, value);
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function text(value: string): Uint8Array {
  return Buffer.from(value, 'utf8');
}
