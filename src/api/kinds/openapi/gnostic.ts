import { Buffer } from 'node:buffer';
import { arrayAt, isObject, type JsonObject, objectAt, stringAt } from '../json-value.ts';

/**
 * OpenAPI v2 as the protobuf message openapi.v2.Document (gnostic OpenAPIv2.proto), which clients before 1.27 read:
 * what kubectl needs of it, no more.
 */
export function encodeOpenApiV2(document: JsonObject): Buffer {
  const info = objectAt(document, 'info');
  return Buffer.concat([
    text(1, stringAt(document, 'swagger')),
    message(2, [text(1, stringAt(info, 'title')), text(2, stringAt(info, 'version'))]),
    message(
      8,
      Object.entries(objectAt(document, 'paths')).map(([path, item]) => named(2, path, pathItem(item))),
    ),
    message(
      9,
      Object.entries(objectAt(document, 'definitions')).map(([name, one]) => named(1, name, schema(one))),
    ),
  ]);
}

const METHODS: Readonly<Record<string, number>> = { get: 2, put: 3, post: 4, delete: 5, patch: 8 };

function pathItem(item: unknown): Buffer[] {
  return Object.entries(METHODS).flatMap(([method, number]) => {
    const operation = objectAt(item, method);
    return Object.keys(operation).length > 0 ? [message(number, operationParts(operation))] : [];
  });
}

function operationParts(operation: JsonObject): Buffer[] {
  return [
    ...texts(1, arrayAt(operation, 'tags')),
    text(5, stringAt(operation, 'operationId')),
    ...texts(7, arrayAt(operation, 'consumes')),
    ...arrayAt(operation, 'parameters').map((one) => message(8, [message(1, parameter(one))])),
    message(9, []),
    ...extensions(13, operation),
  ];
}

function parameter(source: unknown): Buffer[] {
  if (stringAt(source, 'in') === 'body') {
    const body = [
      text(2, stringAt(source, 'name')),
      text(3, 'body'),
      message(5, schema(objectAt(source, 'schema'))),
    ];
    return [message(1, body)];
  }
  const query = [text(2, 'query'), text(4, stringAt(source, 'name')), text(6, stringAt(source, 'type'))];
  return [message(2, [message(3, query)])];
}

function schema(source: unknown): Buffer[] {
  if (!isObject(source)) return [];
  const values = source['additionalProperties'];
  const { items } = source;
  const type = stringAt(source, 'type');
  const properties = Object.entries(objectAt(source, 'properties'));
  return [
    text(1, stringAt(source, '$ref')),
    text(2, stringAt(source, 'format')),
    text(4, stringAt(source, 'description')),
    ...texts(19, arrayAt(source, 'required')),
    ...(isObject(values) ? [message(21, [message(1, schema(values))])] : []),
    ...(type ? [message(22, [text(1, type)])] : []),
    ...(isObject(items) ? [message(23, [message(1, schema(items))])] : []),
    ...(properties.length > 0
      ? [
          message(
            25,
            properties.map(([name, one]) => named(1, name, schema(one))),
          ),
        ]
      : []),
    ...extensions(31, source),
  ];
}

/** `x-…` members as NamedAny, their values as YAML; JSON is YAML. */
function extensions(number: number, source: JsonObject): Buffer[] {
  return Object.entries(source)
    .filter(([name]) => name.startsWith('x-'))
    .map(([name, value]) => named(number, name, [text(2, `${JSON.stringify(value)}\n`)]));
}

/** A repeated Named…: the key is 1, the value 2. */
function named(number: number, name: string, value: readonly Buffer[]): Buffer {
  return message(number, [text(1, name), message(2, value)]);
}

const LENGTH_DELIMITED = 2;
const NOTHING = Buffer.alloc(0);

function text(number: number, value: string): Buffer {
  return value === '' ? NOTHING : field(number, Buffer.from(value, 'utf8'));
}

function texts(number: number, values: readonly unknown[]): Buffer[] {
  return values.filter((one) => typeof one === 'string').map((one) => text(number, one));
}

function message(number: number, parts: readonly Buffer[]): Buffer {
  return field(number, Buffer.concat(parts));
}

function field(number: number, body: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + LENGTH_DELIMITED), varint(body.length), body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
