import { duplicate, type FieldError } from '../field-error.ts';
import { arrayAt, isObject, type JsonObject } from '../json-value.ts';

/** Sets have no equal items, maps no two items with the same keys. */
export function listTypeErrors(
  { value, path }: { readonly value: unknown; readonly path: string },
  schema: JsonObject,
): FieldError[] {
  const listType = schema['x-kubernetes-list-type'];
  if (!Array.isArray(value) || (listType !== 'set' && listType !== 'map')) return [];
  const keyOf = listType === 'set' ? (item: unknown) => item : (item: unknown) => keysOf(item, schema);
  const seen = new Set<string>();
  const errors: FieldError[] = [];
  for (const [index, item] of (value as unknown[]).entries()) {
    const key = keyOf(item);
    const text = canonical(key);
    if (seen.has(text)) errors.push(duplicate(`${path}[${index}]`, key));
    seen.add(text);
  }
  return errors;
}

function keysOf(item: unknown, schema: JsonObject): JsonObject {
  const keys: JsonObject = {};
  for (const name of arrayAt(schema, 'x-kubernetes-list-map-keys')) {
    if (typeof name === 'string' && isObject(item) && item[name] !== undefined) keys[name] = item[name];
  }
  return keys;
}

/** JSON with sorted fields: equal values have equal texts. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${(value as unknown[]).map(canonical).join()}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? 'null';
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
}
