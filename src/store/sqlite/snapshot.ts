import { statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { Fault } from '../../base/fault.ts';
import type { LeaseRecord } from '../journal.ts';
import { STORE_CORRUPT } from '../store.ts';
import type { Versions } from '../versions.ts';
import { openFaultOf } from './faults.ts';
import { rawToWrite } from './frames.ts';
import { Replay } from './replay.ts';
import * as file from './store-file.ts';

/** All of a store file at one moment, checked. */
export interface SqliteSnapshot {
  readonly versions: Versions;
  readonly leases: readonly LeaseRecord[];
  readonly fileBytes: number;
  readonly logBytes: number;
  /** Bytes in the file that hold nothing; compaction makes them, new writes use them. */
  readonly freeBytes: number;
}

/**
 * Reads and checks a store file, also while a running weft writes to it; neither waits for the other.
 * @throws Fault STORE_CORRUPT or STORE_OPEN_FAILED
 */
export function readSqliteSnapshot(path: string): SqliteSnapshot {
  const db = openSnapshot(path);
  try {
    file.checkPages(db, path);
    const replay = new Replay(path, file.compactedOf(db));
    for (const write of file.readWrites(db, path)) replay.add(rawToWrite(write));
    const pageBytes = Number(db.pragma('page_size', { simple: true }));
    return {
      versions: replay.versions,
      leases: file.leasesOf(db),
      fileBytes: sizeOf(path),
      logBytes: sizeOf(`${path}-wal`),
      freeBytes: Number(db.pragma('freelist_count', { simple: true })) * pageBytes,
    };
  } finally {
    db.close();
  }
}

/**
 * Copies a store file to a new one that appears whole or not at all, also while a running weft writes to it.
 * @throws Fault STORE_OPEN_FAILED, STORE_CORRUPT or STORE_FULL
 */
export async function backupSqliteFile(path: string, target: string): Promise<void> {
  const db = openSnapshot(path);
  try {
    await file.writePartial(target, (partial) => {
      db.exec('COMMIT'); // VACUUM brings its own transaction
      db.prepare('VACUUM INTO ?').run(partial);
    });
  } finally {
    db.close();
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** A stable snapshot that does not hold up the file's writer. */
function openSnapshot(path: string): Database.Database {
  try {
    const db = new Database(path, { readonly: true, fileMustExist: true, timeout: file.BUSY_TIMEOUT_MS });
    if (db.pragma('application_id', { simple: true }) !== file.APPLICATION_ID) {
      db.close();
      throw new Fault(STORE_CORRUPT, `${path} is not a weft store`);
    }
    file.checkVersion(db, path);
    db.exec('BEGIN');
    db.prepare('SELECT count(*) FROM meta').get(); // the snapshot begins with the first read
    return db;
  } catch (error) {
    throw openFaultOf(error, path);
  }
}
