import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RawWrite } from '../../src/store/sqlite/frames.ts';
import { CHECKPOINT_WAL_BYTES, StoreFile } from '../../src/store/sqlite/store-file.ts';

function write(revision: number, sizeBytes: number): RawWrite {
  const value = Buffer.alloc(sizeBytes);
  return { revision, key: Buffer.from(`/${revision}`), value, createRevision: revision, leaseId: 0 };
}

test('the log moves to the main file when it holds enough, not at each commit from then on', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-store-file-'));
  try {
    const path = join(folder, 'store.db');
    using file = new StoreFile({ path, sizeMaxBytes: 0 });
    const movedBytes = (): number => statSync(path).size;
    const commit = (revision: number, sizeBytes: number): void => {
      file.commit([write(revision, sizeBytes)], [], []);
      file.checkpointIfDue();
    };
    commit(1, 100);
    expect(movedBytes()).toBeLessThan(CHECKPOINT_WAL_BYTES);
    commit(2, CHECKPOINT_WAL_BYTES);
    const once = movedBytes();
    expect(once).toBeGreaterThan(CHECKPOINT_WAL_BYTES);
    for (let revision = 3; revision < 20; revision++) commit(revision, 20_000);
    expect(movedBytes()).toBe(once);
    commit(20, CHECKPOINT_WAL_BYTES);
    expect(movedBytes()).toBeGreaterThan(once + CHECKPOINT_WAL_BYTES);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
