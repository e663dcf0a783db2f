import { RESERVED } from '../tokens.ts';
import { type CelType, listOf, mapOf, STRING, structOf } from './type.ts';

/** A type with what its schema says of sizes: what costs are estimated from. */
export interface ValueType {
  readonly type: CelType;
  /** Most characters, bytes, items or entries; 0 for other values. */
  readonly maxSize: number;
  /** Fewest bytes of such a value as JSON. */
  readonly minBytes: number;
  /** Of an object, by the name expressions use. */
  readonly fields?: ReadonlyMap<string, ValueType>;
  /** Item of a list, value of a map. */
  readonly item?: ValueType;
}

/** Largest body of a request, which bounds what a schema leaves open. */
export const REQUEST_MAX_BYTES = 3 * 1024 * 1024;

const KEY: ValueType = { type: STRING, maxSize: 0, minBytes: 2 };

/** What lies below a value: a field by name, `@items`, `@values` or `@keys`; undefined when nothing is known. */
export function below({ type, fields, item }: ValueType, step: string): ValueType | undefined {
  if (step === '@items' || step === '@values') return item;
  if (step === '@keys') return type.kind === 'map' ? KEY : undefined;
  return fields?.get(step);
}

export const scalarValue = (type: CelType, minBytes: number, maxSize = 0): ValueType => ({
  type,
  maxSize,
  minBytes,
});

export const listValue = (item: ValueType, maxSize: number): ValueType => ({
  type: listOf(item.type),
  maxSize,
  minBytes: 2,
  item,
});

export const mapValue = (item: ValueType, maxSize: number): ValueType => ({
  type: mapOf(STRING, item.type),
  maxSize,
  minBytes: 2,
  item,
});

export function objectValue(
  name: string,
  fields: ReadonlyMap<string, ValueType>,
  minBytes: number,
): ValueType {
  const types = new Map(Array.from(fields, ([field, value]) => [field, value.type]));
  // A keyword behind a dot is a name, too: `self.namespace` beside `self.__namespace__`.
  for (const [field, { type }] of fields) {
    const keyword = /^__([a-z]+)__$/.exec(field)?.[1] ?? '';
    if (RESERVED.has(keyword) && !types.has(keyword)) types.set(keyword, type);
  }
  return { type: structOf(name, types), maxSize: 0, minBytes, fields };
}
