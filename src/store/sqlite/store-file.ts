import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { Fault } from '../../base/fault.ts';
import type { LeaseRecord } from '../journal.ts';
import { STORE_CORRUPT, STORE_OPEN_FAILED } from '../store.ts';
import { corruptFault, faultOf, openFaultOf } from './faults.ts';
import { FileLock } from './file-lock.ts';
import { checksumOf } from './frames.ts';
import type { RawWrite } from './frames.ts';

/** 'weft' */
export const APPLICATION_ID = 0x77656674;
const SCHEMA_VERSION = 1;
/** Three pods of 4.4 KB fill a page; of 8 KB pages one would fill one, and half the file were air. */
const PAGE_BYTES = 16_384;
/** Rows are written once and read once, at the start: a large cache would hold what nobody asks for again. */
const CACHE_KIB = 2_048;
/**
 * What the log holds when its content moves to the main file. Writes that come meanwhile wait, so it is done often
 * and takes milliseconds each time.
 */
export const CHECKPOINT_WAL_BYTES = 2 * 1024 * 1024;
/** Time another writer of the file (an administrator's sqlite3) may take before a commit is refused. */
export const BUSY_TIMEOUT_MS = 5000;
/** Pages given back to the file system by one slice of compaction: more than a slice usually frees. */
const VACUUM_PAGES = 256;

const SCHEMA = `
  CREATE TABLE writes (
    revision INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB, create_revision INTEGER NOT NULL,
    lease INTEGER NOT NULL, checksum INTEGER NOT NULL);
  CREATE TABLE leases (id INTEGER PRIMARY KEY, ttl_seconds REAL NOT NULL);
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO meta VALUES ('compacted', 0);
`;

export interface StoreFileOptions {
  readonly path: string;
  /** Pages the file may have; 0 = as many as the disk holds. */
  readonly sizeMaxBytes: number;
}

/** Pages of the log, and how many of them are in the main file already. */
interface LogState {
  readonly log: number;
  readonly checkpointed: number;
}

type Row = [number, Buffer, Buffer | null, number, number, number];

/**
 * The SQLite file of a store: every write is one row in order of revision, so a commit only appends. Runs in
 * the worker; each call blocks its thread. Throws Faults.
 */
export class StoreFile implements Disposable {
  readonly #path: string;
  readonly #lock: FileLock;
  readonly #db: Database.Database;
  readonly #insert: Database.Statement;
  readonly #delete: Database.Statement;

  constructor(options: StoreFileOptions) {
    this.#path = options.path;
    try {
      prepareFile(options.path);
      this.#lock = new FileLock(options.path);
    } catch (error) {
      throw openFaultOf(error, options.path);
    }
    try {
      this.#db = openDatabase(options);
      const columns = 'revision, key, value, create_revision, lease, checksum';
      this.#insert = this.#db.prepare(`INSERT INTO writes (${columns}) VALUES (?, ?, ?, ?, ?, ?)`);
      this.#delete = this.#db.prepare('DELETE FROM writes WHERE revision = ?');
    } catch (error) {
      this.#lock[Symbol.dispose]();
      throw openFaultOf(error, options.path);
    }
  }

  /** @throws Fault STORE_CORRUPT */
  checkIntegrity(): void {
    checkPages(this.#db, this.#path);
  }

  get compacted(): number {
    return compactedOf(this.#db);
  }

  leases(): LeaseRecord[] {
    return leasesOf(this.#db);
  }

  /** All writes in order of revision. @throws Fault STORE_CORRUPT for a row whose checksum is wrong */
  writes(): Generator<RawWrite> {
    return readWrites(this.#db, this.#path);
  }

  /** One transaction, synced when it returns. */
  commit(writes: Iterable<RawWrite>, granted: readonly LeaseRecord[], ended: readonly number[]): void {
    this.#transact(() => {
      for (const write of writes) {
        const { revision, key, value, createRevision, leaseId } = write;
        this.#insert.run(revision, key, value, createRevision, leaseId, checksumOf(write));
      }
      for (const lease of granted) {
        this.#db.prepare('INSERT INTO leases VALUES (?, ?)').run(lease.id, lease.ttlSeconds);
      }
      for (const id of ended) this.#db.prepare('DELETE FROM leases WHERE id = ?').run(id);
    });
  }

  noteCompacted(revision: number): void {
    this.#transact(() => {
      this.#db.prepare("UPDATE meta SET value = ? WHERE name = 'compacted'").run(revision);
    });
  }

