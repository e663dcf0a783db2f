import { type KubeObject, objectKey } from '../kinds/meta.ts';
import type { InformerEvent } from './informer.ts';

export type IndexFunction<T extends KubeObject> = (object: T) => readonly string[];

const NAMESPACE_INDEX = ' namespace';

/**
 * The newest known objects by key, with indices kept in step. Every change says what it was, so that handlers
 * hear of differences only: a repeated resourceVersion is none.
 */
export class ObjectCache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #functions = new Map<string, IndexFunction<T>>();
  /** index name -> value -> key -> object */
  readonly #indices = new Map<string, Map<string, Map<string, T>>>();

  constructor(indices: Readonly<Record<string, IndexFunction<T>>>) {
    this.addIndex(NAMESPACE_INDEX, (object) => [object.metadata.namespace ?? '']);
    for (const [name, indexFunction] of Object.entries(indices)) this.addIndex(name, indexFunction);
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): Iterable<T> {
    return namespace === undefined ? this.#objects.values() : this.byIndex(NAMESPACE_INDEX, namespace);
  }

  byIndex(index: string, value: string): Iterable<T> {
    const values = this.#indices.get(index);
    if (!values) throw new Error(`no index named ${index}`);
    return values.get(value)?.values() ?? [];
  }

  /** Adds an index over the present and all later objects; a name already taken is kept as it is. */
  addIndex(name: string, indexFunction: IndexFunction<T>): void {
    if (this.#functions.has(name)) return;
    this.#functions.set(name, indexFunction);
    this.#indices.set(name, new Map());
    for (const [key, object] of this.#objects) this.#enter(name, indexFunction, key, object);
  }

  /** Undefined when nothing changed. */
  upsert(object: T): InformerEvent<T> | undefined {
    const key = objectKey(object);
    const old = this.#objects.get(key);
    if (old && isSame(old, object)) return undefined;
    if (old) this.#leaveAll(key, old);
    this.#objects.set(key, object);
    for (const [name, indexFunction] of this.#functions) this.#enter(name, indexFunction, key, object);
    return old ? { type: 'updated', object, old } : { type: 'added', object };
  }

  /** The event carries the last state: that of the deletion when given, else the cached one. */
  remove(key: string, last?: T): InformerEvent<T> | undefined {
    const old = this.#objects.get(key);
    if (!old) return undefined;
    this.#objects.delete(key);
    this.#leaveAll(key, old);
    return { type: 'deleted', object: last ?? old };
  }

  /**
   * Makes the cache equal to objects and returns the difference, removals first. An object whose uid changed was
   * deleted and created again in between: that is two events.
   */
  replace(objects: ReadonlyMap<string, T>): InformerEvent<T>[] {
    const events: (InformerEvent<T> | undefined)[] = [];
    for (const [key, old] of this.#objects) {
      const next = objects.get(key);
      if (!next || next.metadata.uid !== old.metadata.uid) events.push(this.remove(key));
    }
    for (const object of objects.values()) events.push(this.upsert(object));
    return events.filter((event) => event !== undefined);
  }

  #enter(name: string, indexFunction: IndexFunction<T>, key: string, object: T): void {
    const values = this.#indices.get(name);
    if (!values) return;
    for (const value of indexFunction(object)) {
      const bucket = values.get(value);
      if (bucket) bucket.set(key, object);
      else values.set(value, new Map([[key, object]]));
    }
  }

  #leaveAll(key: string, object: T): void {
    for (const [name, indexFunction] of this.#functions) {
      const values = this.#indices.get(name);
      for (const value of indexFunction(object)) {
        const bucket = values?.get(value);
        bucket?.delete(key);
        if (bucket?.size === 0) values?.delete(value);
      }
    }
  }
}

function isSame(old: KubeObject, next: KubeObject): boolean {
  const { resourceVersion, uid } = next.metadata;
  return (
    resourceVersion !== undefined &&
    resourceVersion === old.metadata.resourceVersion &&
    uid === old.metadata.uid
  );
}

/** Freezes an object and everything in it. Frozen parts are taken as frozen all the way down. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
