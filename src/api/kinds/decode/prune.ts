import { isObject, type JsonObject, setField } from '../json-value.ts';
import type { Schema } from '../schema/schema.ts';
import type { StrictErrors } from './strict-errors.ts';

/** Fields every embedded resource may carry, whatever its schema says. */
const RESOURCE_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/**
 * A copy of custom resource data without the fields its schema does not know; each is told. Types are not
 * looked at: that is validation's part. The data's depth is bounded by the parser.
 */
export function pruneBySchema(value: unknown, schema: Schema, errors: StrictErrors, path = ''): unknown {
  if (Array.isArray(value)) {
    const items = schema.items();
    if (!items) return value;
    return value.map((one: unknown, index) => pruneBySchema(one, items, errors, `${path}[${index}]`));
  }
  if (!isObject(value)) return value;
  const pruned: JsonObject = {};
  for (const key of Object.keys(value)) {
    const at = path ? `${path}.${key}` : key;
    const field = schema.field(key);
    if (field) setField(pruned, key, pruneBySchema(value[key], field, errors, at));
    else if (schema.preserveUnknown || (schema.embedded && RESOURCE_FIELDS.has(key)))
      setField(pruned, key, value[key]);
    else errors.unknownField(at);
  }
  return pruned;
}
