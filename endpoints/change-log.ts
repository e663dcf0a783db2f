import { CHANGE_LOG_KEYS_MAX } from './limits.ts';
import type { SnapshotChanges } from './snapshot.ts';

/** The tables of a Snapshot by the names SnapshotChanges uses. */
export const TABLES = ['services', 'imports', 'namespaces', 'nodes', 'pods'] as const;
export type TableName = (typeof TABLES)[number];
export type Batch = Readonly<Record<TableName, ReadonlySet<string>>>;

const EMPTY: ReadonlySet<string> = new Set();
export const EMPTY_BATCH: Batch = {
  services: EMPTY,
  imports: EMPTY,
  namespaces: EMPTY,
  nodes: EMPTY,
  pods: EMPTY,
};

/** The newest batches of changes, bounded by their keys; one batch a version, in order. */
export class ChangeLog {
  readonly #batches: { readonly version: number; readonly batch: Batch; readonly keys: number }[] = [];
  readonly #keysMax: number;
  #keys = 0;
  #version = 0;

  constructor(keysMax: number = CHANGE_LOG_KEYS_MAX) {
    this.#keysMax = keysMax;
  }

  append(version: number, batch: Batch): void {
    const keys = TABLES.reduce((sum, table) => sum + batch[table].size, 0);
    this.#version = version;
    this.#keys += keys;
    this.#batches.push({ version, batch, keys });
    while (this.#keys > this.#keysMax) this.#keys -= this.#batches.shift()?.keys ?? 0;
  }

  since(since: number): SnapshotChanges {
    const version = this.#version;
    if (since >= version) return { since, version, complete: true, ...EMPTY_BATCH };
    const lag = version - since;
    if (lag > this.#batches.length) return { since, version, complete: false, ...EMPTY_BATCH };
    const missed = this.#batches.slice(-lag);
    if (missed.length === 1) return { since, version, complete: true, ...missed[0]!.batch };
    const joined = Object.fromEntries(
      TABLES.map((table) => [table, new Set(missed.flatMap(({ batch }) => [...batch[table]]))]),
    ) as Record<TableName, Set<string>>;
    return { since, version, complete: true, ...joined };
  }
}
