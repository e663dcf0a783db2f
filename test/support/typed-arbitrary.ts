import fc from 'fast-check';
import { isTypeName, type TypeField, typeInfo } from '../../src/api/kinds/schema/type-table.ts';

/** Types that refer to themselves (JSON schemas) stop here. */
const MAX_DEPTH = 7;

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const time = fc
  .integer({ min: 0, max: 4_000_000_000 })
  .map((seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`);

const SCALARS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  string: fc.oneof(word, fc.string()),
  duration: word,
  bool: fc.boolean(),
  int: fc.integer(),
  int32: fc.integer(),
  int64: fc.maxSafeInteger(),
  float64: fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => (Object.is(one, -0) ? 0 : one)),
  bytes: fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  time,
  microtime: fc.tuple(time, fc.integer({ min: 0, max: 999_999 })).map(([text, micros]) => {
    return `${text.slice(0, -1)}.${String(micros).padStart(6, '0')}Z`;
  }),
  quantity: fc.oneof(
    fc.integer({ min: 0, max: 1_000_000 }).map(String),
    fc.integer({ min: 1, max: 999 }).map((one) => `${one}m`),
    fc.integer({ min: 1, max: 1023 }).map((one) => `${one}Mi`),
  ),
  intstr: fc.oneof(fc.integer({ min: 0, max: 70_000 }), word, fc.constant('25%')),
  stringlist: fc.array(word, { maxLength: 2 }),
  fieldsv1: fc.constant({ 'f:spec': {} }),
  rawextension: fc.constant({ apiVersion: 'v1', kind: 'X' }),
  rawjson: fc.oneof(fc.integer(), word, fc.constant({ a: [1, null] })),
  schemaorbool: fc.boolean(),
  schemaorarray: fc.array(fc.constant({ type: 'string' }), { minLength: 1, maxLength: 2 }),
  schemaorstrings: fc.array(word, { minLength: 1, maxLength: 2 }),
};

/** JSON data of a built-in type with every field possible, few of them at a time. */
export function typedArbitrary(name: string, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const fields = [...(typeInfo(name)?.fields.values() ?? [])].filter(
    (field) => field.number > 0 && !(isTypeName(field.base) && depth >= MAX_DEPTH),
  );
  if (fields.length === 0) return fc.constant({});
  const count = depth === 0 ? fields.length : Math.min(fields.length, 4);
  return fc
    .shuffledSubarray(fields, { minLength: 0, maxLength: count })
    .chain((chosen) =>
      fc.record(Object.fromEntries(chosen.map((field) => [field.name, fieldArbitrary(field, depth)]))),
    );
}

function fieldArbitrary(field: TypeField, depth: number): fc.Arbitrary<unknown> {
  const one = isTypeName(field.base)
    ? fc.constant(null).chain(() => typedArbitrary(field.base, depth + 1))
    : (SCALARS[field.base] ?? fc.constant({}));
  // An empty list that JSON would show has no form on the protobuf wire: it is absent there, upstream too.
  const least = field.omitEmpty ? 0 : 1;
  if (field.list) return fc.array(one, { minLength: least, maxLength: 2 });
  if (field.map) return fc.dictionary(word, one, { minKeys: least, maxKeys: 2, noNullPrototype: true });
  return one;
}
