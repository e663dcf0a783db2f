import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../src/base/log.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import { storeSuite } from '../suites/store.ts';
import { FakeClock } from '../support/fake-clock.ts';

storeSuite({
  name: 'sqlite',
  durable: true,
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'weft-store-'));
    const clock = new FakeClock();
    const openFile = () => openSqliteStore({ clock, log: silentLogger }, { path: join(folder, 'store.db') });
    let store = await openFile();
    return {
      get store() {
        return store;
      },
      elapse: (durationMs: number) => clock.advance(durationMs),
      async reopen() {
        await store[Symbol.asyncDispose]();
        return (store = await openFile());
      },
      async [Symbol.asyncDispose]() {
        await store[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true });
      },
    };
  },
});
