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

/** Of an item without some of its keys: by what it has. Whether it may be so is judged later. */
function partialElement(item: unknown, schema: Schema): string {
  const object = isObject(item) ? item : {};
  const names = [...schema.listMapKeys].sort().filter((name) => (object[name] ?? null) !== null);
  return `k:${JSON.stringify(Object.fromEntries(names.map((name) => [name, object[name]])))}`;
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

/** Every path an applied configuration claims. Throws 400 for list items that come twice. */
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
    const element = elementOf(item, schema!) ?? partialElement(item, schema!);
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

const noChange = (): Comparison => ({
  added: new FieldSet(),
  modified: new FieldSet(),
  removed: new FieldSet(),
});

/** What changed from left to right, path by path. */
export function compare(left: unknown, right: unknown, schema: Schema | undefined): Comparison {
  const result = noChange();
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
  } else if (shape === 'fields') compareFields(left as JsonObject, right as JsonObject, schema, into);
  else compareItems(left as unknown[], right as unknown[], schema!, into);
}

function compareFields(
  left: JsonObject,
  right: JsonObject,
  schema: Schema | undefined,
  into: Comparison,
): void {
  for (const name of Object.keys(left)) {
    const after = Object.hasOwn(right, name) ? right[name] : undefined;
    compareElement(`f:${name}`, left[name], after, schema?.field(name), into);
  }
  for (const name of Object.keys(right)) {
    if (!Object.hasOwn(left, name)) {
      compareElement(`f:${name}`, undefined, right[name], schema?.field(name), into);
    }
  }
}

function compareItems(
  left: readonly unknown[],
  right: readonly unknown[],
  schema: Schema,
  into: Comparison,
): void {
  const one = keyed(left, schema);
  const two = keyed(right, schema);
  if (!one || !two) {
    if (!equalJson(left, right)) into.modified.member = true;
    return;
  }
  for (const element of new Set([...one.keys(), ...two.keys()])) {
    compareElement(element, one.get(element), two.get(element), schema.items(), into);
  }
}

function compareElement(
  element: string,
  before: unknown,
  after: unknown,
  schema: Schema | undefined,
  into: Comparison,
): void {
  if (before === after) return;
  const child = noChange();
  compareInto(before, after, schema, child);
  // Whatever was not there before is a path of its own; what is always written was there.
  if (schema?.written !== true) {
    if (before === undefined) child.added.member = true;
    if (after === undefined) child.removed.member = true;
  }
  into.added.put(element, child.added);
  into.modified.put(element, child.modified);
  into.removed.put(element, child.removed);
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

/** All paths below a value that is wholly new or wholly gone, each with its own. */
function mark(set: FieldSet, value: unknown, schema: Schema | undefined): void {
  if (shapeOf(value, schema) === 'leaf' || isEmpty(value)) {
    set.member = true;
  } else if (isObject(value)) {
    for (const name of Object.keys(value)) {
      if (value[name] !== undefined) markElement(set, `f:${name}`, value[name], schema?.field(name));
    }
  } else markItems(set, value as unknown[], schema!);
}

function markItems(set: FieldSet, list: readonly unknown[], schema: Schema): void {
  const items = keyed(list, schema);
  if (!items) set.member = true;
  else for (const [element, item] of items) markElement(set, element, item, schema.items());
}

function markElement(set: FieldSet, element: string, value: unknown, schema: Schema | undefined): void {
  const child = set.at(element);
  if (!element.startsWith('v:')) mark(child, value, schema);
  child.member = true;
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
