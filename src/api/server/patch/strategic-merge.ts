import { cloneJson, equalJson, isObject, type JsonObject, setField } from '../../kinds/json-value.ts';
import type { Schema } from '../../kinds/schema/schema.ts';
import { badRequest } from '../status.ts';

/**
 * Strategic merge patch, as kubectl sends it: like a JSON merge patch, but lists that declare a merge key are
 * merged item by item, and directives say what a plain merge cannot
 * (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/f`, `$setElementOrder/f`).
 */
export function applyStrategicMerge(document: unknown, patch: unknown, schema: Schema): unknown {
  if (!isObject(patch)) throw badRequest('error decoding patch: a strategic merge patch is an object');
  return mergeObject(isObject(document) ? cloneJson(document) : {}, patch, schema);
}

const DIRECTIVE = '$patch';
const RETAIN_KEYS = '$retainKeys';
const DELETE_FROM = '$deleteFromPrimitiveList/';
const SET_ORDER = '$setElementOrder/';

/** Changes and returns `original`, which is private. */
function mergeObject(original: JsonObject, patch: JsonObject, schema: Schema | undefined): JsonObject {
  const directive = patch[DIRECTIVE];
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') {
    throw badRequest(`Unknown patch type found: ${JSON.stringify(directive)}`);
  }
  retainKeys(original, patch);
  const before = new Map<string, readonly unknown[]>();
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(SET_ORDER)) continue;
    const list = original[key.slice(SET_ORDER.length)];
    if (Array.isArray(list)) before.set(key, [...(list as unknown[])]);
  }
  for (const key of Object.keys(patch)) {
    if (key.startsWith(DELETE_FROM)) deleteFromList(original, key.slice(DELETE_FROM.length), patch[key]);
  }
  for (const key of Object.keys(patch)) {
    if (key !== DIRECTIVE && key !== RETAIN_KEYS && !isListDirective(key)) {
      mergeField(original, key, patch[key], schema?.field(key));
    }
  }
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(SET_ORDER)) continue;
    const name = key.slice(SET_ORDER.length);
    reorder(original, name, patch[key], before.get(key) ?? [], schema?.field(name)?.patchMergeKey);
  }
  return original;
}

const isListDirective = (key: string): boolean => key.startsWith(DELETE_FROM) || key.startsWith(SET_ORDER);

function retainKeys(original: JsonObject, patch: JsonObject): void {
  const keep = patch[RETAIN_KEYS];
  if (keep === undefined) return;
  if (!Array.isArray(keep)) throw badRequest('invalid patch format of retainKeys');
  const names = new Set(keep as unknown[]);
  for (const key of Object.keys(patch)) {
    if (!key.startsWith('$') && patch[key] !== null && !names.has(key)) {
      throw badRequest('patch contains fields not present in the $retainKeys list');
    }
  }
  for (const key of Object.keys(original)) if (!names.has(key)) delete original[key];
}

function deleteFromList(original: JsonObject, name: string, values: unknown): void {
  if (!Array.isArray(values)) throw badRequest('invalid patch format of primitive list');
  const list = original[name];
  if (!Array.isArray(list)) return;
  original[name] = (list as unknown[]).filter((item) => !values.some((value) => equalJson(value, item)));
}

function mergeField(original: JsonObject, key: string, value: unknown, schema: Schema | undefined): void {
  if (value === null) {
    delete original[key];
    return;
  }
  const current = Object.hasOwn(original, key) ? original[key] : undefined;
  const replaces = schema?.patchStrategy.includes('replace') === true;
  if (isObject(value)) {
    if (value[DIRECTIVE] === 'delete') delete original[key];
    else if (!isObject(current) || replaces) setField(original, key, withoutDirectives(value));
    else setField(original, key, mergeObject(current, value, schema));
    return;
  }
  if (Array.isArray(value) && Array.isArray(current) && schema?.patchStrategy.includes('merge')) {
    setField(original, key, mergeList(current as unknown[], value as unknown[], schema));
    return;
  }
  setField(original, key, withoutDirectives(value));
}

function mergeList(current: unknown[], patch: readonly unknown[], schema: Schema): unknown[] {
  const { patchMergeKey: mergeKey } = schema;
  if (!mergeKey || !patch.every(isObject)) return mergeScalars(current, patch);
  if (patch.some((item) => isObject(item) && item[DIRECTIVE] === 'replace')) {
    return patch
      .filter((item) => !(isObject(item) && item[DIRECTIVE] === 'replace' && Object.keys(item).length === 1))
      .map(withoutDirectives);
  }
  let result = current;
  for (const item of patch) {
    if (!isObject(item)) continue;
    const key = item[mergeKey];
    if (key === undefined) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
    }
    const index = result.findIndex((other) => isObject(other) && equalJson(other[mergeKey], key));
    if (item[DIRECTIVE] === 'delete') {
      result = result.filter((other) => !(isObject(other) && equalJson(other[mergeKey], key)));
    } else if (index < 0) {
      result.push(withoutDirectives(item));
    } else {
      result[index] = mergeObject(result[index] as JsonObject, item, schema.items());
    }
  }
  return result;
}

function mergeScalars(current: readonly unknown[], patch: readonly unknown[]): unknown[] {
  const result = [...current];
  for (const item of patch) {
    if (!result.some((other) => equalJson(other, item))) result.push(cloneJson(item));
  }
  return result;
}

/** A private copy without directives and nulls, for what the original does not have yet. */
function withoutDirectives<T>(value: T): T {
  if (Array.isArray(value)) {
    return value
      .filter((item) => !(isObject(item) && item[DIRECTIVE] === 'delete'))
      .map((item) => withoutDirectives<unknown>(item)) as T;
  }
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) {
    const item = value[key];
    if (key === DIRECTIVE || key === RETAIN_KEYS || isListDirective(key) || item === null) continue;
    setField(copy, key, withoutDirectives(item));
  }
  return copy as T;
}

/**
 * Items named by the order come in that order; the others keep their place relative to their old neighbours.
 * Both orders win over the order of the live list.
 */
function reorder(
  original: JsonObject,
  name: string,
  order: unknown,
  before: readonly unknown[],
  mergeKey: string | undefined,
): void {
  const list = original[name];
  if (!Array.isArray(list) || !Array.isArray(order)) return;
  const keyOf = (item: unknown): string =>
    JSON.stringify(mergeKey && isObject(item) ? (item[mergeKey] ?? null) : (item ?? null));
  const wanted = new Map((order as unknown[]).map((item, index) => [keyOf(item), index]));
  const position = new Map(before.map((item, index) => [keyOf(item), index]));
  const items = list as unknown[];
  const named = items
    .filter((item) => wanted.has(keyOf(item)))
    .sort((left, right) => wanted.get(keyOf(left))! - wanted.get(keyOf(right))!);
  const others = items.filter((item) => !wanted.has(keyOf(item)));
  const merged: unknown[] = [];
  let next = 0;
  for (const other of others) {
    const at = position.get(keyOf(other));
    while (next < named.length) {
      const rival = position.get(keyOf(named[next]));
      if (at !== undefined && rival !== undefined && at < rival) break;
      merged.push(named[next++]);
    }
    merged.push(other);
  }
  original[name] = [...merged, ...named.slice(next)];
}
