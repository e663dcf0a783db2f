import { compareKeys, SURROGATE } from './keys.ts';

/**
 * Records in order of key: a B+ tree of two levels. Leaves hold at most LEAF_RECORDS_MAX records, so an insertion
 * moves at most that many, and the list of leaves is searched by bisection; 1,000,000 keys make about 6,000
 * leaves. Each leaf counts its live records, so a prefix is counted by leaves, not by keys.
 */
export interface SortedRecord {
  readonly key: string;
  /** False for a deleted key that only history still knows. Changed through setLive alone. */
  live: boolean;
}

export const LEAF_RECORDS_MAX = 256;

interface Leaf<R> {
  records: R[];
  live: number;
}

type Compare = (left: string, right: string) => number;

export class SortedRecords<R extends SortedRecord> {
  #leaves: Leaf<R>[] = [{ records: [], live: 0 }];
  /** Plain comparison until the first key with a surrogate; up to there both orders are the same. */
  #compare: Compare = compareUnits;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): R | undefined {
    const { records } = this.#leaves[this.#leafOf(key)]!;
    const record = records[this.#lowerBound(records, key)];
    return record?.key === key ? record : undefined;
  }

  /** The key must not be present. */
  insert(record: R): void {
    if (this.#compare === compareUnits && SURROGATE.test(record.key)) this.#compare = compareKeys;
    const at = this.#leafOf(record.key);
    const leaf = this.#leaves[at]!;
    leaf.records.splice(this.#lowerBound(leaf.records, record.key), 0, record);
    if (record.live) leaf.live++;
    this.#size++;
    if (leaf.records.length > LEAF_RECORDS_MAX) this.#split(at);
  }

  /** The record must be present. */
  remove(record: R): void {
    const at = this.#leafOf(record.key);
    const leaf = this.#leaves[at]!;
    leaf.records.splice(this.#lowerBound(leaf.records, record.key), 1);
    if (record.live) leaf.live--;
    this.#size--;
    if (leaf.records.length === 0 && this.#leaves.length > 1) this.#leaves.splice(at, 1);
  }

  setLive(record: R, live: boolean): void {
    if (record.live === live) return;
    record.live = live;
    this.#leaves[this.#leafOf(record.key)]!.live += live ? 1 : -1;
  }

  /** Records under the prefix with key > after, in order. The records must not change while it runs. */
  *scan(prefix: string, after: string | undefined): Generator<R> {
    const skipTo = after !== undefined && this.#compareWith(after, prefix) >= 0 ? after : undefined;
    const start = skipTo ?? prefix;
    let at = this.#leafOf(start);
    let index = this.#lowerBound(this.#leaves[at]!.records, start);
    for (; at < this.#leaves.length; at++, index = 0) {
      const { records } = this.#leaves[at]!;
      for (; index < records.length; index++) {
        const record = records[index]!;
        if (!record.key.startsWith(prefix)) return;
        if (record.key !== skipTo) yield record;
      }
    }
  }

  /** Number of live records under the prefix. */
  countLive(prefix: string): number {
    let count = 0;
    for (let at = this.#leafOf(prefix); at < this.#leaves.length; at++) {
      const { records, live } = this.#leaves[at]!;
      if (records.length === 0) continue;
      const first = records[0]!.key.startsWith(prefix);
      const last = records[records.length - 1]!.key.startsWith(prefix);
      if (first && last) count += live;
      else for (const record of records) if (record.live && record.key.startsWith(prefix)) count++;
      if (!last && this.#compareWith(records[records.length - 1]!.key, prefix) > 0) break;
    }
    return count;
  }

  /** Bounds of a search may hold surrogates even while no key does. */
  #compareWith(left: string, right: string): number {
    return compareKeys(left, right);
  }

  /** The last leaf whose first key is <= key, else the first leaf. */
  #leafOf(key: string): number {
    const compare = this.#compare === compareUnits && SURROGATE.test(key) ? compareKeys : this.#compare;
    let low = 0;
    let high = this.#leaves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (compare(this.#leaves[middle]!.records[0]!.key, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #lowerBound(records: readonly R[], key: string): number {
    const compare = this.#compare === compareUnits && SURROGATE.test(key) ? compareKeys : this.#compare;
    let low = 0;
    let high = records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(records[middle]!.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Appending in order (the usual load) leaves full leaves behind instead of half-full ones. */
  #split(at: number): void {
    const leaf = this.#leaves[at]!;
    const last = at === this.#leaves.length - 1;
    const keep = last ? LEAF_RECORDS_MAX - 16 : LEAF_RECORDS_MAX >>> 1;
    const moved = leaf.records.splice(keep);
    let live = 0;
    for (const record of moved) if (record.live) live++;
    leaf.live -= live;
    this.#leaves.splice(at + 1, 0, { records: moved, live });
  }
}

function compareUnits(left: string, right: string): number {
  return left < right ? -1 : left === right ? 0 : 1;
}