  drop(revisions: readonly number[]): void {
    this.#transact(() => {
      for (const revision of revisions) this.#delete.run(revision);
    });
    this.#db.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
  }

  /**
   * Moves the log into the main file when it holds enough; commits do not wait for it unless they come now. The size
   * of its file says nothing: SQLite begins it anew without cutting it.
   */
  checkpointIfDue(): void {
    const [state] = this.#db.pragma('wal_checkpoint(NOOP)') as readonly LogState[];
    const pages = state ? state.log - state.checkpointed : 0;
    if (pages * PAGE_BYTES >= CHECKPOINT_WAL_BYTES) this.#db.pragma('wal_checkpoint(PASSIVE)');
  }

  /** Copies the store page by page while commits go on between the steps; the copy appears whole. */
  async backup(target: string): Promise<void> {
    await writePartial(target, (partial) => this.#db.backup(partial));
  }

  [Symbol.dispose](): void {
    this.#db.close();
    this.#lock[Symbol.dispose]();
  }

  #transact(work: () => void): void {
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      work();
      this.#db.exec('COMMIT');
    } catch (error) {
      const fault = faultOf(error, this.#path);
      try {
        if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      } catch {
        // the first failure is the one to report
      }
      throw fault;
    }
  }
}

/** Only the owner may read the file: it holds Secrets. */
function prepareFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
}

function openDatabase(options: StoreFileOptions): Database.Database {
  const db = new Database(options.path, { timeout: BUSY_TIMEOUT_MS });
  try {
    const fresh = db.pragma('page_count', { simple: true }) === 0;
    if (fresh) {
      db.pragma(`page_size = ${PAGE_BYTES}`);
      db.pragma('auto_vacuum = INCREMENTAL');
    }
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('wal_autocheckpoint = 0');
    db.pragma(`cache_size = -${CACHE_KIB}`);
    db.pragma('journal_size_limit = 67108864');
    if (options.sizeMaxBytes > 0) {
      const pageBytes = Number(db.pragma('page_size', { simple: true }));
      db.pragma(`max_page_count = ${Math.ceil(options.sizeMaxBytes / pageBytes)}`);
    }
    if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) createSchema(db, options.path);
    checkVersion(db, options.path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function createSchema(db: Database.Database, path: string): void {
  if (db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() !== 0) {
    throw new Fault(STORE_CORRUPT, `${path} is a database of another program; choose another file`);
  }
  db.exec(`BEGIN IMMEDIATE; ${SCHEMA} PRAGMA application_id = ${APPLICATION_ID};
    PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
}

export function checkVersion(db: Database.Database, path: string): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version === SCHEMA_VERSION) return;
  const text = `${path} has schema version ${version}, this weft knows ${SCHEMA_VERSION}; use the weft that wrote it`;
  throw new Fault(STORE_CORRUPT, text);
}

/** @throws Fault STORE_CORRUPT */
export function checkPages(db: Database.Database, path: string): void {
  let found: unknown;
  try {
    found = db.pragma('quick_check(1)', { simple: true });
  } catch (error) {
    throw openFaultOf(error, path);
  }
  if (found !== 'ok') throw corruptFault(path, String(found));
}

export function compactedOf(db: Database.Database): number {
  return Number(db.prepare("SELECT value FROM meta WHERE name = 'compacted'").pluck().get());
}

export function leasesOf(db: Database.Database): LeaseRecord[] {
  return db.prepare('SELECT id, ttl_seconds AS ttlSeconds FROM leases').all() as LeaseRecord[];
}

/** @throws Fault STORE_CORRUPT for a row whose checksum is wrong */
export function* readWrites(db: Database.Database, path: string): Generator<RawWrite> {
  const select = db.prepare(
    'SELECT revision, key, value, create_revision, lease, checksum FROM writes ORDER BY revision',
  );
  try {
    for (const row of select.raw().iterate() as IterableIterator<Row>) {
      const [revision, key, value, createRevision, leaseId, checksum] = row;
      const write: RawWrite = { revision, key, value, createRevision, leaseId };
      if (checksumOf(write) !== checksum)
        throw corruptFault(path, `revision ${revision} has a wrong checksum`);
      yield write;
    }
  } catch (error) {
    throw openFaultOf(error, path);
  }
}

/** Has a new file written under another name, then gives it its own, durably. An existing file is kept. */
export async function writePartial(target: string, write: (partial: string) => unknown): Promise<void> {
  const partial = `${target}.partial`;
  try {
    if (existsSync(target)) throw new Fault(STORE_OPEN_FAILED, `${target} exists already; name a new file`);
    rmSync(partial, { force: true });
    closeSync(openSync(partial, 'wx', 0o600));
    await write(partial);
    syncPath(partial);
    renameSync(partial, target);
    syncPath(dirname(target));
  } catch (error) {
    rmSync(partial, { force: true });
    throw openFaultOf(error, target);
  }
}

function syncPath(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
