import { cloneJson, isObject, type JsonObject, setField } from '../json-value.ts';

/**
 * Fills what the schema defaults, deeply; a null where the field is not nullable counts as absent and goes away.
 * Mutates `value`.
 */
export function applySchemaDefaults(value: unknown, schema: unknown): void {
  if (!isObject(schema)) return;
  if (Array.isArray(value)) {
    for (const one of value as unknown[]) applySchemaDefaults(one, schema['items']);
    return;
  }
  if (!isObject(value)) return;
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  for (const [name, child] of Object.entries(properties)) {
    if (isObject(child)) defaultField(value, name, child);
  }
  const others = schema['additionalProperties'];
  if (!isObject(others)) return;
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(properties, name)) applySchemaDefaults(value[name], others);
  }
}

function defaultField(parent: JsonObject, name: string, schema: JsonObject): void {
  const has = Object.hasOwn(parent, name);
  if (has && parent[name] === null && schema['nullable'] !== true) delete parent[name];
  if (!Object.hasOwn(parent, name) && schema['default'] !== undefined) {
    setField(parent, name, cloneJson(schema['default']));
  }
  if (Object.hasOwn(parent, name)) applySchemaDefaults(parent[name], schema);
}
