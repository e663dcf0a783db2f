import { isDeepStrictEqual } from 'node:util';

/**
 * A live map whose entries are rebuilt only for marked keys. `build` is asked at flush, once a key however often
 * it was marked; undefined removes the entry. An entry that comes out equal keeps its identity.
 */
export class LiveTable<V> {
  readonly entries = new Map<string, V>();
  readonly #build: (key: string) => V | undefined;
  readonly #marked = new Set<string>();

  constructor(build: (key: string) => V | undefined) {
    this.#build = build;
  }

  mark(key: string): void {
    this.#marked.add(key);
  }

  /** The keys that were added, replaced or removed. */
  flush(): ReadonlySet<string> {
    const changed = new Set<string>();
    for (const key of this.#marked) if (this.#refresh(key)) changed.add(key);
    this.#marked.clear();
    return changed;
  }

  #refresh(key: string): boolean {
    const before = this.entries.get(key);
    const after = this.#build(key);
    if (after === undefined) return this.entries.delete(key);
    if (before !== undefined && isDeepStrictEqual(before, after)) return false;
    this.entries.set(key, after);
    return true;
  }
}
