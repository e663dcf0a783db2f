import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import { STORE_CORRUPT } from '../../src/store/store.ts';
import { DISK_LOG_OPTIONS, diskAfter, type DiskStep, readDiskLog } from '../support/disk-log.ts';
import { collect, textOf } from '../support/store-calls.ts';

const LOAD = fileURLToPath(new URL('../support/store-load.ts', import.meta.url));
const deps = { clock: systemClock, log: silentLogger };
/** Syncs the load may make before the disk fails and ends it: several of them are checkpoints. */
const SYNCS = 300;
const CUTS = 12;

let folder = '';
let steps: DiskStep[] = [];
/** Why nothing was recorded. */
let missing: string | undefined;

/** Runs the write load once under strace; every test replays its own power cuts of that one run. */
beforeAll(() => {
  if (spawnSync('strace', ['-V']).status !== 0) missing = 'strace is not installed';
  folder = mkdtempSync(join(tmpdir(), 'weft-power-'));
  if (missing) return;
  const [path, log] = [join(folder, 'store.db'), join(folder, 'calls')];
  const end = ['-e', `inject=fdatasync,fsync:error=EIO:when=${SYNCS}+`];
  const args = [...DISK_LOG_OPTIONS, ...end, '-o', log, process.execPath, LOAD, path, '0', '4', '6000'];
  spawnSync('strace', args, { input: 'go\n', timeout: 110_000 });
  steps = readDiskLog(log, (file) => file === path || file === `${path}-wal`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The same numbers in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Acknowledged {
  readonly type: string;
  readonly key: string;
  readonly value: string;
}

function acknowledgedBefore(after: number): Map<number, Acknowledged> {
  const found = new Map<number, Acknowledged>();
  for (const step of steps.slice(0, after)) {
    if (step.kind !== 'told') continue;
    const [type = '', key = '', value = '', revision] = step.line.split(' ');
    if (type === 'put' || type === 'delete') found.set(Number(revision), { type, key, value });
  }
  return found;
}

/** Opens what the cut left and checks its history; resolves with the newest revision, or undefined if it is damaged. */
async function openAfter(cut: Parameters<typeof diskAfter>[1], name: string): Promise<number | undefined> {
  const path = join(folder, name);
  for (const [file, bytes] of diskAfter(steps, cut)) {
    writeFileSync(path + basename(file).replace('store.db', ''), bytes);
  }
  const opened = await openSqliteStore(deps, { path }).catch((error: { code?: string }) => {
    expect(error.code).toBe(STORE_CORRUPT);
    return undefined;
  });
  if (!opened) return undefined;
  await using store = opened;
  const newest = await store.currentRevision();
  const compacted = Math.max(1, store.compactedRevision());
  const events = newest > compacted ? await collect(store, '', compacted, newest - compacted) : [];
  expect(events.map((event) => event.revision)).toEqual(events.map((_, i) => compacted + 1 + i));
  const told = acknowledgedBefore(steps.length);
  for (const event of events) {
    const write = told.get(event.revision);
    if (!write) continue; // the process ended before it could tell
    expect(event.type === 'put' ? event.entry.key : event.key).toBe(write.key);
    if (event.type === 'put') expect(textOf(event.entry.value)?.replace(/x+$/, '')).toBe(write.value);
  }
  const after = await store.put('/after', Buffer.from('x'));
  expect(after.revision).toBe(newest + 1);
  return newest;
}

/** Moments between the first acknowledgement and the end. */
function moments(count: number, random: () => number): number[] {
  const first = steps.findIndex((step) => step.kind === 'told' && step.line.startsWith('put '));
  return Array.from({ length: count }, () => first + 1 + Math.floor(random() * (steps.length - first)));
}

describe('a power cut', () => {
  it('loses nothing that was acknowledged, whatever of the rest survives', async ({ skip }) => {
    if (missing) return skip(missing);
    const random = randomFrom(7);
    const checkpoints = steps.filter((step) => step.kind === 'sync' && step.file.endsWith('.db')).length;
    expect(checkpoints).toBeGreaterThan(2);
    for (const [round, after] of moments(CUTS, random).entries()) {
      const newest = await openAfter({ after, honoured: () => true, random }, `cut-${round}.db`);
      const last = Math.max(...acknowledgedBefore(after).keys());
      expect(newest, `cut after step ${after} of ${steps.length}`).toBeGreaterThanOrEqual(last);
    }
  });

  it('on a disk that lied about syncs leaves a beginning of the history, or a file known as damaged', async ({
    skip,
  }) => {
    if (missing) return skip(missing);
    const random = randomFrom(11);
    let lost = 0;
    for (const [round, after] of moments(CUTS, random).entries()) {
      const liesFrom = after - Math.floor(random() * 400);
      const honoured = (step: number): boolean => step < liesFrom || random() < 0.3;
      const newest = await openAfter({ after, honoured, random }, `lie-${round}.db`);
      if ((newest ?? 0) < Math.max(...acknowledgedBefore(after).keys())) lost++;
    }
    expect(lost).toBeGreaterThan(0); // else the layer does not do what it says
  });
});
