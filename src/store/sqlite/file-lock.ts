import { readlinkSync } from 'node:fs';
import Database from 'better-sqlite3';
import { Fault } from '../../base/fault.ts';
import { STORE_IN_USE } from '../store.ts';

/**
 * One process at a time: a write transaction held open on FILE.lock. The kernel ends it with the process, so
 * nothing is left behind by a crash. The file says who holds it. Readers of FILE itself (backup, export) are
 * not kept out.
 */
export class FileLock implements Disposable {
  readonly #db: Database.Database;

  /** @throws Fault STORE_IN_USE */
  constructor(path: string) {
    const lockPath = `${path}.lock`;
    this.#db = new Database(lockPath, { timeout: 0 });
    try {
      // Names the holder in a commit of its own: what a transaction holds open, others cannot read.
      this.#db.exec('CREATE TABLE IF NOT EXISTS holder (process INTEGER)');
      this.#db.exec(
        `BEGIN IMMEDIATE; DELETE FROM holder; INSERT INTO holder VALUES (${ownProcessId()}); COMMIT`,
      );
      this.#db.exec('BEGIN IMMEDIATE');
    } catch (error) {
      const holder = holderOf(this.#db);
      this.#db.close();
      if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error;
      const text = `${path} is in use by ${holder}; stop it first, or choose another data directory`;
      throw new Fault(STORE_IN_USE, text, { cause: error });
    }
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

function holderOf(db: Database.Database): string {
  try {
    const holder = db.prepare('SELECT process FROM holder').pluck().get() as number | undefined;
    if (holder !== undefined) return `process ${holder}`;
  } catch {
    // it is just writing its name
  }
  return 'another process';
}

function ownProcessId(): number {
  return Number(readlinkSync('/proc/self'));
}
