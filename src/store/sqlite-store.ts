import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/fault.ts';
import type { Logger } from '../base/log.ts';
import { EmbeddedStore } from './embedded-store.ts';
import { HISTORY_BYTES_MAX, HISTORY_EVENTS_MAX } from './limits.ts';
import { decodeWrites } from './sqlite/frames.ts';
import { Replay } from './sqlite/replay.ts';
import { SqliteJournal } from './sqlite/sqlite-journal.ts';
import type { Store } from './store.ts';

export interface SqliteStoreOptions {
  /** The file; its directory is made if missing. FILE-wal, FILE-shm and FILE.lock appear beside it. */
  readonly path: string;
  /** STORE_FULL when the file would grow above it; 0 or absent = as the disk allows. */
  readonly sizeMaxBytes?: number;
  readonly historyEventsMax?: number;
  readonly historyBytesMax?: number;
}

export interface SqliteStore extends Store {
  /** Writes a copy of the store to a new file while writes go on. The copy appears whole or not at all. */
  backup(target: string): Promise<void>;
}

/**
 * Opens the store in one SQLite file and loads it into memory.
 * @throws Fault STORE_IN_USE, STORE_CORRUPT, STORE_FULL or STORE_OPEN_FAILED; then nothing is held
 */
export async function openSqliteStore(
  deps: { clock: Clock; log: Logger },
  options: SqliteStoreOptions,
): Promise<SqliteStore> {
  const { historyEventsMax = HISTORY_EVENTS_MAX, historyBytesMax = HISTORY_BYTES_MAX } = options;
  const journal = new SqliteJournal(options.path);
  try {
    const startMs = deps.clock.monotonicMs();
    const { compacted, leases } = await journal.open(options.sizeMaxBytes ?? 0);
    const replay = new Replay(options.path, compacted);
    await load(journal, replay);
    const { versions } = replay;
    const store = new EmbeddedStore({ ...deps, versions, journal }, { historyEventsMax, historyBytesMax });
    store.adoptLeases(leases);
    dropLeftOvers(deps.log, journal, replay.superfluous);
    const tookMs = Math.round(deps.clock.monotonicMs() - startMs);
    deps.log.info('store opened', {
      path: options.path,
      keys: versions.keyCount,
      revision: versions.revision,
      tookMs,
    });
    return Object.assign(store, { backup: (target: string) => journal.backup(target) });
  } catch (error) {
    await journal[Symbol.asyncDispose]();
    throw error;
  }
}

async function load(journal: SqliteJournal, replay: Replay): Promise<void> {
  let next = journal.load();
  for (;;) {
    const { writes } = await next;
    if (!writes) return;
    next = journal.load(); // the worker reads on while this chunk is put into the index
    next.catch(() => {}); // it is awaited unless this chunk is the one that fails
    for (const write of decodeWrites(writes)) replay.add(write);
  }
}

/** What a compaction left behind when the process ended in the middle of it. */
function dropLeftOvers(log: Logger, journal: SqliteJournal, superfluous: readonly number[]): void {
  if (superfluous.length === 0) return;
  journal.drop(superfluous).catch((error: unknown) => {
    log.warn('store compaction not finished', { rows: superfluous.length, reason: messageOf(error) });
  });
}
