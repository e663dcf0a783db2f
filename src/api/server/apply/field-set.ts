import { isObject, type JsonObject, setField } from '../../kinds/json-value.ts';
import { NESTING_MAX } from '../limits.ts';

/**
 * A set of field paths, in the notation of FieldsV1: `f:name` a field or map key, `k:{...}` a list item by its
 * keys, `v:...` a member of a set, `.` the path itself. Immutable by convention once shared.
 */
export class FieldSet {
  /** The path of this node is in the set. */
  member: boolean;
  /** Most sets are leaves: they have none of their own. */
  #children: Map<string, FieldSet> | undefined;

  constructor(member = false, children?: Map<string, FieldSet>) {
    this.member = member;
    this.#children = children;
  }

  get children(): ReadonlyMap<string, FieldSet> {
    return this.#children ?? NO_CHILDREN;
  }

  get isEmpty(): boolean {
    return !this.member && this.children.size === 0;
  }

  /** The child for an element, made when missing. */
  at(element: string): FieldSet {
    let child = this.children.get(element);
    if (!child) {
      child = new FieldSet();
      this.#add(element, child);
    }
    return child;
  }

  /** Adds a child unless it says nothing. */
  put(element: string, child: FieldSet): void {
    if (!child.isEmpty) this.#add(element, child);
  }

  without(element: string): FieldSet {
    if (!this.children.has(element)) return this;
    const children = new Map(this.children);
    children.delete(element);
    return new FieldSet(this.member, children);
  }

  /** Only what lies at or under one of the names of the first level. */
  only(elements: ReadonlySet<string>): FieldSet {
    return new FieldSet(false, new Map([...this.children].filter(([element]) => elements.has(element))));
  }

  #add(element: string, child: FieldSet): void {
    this.#children ??= new Map();
    this.#children.set(element, child);
  }
}

const NO_CHILDREN: ReadonlyMap<string, FieldSet> = new Map();

export function union(left: FieldSet, right: FieldSet): FieldSet {
  if (right.isEmpty) return left;
  if (left.isEmpty) return right;
  const children = new Map(left.children);
  for (const [element, child] of right.children) {
    const known = children.get(element);
    children.set(element, known ? union(known, child) : child);
  }
  return new FieldSet(left.member || right.member, children);
}

/** Paths of left that are not in right. */
export function difference(left: FieldSet, right: FieldSet): FieldSet {
  const result = new FieldSet(left.member && !right.member);
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    result.put(element, other ? difference(child, other) : child);
  }
  return result;
}

export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  const result = new FieldSet(left.member && right.member);
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    if (other) result.put(element, intersection(child, other));
  }
  return result;
}

/** Paths of left that are neither in right nor below a path of right (an item that is gone takes its fields along). */
export function differenceBelow(left: FieldSet, right: FieldSet): FieldSet {
  if (right.member) return new FieldSet();
  const result = new FieldSet(left.member);
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    result.put(element, other ? differenceBelow(child, other) : child);
  }
  return result;
}

export function equalSets(left: FieldSet, right: FieldSet): boolean {
  if (left === right) return true;
  if (left.member !== right.member || left.children.size !== right.children.size) return false;
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    if (!other || !equalSets(child, other)) return false;
  }
  return true;
}

/** Each path of the set, as its elements. */
export function* paths(set: FieldSet, prefix: readonly string[] = []): Generator<readonly string[]> {
  if (set.member) yield prefix;
  for (const [element, child] of set.children) yield* paths(child, [...prefix, element]);
}

/** FieldsV1. */
export function encodeFields(set: FieldSet): JsonObject {
  const result: JsonObject = {};
  if (set.member && set.children.size > 0) result['.'] = {};
  for (const element of [...set.children.keys()].sort()) {
    setField(result, element, encodeFields(set.children.get(element)!));
  }
  return result;
}

/** Undefined when it is not FieldsV1. */
export function decodeFields(value: unknown, depth = 0): FieldSet | undefined {
  if (!isObject(value) || depth > NESTING_MAX) return undefined;
  const keys = Object.keys(value);
  const set = new FieldSet(keys.length === 0 && depth > 0);
  for (const key of keys) {
    if (key === '.') {
      set.member = true;
      continue;
    }
    const child = /^[fkvi]:/.test(key) ? decodeFields(value[key], depth + 1) : undefined;
    if (!child) return undefined;
    set.put(key, child);
  }
  return set;
}

/** `.spec.ports[port=80,protocol="TCP"].name`: how conflicts name a field. */
export function formatPath(path: readonly string[]): string {
  return path
    .map((element) => {
      const rest = element.slice(2);
      if (element.startsWith('f:')) return `.${rest}`;
      if (element.startsWith('v:')) return `[=${rest}]`;
      if (!element.startsWith('k:')) return `[${rest}]`;
      const keys = Object.entries(JSON.parse(rest) as Record<string, unknown>);
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
    })
    .join('');
}
