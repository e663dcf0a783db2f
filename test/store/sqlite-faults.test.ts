import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import { backupSqliteFile, readSqliteSnapshot } from '../../src/store/sqlite/snapshot.ts';
import { bytes, collect, expectFault, keysOf } from '../support/store-calls.ts';

const LOAD = fileURLToPath(new URL('../support/store-load.ts', import.meta.url));
const deps = { clock: systemClock, log: silentLogger };
let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-faults-'));
  path = join(folder, 'store.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the write load in a mount namespace of its own, set up by `prepare`, perhaps under another program. */
function loadIn(prepare: string, under = '', writers = 4): { lines: string[]; text: string } {
  const script = `${prepare}\necho go | ${under} ${process.execPath} ${LOAD} ${path} 0 ${writers}`;
  const run = spawnSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8', timeout: 25_000 });
  return { lines: run.stdout.split('\n'), text: run.stdout + run.stderr };
}

const needsRoot = (): string | undefined => {
  const probe = spawnSync('unshare', ['-m', 'true']);
  return probe.status === 0 ? undefined : 'mount namespaces need root';
};

describe('the disk', () => {
  it('when full refuses writes, loses nothing, keeps reading, and goes on when there is room', async ({
    skip,
  }) => {
    const why = needsRoot();
    if (why) return skip(why);
    const room = `mount -t tmpfs -o size=3m tmpfs ${folder}`;
    const { lines, text } = loadIn(`${room}; trap 'ls -l ${folder} >&2' EXIT`);
    const failures = lines.filter((line) => line.startsWith('failed'));
    expect(failures, text).toHaveLength(4);
    for (const failure of failures)
      expect(failure).toMatch(/STORE_FULL no space left for .* nothing was written/);
    expect(lines.filter((line) => line.startsWith('put ')).length).toBeGreaterThan(500);
    expect(text).toContain('readable 4');
  });

  it('when at its quota refuses with STORE_FULL and takes writes again after a compaction', async () => {
    await using store = await openSqliteStore(deps, { path, sizeMaxBytes: 1_000_000 });
    const value = new Uint8Array(100_000);
    const put = async (): Promise<unknown> => {
      for (let i = 0; i < 50; i++) {
        const error = await store.put('/a', value).catch((reason: unknown) => reason);
        if (error instanceof Error) return error;
      }
      return undefined;
    };
    expect(await put()).toMatchObject({ code: 'STORE_FULL' });
    const revision = await store.currentRevision();
    expect((await store.get('/a')).entry?.modRevision).toBe(revision);
    expect(store.stats().failedCommits).toBe(1);
    await store.compact(revision);
    const result = await store.put('/a', value);
    expect(result).toMatchObject({ ok: true, revision: revision + 1 });
  });

  it('when a sync fails reports the outcome as unknown and takes no more writes', async ({ skip }) => {
    const why =
      needsRoot() ?? (spawnSync('strace', ['-V']).status === 0 ? undefined : 'strace is not installed');
    if (why) return skip(why);
    const inject =
      'strace -qq -f -o /dev/null -e trace=fdatasync,fsync -e inject=fdatasync,fsync:error=EIO:when=40+';
    const { lines, text } = loadIn('true', inject);
    const failures = lines.filter((line) => line.startsWith('failed'));
    expect(failures, text).toHaveLength(4);
    expect(
      failures.some((line) => line.includes('STORE_OUTCOME_UNKNOWN')),
      text,
    ).toBe(true);
    expect(text).toMatch(/again STORE_UNAVAILABLE .*restart to recover/);
    const acknowledged = lines
      .filter((line) => line.startsWith('put '))
      .map((line) => Number(line.split(' ')[3]));
    await using store = await openSqliteStore(deps, { path });
    expect(await store.currentRevision()).toBeGreaterThanOrEqual(Math.max(...acknowledged));
  });

  it('is synced before each acknowledgement', async ({ skip }) => {
    const why =
      needsRoot() ?? (spawnSync('strace', ['-V']).status === 0 ? undefined : 'strace is not installed');
    if (why) return skip(why);
    const log = join(folder, 'calls');
    const filter = `-e trace=pwrite64,write,fdatasync,fsync -e inject=fdatasync,fsync:error=EIO:when=80+`;
    loadIn('true', `strace -qq -f -y -s 60 -o ${log} ${filter}`, 1);
    const calls = spawnSync('cat', [log], { encoding: 'utf8' }).stdout.split('\n');
    let synced = false;
    let acknowledged = 0;
    for (const call of calls) {
      if (/(fdatasync|fsync)\(.*store\.db-wal>\) += 0|(fdatasync|fsync) resumed>\) += 0/.test(call))
        synced = true;
      if (!/write\(1<.*"(put|delete) /.test(call)) continue;
      expect(synced, call).toBe(true);
      synced = false; // one writer: each acknowledgement needs a sync of its own
      acknowledged++;
    }
    expect(acknowledged).toBeGreaterThan(15);
  });

  it.for([
    [
      'read-only file system',
      'mount -t tmpfs -o ro tmpfs FOLDER',
      /read-only; choose a writable data directory/,
    ],
    ['file in place of its directory', 'rm -r FOLDER; touch FOLDER', /not a directory/],
  ] as const)('that is a %s gets one clear sentence', ([, prepare, message], { skip }) => {
    const why = needsRoot();
    if (why) return skip(why);
    const inner = join(folder, 'data');
    mkdirSync(inner);
    path = join(inner, 'store.db');
    expect(loadIn(prepare.replaceAll('FOLDER', inner)).text).toMatch(message);
  });
});

describe('the file', () => {
  it('is open in one process at a time', async () => {
    await using first = await openSqliteStore(deps, { path });
    await first.put('/a', bytes('1'));
    const second = openSqliteStore(deps, { path });
    await expectFault(second, 'STORE_IN_USE');
    await expect(second).rejects.toThrow(`in use by process ${process.pid}`);
    expect(loadIn('true').text).toContain(`in use by process ${process.pid}`);
    await first[Symbol.asyncDispose]();
    await using third = await openSqliteStore(deps, { path });
    expect((await third.range('')).count).toBe(1);
  });

  it('is readable by its owner only', async () => {
    await using _store = await openSqliteStore(deps, { path });
    for (const part of ['', '-wal', '-shm']) expect(statSync(path + part).mode & 0o077).toBe(0);
  });

  const damages: readonly (readonly [string, string, RegExp])[] = [
    [
      'a value changed',
      "UPDATE writes SET value = x'00' WHERE revision = 3",
      /revision 3 has a wrong checksum/,
    ],
    ['a write is missing', 'DELETE FROM writes WHERE revision = 3', /revision 3 is missing/],
    ['it has a schema of the future', 'PRAGMA user_version = 99', /schema version 99/],
    ['it belongs to another program', 'PRAGMA application_id = 7', /another program/],
  ];
  it.each(damages)('says what to do when %s', async (_name, sql, message) => {
    await fill();
    const db = new Database(path);
    db.exec(sql);
    db.close();
    await expectFault(openSqliteStore(deps, { path }), 'STORE_CORRUPT');
    await expect(openSqliteStore(deps, { path })).rejects.toThrow(message);
  });

  it('is recognised as damaged when bytes of a page are overwritten or it is no database', async () => {
    await fill();
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(4000, 0x55), 0, 4000, 16_384 * 6 + 4000);
    closeSync(file);
    await expectFault(openSqliteStore(deps, { path }), 'STORE_CORRUPT');
    writeFileSync(join(folder, 'text.db'), 'no database at all '.repeat(100));
    const other = openSqliteStore(deps, { path: join(folder, 'text.db') });
    await expectFault(other, 'STORE_CORRUPT');
    await expect(other).rejects.toThrow(/keep the file, restore a backup, or move it away/);
    await expectFault(openSqliteStore(deps, { path: folder }), 'STORE_OPEN_FAILED');
  });

  it('is copied whole while writes go on, by the store and from outside', async () => {
    await using store = await openSqliteStore(deps, { path });
    const stop = new AbortController();
    const writing = (async () => {
      for (let i = 0; !stop.signal.aborted; i++) await store.put(`/k/${i % 500}`, new Uint8Array(5000));
    })();
    const from = await store.currentRevision();
    for (const [name, copy] of [
      ['inside.db', (target: string) => store.backup(target)],
      ['outside.db', (target: string) => backupSqliteFile(path, target)],
    ] as const) {
      const target = join(folder, name);
      await copy(target);
      const { versions } = readSqliteSnapshot(target);
      expect(versions.revision).toBeGreaterThanOrEqual(from);
      expect(versions.log.size).toBe(versions.revision - 1);
      expect(existsSync(`${target}.partial`)).toBe(false);
      await expectFault(copy(target), 'STORE_OPEN_FAILED');
    }
    stop.abort();
    await writing;
    await expectFault(store.backup(join(folder, 'none', 'x.db')), 'STORE_OPEN_FAILED');
  });

  it('shrinks its history by compaction, also one that was interrupted', async () => {
    await fill();
    const db = new Database(path);
    db.exec("UPDATE meta SET value = 20 WHERE name = 'compacted'"); // as if killed right after this commit
    db.close();
    await using store = await openSqliteStore(deps, { path });
    expect(store.compactedRevision()).toBe(20);
    await expectFault(store.get('/k/1', 19), 'STORE_COMPACTED');
    const kept = await collect(store, '', 20, 11);
    expect(kept).toHaveLength(11);
    await store.compact(await store.currentRevision());
    const { entries, count } = await store.range('');
    await store[Symbol.asyncDispose]();
    const rows = new Database(path, { readonly: true });
    expect(rows.prepare('SELECT count(*) FROM writes').pluck().get()).toBe(count);
    rows.close();
    await using again = await openSqliteStore(deps, { path });
    expect((await again.range('')).entries).toEqual(entries);
  });
});

/** Thirty revisions over seven keys, one of them deleted. */
async function fill(): Promise<void> {
  await using store = await openSqliteStore(deps, { path });
  for (let i = 0; i < 29; i++) await store.put(`/k/${i % 7}`, new Uint8Array(3000).fill(i));
  await store.delete('/k/6');
  expect(keysOf(await store.range(''))).toHaveLength(6);
}
