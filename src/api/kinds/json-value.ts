/** Any JSON object whose fields are not known. */
export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value as an object, or an empty one that is not attached to anything. */
export function objectAt(parent: unknown, field: string): JsonObject {
  const value = isObject(parent) ? parent[field] : undefined;
  return isObject(value) ? value : {};
}

/** The array under a field; not an array = empty. */
export function arrayAt(parent: unknown, field: string): unknown[] {
  const value = isObject(parent) ? parent[field] : undefined;
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** The elements of the array under a field that are objects. */
export function objectsAt(parent: unknown, field: string): JsonObject[] {
  return arrayAt(parent, field).filter(isObject);
}

export function stringAt(parent: unknown, field: string): string {
  const value = isObject(parent) ? parent[field] : undefined;
  return typeof value === 'string' ? value : '';
}

export function numberAt(parent: unknown, field: string): number | undefined {
  const value = isObject(parent) ? parent[field] : undefined;
  return typeof value === 'number' ? value : undefined;
}

/** The object under a field, created when absent. Undefined when something else is there. */
export function ensureObject(parent: JsonObject, field: string): JsonObject | undefined {
  parent[field] ??= {};
  const value = parent[field];
  return isObject(value) ? value : undefined;
}

/** Scalars as text, everything else as JSON, absent as ''. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined || value === null ? '' : JSON.stringify(value);
}

/** Sets a default: only where nothing, null or the empty string is. */
export function setDefault(parent: JsonObject, field: string, value: unknown): void {
  const now = parent[field];
  if (now === undefined || now === null || now === '') parent[field] = value;
}

/** Assignment that is safe for the key `__proto__`, which a plain one would take for the prototype. */
export function setField(target: JsonObject, field: string, value: unknown): void {
  if (field !== '__proto__') target[field] = value;
  else Object.defineProperty(target, field, { value, writable: true, enumerable: true, configurable: true });
}

/** Value at a dotted path of plain field names. */
export function valueAt(object: unknown, path: string): unknown {
  let at = object;
  for (const field of path.split('.')) {
    if (!isObject(at) || !Object.hasOwn(at, field)) return undefined;
    at = at[field];
  }
  return at;
}

/** Deep copy of JSON data. Depth is bounded by the decoder that made it. */
export function cloneJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map((one) => cloneJson(one as unknown)) as T;
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) setField(copy, key, cloneJson(value[key]));
  return copy as T;
}

/** Equality of JSON data; absent and undefined fields are the same, order of keys does not matter. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((one, i) => equalJson(one, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a).filter((key) => a[key] !== undefined);
  const others = Object.keys(b).filter((key) => b[key] !== undefined);
  return (
    keys.length === others.length && keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key], b[key]))
  );
}
