import type { StoredObject } from './stored-object.ts';

const CHUNK_ENTRIES_MAX = 512;

/** Entries in ascending order of key, in chunks so that an insertion moves at most one chunk. */
export class SortedEntries {
  #chunks: StoredObject[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): StoredObject | undefined {
    const chunk = this.#chunks.length > 0 ? this.#chunks[this.#chunkOf(key)] : undefined;
    const entry = chunk?.[lowerBound(chunk, key)];
    return entry?.key === key ? entry : undefined;
  }

  /** Puts the entry in its place; one with the same key is replaced. */
  set(entry: StoredObject): void {
    const chunks = this.#chunks;
    if (chunks.length === 0) chunks.push([]);
    const chunkIndex = this.#chunkOf(entry.key);
    const chunk = chunks[chunkIndex]!;
    const index = lowerBound(chunk, entry.key);
    if (chunk[index]?.key === entry.key) {
      chunk[index] = entry;
      return;
    }
    chunk.splice(index, 0, entry);
    this.#size++;
    if (chunk.length > CHUNK_ENTRIES_MAX) chunks.splice(chunkIndex + 1, 0, chunk.splice(chunk.length >> 1));
  }

  delete(key: string): void {
    if (this.#chunks.length === 0) return;
    const chunkIndex = this.#chunkOf(key);
    const chunk = this.#chunks[chunkIndex]!;
    const index = lowerBound(chunk, key);
    if (chunk[index]?.key !== key) return;
    chunk.splice(index, 1);
    this.#size--;
    if (chunk.length === 0) this.#chunks.splice(chunkIndex, 1);
  }

  clear(): void {
    this.#chunks = [];
    this.#size = 0;
  }

  /** Entries whose key starts with prefix and is greater than `after`, in order. Not safe across changes. */
  *range(prefix: string, after = ''): Generator<StoredObject> {
    const start = after >= prefix ? after : prefix;
    if (this.#chunks.length === 0) return;
    let chunkIndex = this.#chunkOf(start);
    let index = lowerBound(this.#chunks[chunkIndex]!, start);
    for (; chunkIndex < this.#chunks.length; chunkIndex++, index = 0) {
      const chunk = this.#chunks[chunkIndex]!;
      for (; index < chunk.length; index++) {
        const entry = chunk[index]!;
        if (!entry.key.startsWith(prefix)) return;
        if (entry.key !== after) yield entry;
      }
    }
  }

  /** The last chunk whose first key is not greater than key. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#chunks[middle]![0]!.key <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function lowerBound(chunk: readonly StoredObject[], key: string): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (chunk[middle]!.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
