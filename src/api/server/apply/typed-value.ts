import { cloneJson, equalJson, isObject, type JsonObject, setField } from '../../kinds/json-value.ts';
import type { Schema } from '../../kinds/schema/schema.ts';
import { badRequest } from '../status.ts';
import { FieldSet } from './field-set.ts';

/** How a value is tracked: as one piece, field by field, or item by item. */
type Shape = 'leaf' | 'fields' | 'items';

function shapeOf(value: unknown, schema: Schema | undefined): Shape {
  if (isObject(value)) return schema?.mapType === 'atomic' ? 'leaf' : 'fields';
  if (Array.isArray(value) && (schema?.listType === 'map' || schema?.listType === 'set')) return 'items';
  return 'leaf';
}

const isDeclaredField = (schema: Schema | undefined, name: string): boolean =>
  schema?.type === 'object' && schema.field(name) !== undefined;

/** `k:{...}` or `v:...` of a list item; undefined when a key is missing. */
function elementOf(item: unknown, schema: Schema): string | undefined {
  if (schema.listType === 'set') return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) return undefined;
  const key: JsonObject = {};
  for (const name of [...schema.listMapKeys].sort()) {
    const value = item[name] ?? schema.items()?.field(name)?.default;
    if (value === undefined || value === null) return undefined;
    key[name] = value;
  }
  return `k:${JSON.stringify(key)}`;
}

/** Items by element, first one wins; undefined when the list cannot be tracked item by item. */
function keyed(list: readonly unknown[], schema: Schema): Map<string, unknown> | undefined {
  const items = new Map<string, unknown>();
  for (const item of list) {
    const element = elementOf(item, schema);
    if (element === undefined) return undefined;
    if (!items.has(element)) items.set(element, item);
  }
  return items;
}

/** Every path an applied configuration claims. Throws 400 for list items without their keys. */
export function toFieldSet(value: unknown, schema: Schema | undefined, path = ''): FieldSet {
  const shape = shapeOf(value, schema);
  if (shape === 'leaf') return new FieldSet(true);
  const set = new FieldSet();
  if (shape === 'fields') {
    const object = value as JsonObject;
    for (const name of Object.keys(object)) {
      const child = toFieldSet(object[name], schema?.field(name), `${path}.${name}`);
      if (isEmpty(object[name]) || !isDeclaredField(schema, name)) child.member = true;
      set.put(`f:${name}`, child);
    }
    return set;
  }
  for (const [index, item] of (value as unknown[]).entries()) {
    const element = elementOf(item, schema!);
    if (element === undefined) {
      const keys = schema!.listMapKeys.map((key) => JSON.stringify(key)).join(', ');
      throw badRequest(
        `${path}: element ${index}: associative list with keys has an element that omits key field ${keys} (and doesn't have default value)`,
      );
    }
    if (set.children.has(element)) {
      throw badRequest(`${path}: duplicate entries for key [${element.slice(2)}]`);
    }
    const child =
      schema!.listType === 'set' ? new FieldSet() : toFieldSet(item, schema!.items(), `${path}[${index}]`);
    child.member = true;
    set.put(element, child);
  }
  return set;
}

function isEmpty(value: unknown): boolean {
  return (
    value === null ||
    (isObject(value) && Object.keys(value).length === 0) ||
    (Array.isArray(value) && value.length === 0)
  );
}

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** What changed from left to right, path by path. */
export function compare(left: unknown, right: unknown, schema: Schema | undefined): Comparison {
  const result: Comparison = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() };
  compareInto(left, right, schema, result);
  return result;
}

function compareInto(left: unknown, right: unknown, schema: Schema | undefined, into: Comparison): void {
  if (left === right) return;
  if (left === undefined || right === undefined) {
    compareOneSided(left, right, schema, into);
    return;
  }
  const shape = shapeOf(left, schema);
  if (shape === 'leaf' || shape !== shapeOf(right, schema)) {
    if (!equalJson(left, right)) into.modified.member = true;
    return;
  }
  const one = parts(left, schema);
  const two = parts(right, schema);
  if (!one || !two) {
    if (!equalJson(left, right)) into.modified.member = true;
    return;
  }
  for (const element of new Set([...one.keys(), ...two.keys()])) {
    const before = one.get(element);
    const after = two.get(element);
    if (before === after) continue;
    const child: Comparison = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() };
    compareInto(before, after, childSchema(schema, element), child);
    if (before === undefined && needsOwnPath(schema, element)) child.added.member = true;
    if (after === undefined && needsOwnPath(schema, element)) child.removed.member = true;
    into.added.put(element, child.added);
    into.modified.put(element, child.modified);
    into.removed.put(element, child.removed);
  }
}

