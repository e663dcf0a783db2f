import { expect, it } from 'vitest';
import { silentLogger } from '../../src/base/log.ts';
import { Registry } from '../../src/base/metrics.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { registerStoreMetrics } from '../../src/store/metrics.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { bytes } from '../support/store-calls.ts';

it('exports what the store counts', async () => {
  await using store = openMemoryStore({ clock: new FakeClock(), log: silentLogger });
  const registry = new Registry();
  registerStoreMetrics(registry, store);
  await Promise.all([store.put('/a', bytes('12345')), store.put('/b', bytes('1')), store.delete('/b')]);
  const text = await registry.metrics();
  expect(text).toMatch(/^weft_store_revision 4$/m);
  expect(text).toMatch(/^weft_store_keys 1$/m);
  expect(text).toMatch(/^weft_store_value_bytes 5$/m);
  expect(text).toMatch(/^weft_store_writes_total 3$/m);
  expect(text).toMatch(/^weft_store_failed_commits_total 0$/m);
  const commits = /^weft_store_commits_total (\d+)$/m.exec(text)?.[1];
  expect(text).toContain(`weft_store_commit_seconds_bucket{le="+Inf"} ${commits}`);
  expect(text).toContain(`weft_store_commit_writes_sum 3`);
});

it('says nothing of what the store cannot know', async () => {
  await using store = openMemoryStore({ clock: new FakeClock(), log: silentLogger });
  const registry = new Registry();
  const { keys: _, ...stats } = store.stats();
  registerStoreMetrics(registry, { stats: () => stats });
  const text = await registry.metrics();
  expect(text).toContain('weft_store_revision 1');
  expect(text).not.toContain('weft_store_keys');
});
