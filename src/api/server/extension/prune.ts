import type { StrictErrors } from '../../kinds/decode/strict-errors.ts';
import { readTyped } from '../../kinds/decode/typed.ts';
import { cloneJson, isObject, type JsonObject, setField } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { Schema } from '../../kinds/schema/schema.ts';
import { badRequest } from '../status.ts';

/** A private copy of a custom object with what its structural schema does not know taken out (and told). */
export function prune(object: UnknownObject, schema: Schema, errors: StrictErrors): UnknownObject {
  const { apiVersion, kind, metadata, ...rest } = object;
  const read = readTyped(metadata, 'meta/v1.ObjectMeta', errors);
  if (!read.ok) throw badRequest(`${kind} cannot be handled as a ${kind}: ${read.message}`);
  const body = pruneObject(rest, schema, '', errors);
  return { apiVersion, kind, metadata: read.object, ...body } as unknown as UnknownObject;
}

function pruneValue(value: unknown, schema: Schema | undefined, path: string, errors: StrictErrors): unknown {
  if (!schema) return cloneJson(value);
  if (Array.isArray(value)) {
    const items = schema.items();
    return value.map((item, index) => pruneValue(item, items, `${path}[${index}]`, errors));
  }
  return isObject(value) ? pruneObject(value, schema, path, errors) : value;
}

function pruneObject(value: JsonObject, schema: Schema, path: string, errors: StrictErrors): JsonObject {
  const result: JsonObject = {};
  for (const name of Object.keys(value)) {
    const field = schema.field(name);
    const at = path ? `${path}.${name}` : name;
    if (field) setField(result, name, pruneValue(value[name], field, at, errors));
    else if (schema.preserveUnknown) setField(result, name, cloneJson(value[name]));
    else errors.unknownField(at);
  }
  return result;
}
