import { isObject, type JsonObject } from '../json-value.ts';

const STEP = /\.([^.[\]]+)|\[('(?:[^'\\]|\\.)*')\]/y;

/** The schema a rule's fieldPath (`.spec.x`, `.labels['a.b']`) leads to from that of the rule; undefined if none. */
export function fieldAt(schema: JsonObject, path: string): JsonObject | undefined {
  let found: JsonObject | undefined = schema;
  STEP.lastIndex = 0;
  for (let at = 0; at < path.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const step = STEP.exec(path);
    if (!step || !found) return undefined;
    const [, name, quoted] = step;
    found = childOf(found, name ?? quoted?.slice(1, -1).replace(/\\(.)/g, '$1') ?? '');
  }
  return found;
}

function childOf(schema: JsonObject, name: string): JsonObject | undefined {
  const { properties, additionalProperties } = schema;
  const child = isObject(properties) ? properties[name] : additionalProperties;
  return isObject(child) ? child : undefined;
}