function compareOneSided(left: unknown, right: unknown, schema: Schema | undefined, into: Comparison): void {
  const known = left ?? right;
  if (schema?.written === true) {
    const zero = zeroOf(known);
    if (equalJson(known, zero)) return;
    if (typeof zero === 'object') {
      compareInto(left ?? zero, right ?? zero, schema, into);
      return;
    }
  }
  if (left === undefined) mark(into.added, right, schema);
  else mark(into.removed, left, schema);
}

function zeroOf(value: unknown): unknown {
  if (Array.isArray(value)) return [];
  if (isObject(value)) return {};
  return typeof value === 'string' ? '' : typeof value === 'number' ? 0 : false;
}

/** Whatever was not there before is a path of its own; what is always written was there. */
function needsOwnPath(schema: Schema | undefined, element: string): boolean {
  return childSchema(schema, element)?.written !== true;
}

function childSchema(schema: Schema | undefined, element: string): Schema | undefined {
  return element.startsWith('f:') ? schema?.field(element.slice(2)) : schema?.items();
}

function parts(value: unknown, schema: Schema | undefined): Map<string, unknown> | undefined {
  if (Array.isArray(value)) return keyed(value as unknown[], schema!);
  return new Map(Object.entries(value as JsonObject).map(([name, item]) => [`f:${name}`, item]));
}

/** All paths below a value that is wholly new or wholly gone, each with its own. */
function mark(set: FieldSet, value: unknown, schema: Schema | undefined): void {
  const items = shapeOf(value, schema) === 'leaf' || isEmpty(value) ? undefined : parts(value, schema);
  if (!items) {
    set.member = true;
    return;
  }
  for (const [element, item] of items) {
    if (item === undefined) continue;
    const child = set.at(element);
    if (!element.startsWith('v:')) mark(child, item, childSchema(schema, element));
    child.member = true;
  }
}

/** The live value with an applied configuration laid over it. Shares nothing with its arguments. */
export function merge(live: unknown, applied: unknown, schema: Schema | undefined): unknown {
  const shape = shapeOf(applied, schema);
  if (live === undefined || live === null || shape === 'leaf' || shapeOf(live, schema) !== shape) {
    return withoutNulls(applied);
  }
  if (shape === 'items') return mergeItems(live as unknown[], applied as unknown[], schema!);
  const result = cloneJson(live as JsonObject);
  for (const [name, value] of Object.entries(applied as JsonObject)) {
    if (value === null) delete result[name];
    else setField(result, name, merge(result[name], value, schema?.field(name)));
  }
  return result;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const [name, item] of Object.entries(value))
    if (item !== null) setField(copy, name, withoutNulls(item));
  return copy;
}

/** Applied items come in their order; items only the live list has keep their place before what followed them. */
function mergeItems(live: readonly unknown[], applied: readonly unknown[], schema: Schema): unknown[] {
  const before = keyed(live, schema);
  const after = keyed(applied, schema);
  if (!before || !after) return withoutNulls(applied) as unknown[];
  const order = [...before.keys()];
  const result: unknown[] = [];
  let next = 0;
  const takeOthersUntil = (stop: number): void => {
    for (; next < stop; next++) {
      const element = order[next]!;
      if (!after.has(element)) result.push(cloneJson(before.get(element)));
    }
  };
  for (const [element, item] of after) {
    const at = order.indexOf(element);
    if (at >= next) takeOthersUntil(at);
    else if (at < 0) takeOthersUntil(firstShared(order, next, after));
    result.push(before.has(element) ? merge(before.get(element), item, schema.items()) : withoutNulls(item));
  }
  takeOthersUntil(order.length);
  return result;
}

function firstShared(order: readonly string[], from: number, applied: ReadonlyMap<string, unknown>): number {
  let at = from;
  while (at < order.length && !applied.has(order[at]!)) at++;
  return at;
}

/** Takes the paths of the set away; containers that become empty go with them. `value` is private. */
export function removePaths(value: unknown, set: FieldSet, schema: Schema | undefined): unknown {
  if (isObject(value)) {
    for (const [element, child] of set.children) {
      const name = element.slice(2);
      if (!Object.hasOwn(value, name)) continue;
      const left = child.member ? undefined : removePaths(value[name], child, schema?.field(name));
      if (left === undefined || isEmpty(left)) delete value[name];
      else setField(value, name, left);
    }
    return value;
  }
  if (!Array.isArray(value) || !schema || shapeOf(value, schema) !== 'items') return value;
  return (value as unknown[]).flatMap((item) => {
    const element = elementOf(item, schema);
    const child = element === undefined ? undefined : set.children.get(element);
    if (!child) return [item];
    return child.member ? [] : [removePaths(item, child, schema.items())];
  });
}
