import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { exportLines, importLines, type TransferTotals } from '../../src/store/export.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';

const OBJECTS = 100_000;
const deps = { clock: systemClock, log: silentLogger };

it('100,000 objects move from store to store line by line, while the first one is written to', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-export-'));
  await using from = openMemoryStore(deps);
  const value = Buffer.alloc(200, 'x');
  const key = (at: number): string => `/registry/core/configmaps/default/map-${String(at).padStart(6, '0')}`;
  for (let first = 0; first < OBJECTS; first += 1_000) {
    await Promise.all(Array.from({ length: 1_000 }, (_, at) => from.put(key(first + at), value, 0)));
  }
  const revision = await from.currentRevision();
  const totals: TransferTotals = { keys: 0, valueBytes: 0, revision: 0 };
  async function* linesUnderWrites(): AsyncGenerator<string> {
    let line = 0;
    for await (const text of exportLines(from, '', totals)) {
      // Neither a change ahead of the export nor a new key is in it: it is of one revision.
      if (line++ % 1_000 === 0) {
        await from.put(key(OBJECTS - 1), Buffer.from(`changed ${line}`));
        await from.put(`${key(0)}-late-${line}`, value);
      }
      yield text;
    }
  }
  await using to = await openSqliteStore(deps, { path: join(folder, 'store.db') });
  const imported = await importLines(to, linesUnderWrites(), { overwrite: false });
  expect(imported).toMatchObject({ keys: OBJECTS, valueBytes: OBJECTS * value.length });
  expect(totals).toMatchObject({ keys: OBJECTS, revision });
  expect((await to.range('', { limit: 1 })).count).toBe(OBJECTS);
  const last = (await to.get(key(OBJECTS - 1))).entry?.value;
  expect(last && Buffer.compare(last, value)).toBe(0);
  rmSync(folder, { recursive: true, force: true });
});
