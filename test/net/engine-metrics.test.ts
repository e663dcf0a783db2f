import { expect, test } from 'vitest';
import { SlowRing, slowRingMemory } from '../../dns/server/native/slow-ring.ts';
import { Registry } from '../../src/base/metrics.ts';
import { EngineMetrics } from '../../src/net/engine-metrics.ts';

const SLOTS = 8;

test('what a full ring sheds is counted, and stays counted when its thread has gone', async () => {
  const registry = new Registry();
  const metrics = EngineMetrics.on(registry);
  const push = (ring: SlowRing, count: number): void => {
    for (let i = 0; i < count; i++) ring.push(Uint8Array.of(i), 1, () => {});
  };
  const shed = async (): Promise<number> => {
    const line = /^weft_engine_shed_total\{worker="dns receiver"\} (\d+)$/m.exec(await registry.metrics());
    return Number(line?.[1]);
  };
  const [first, second] = [1, 2].map(() => new SlowRing(slowRingMemory(SLOTS, 16)));
  const followed = [first, second].map((ring) => metrics.follow('dns receiver', { shed: () => ring!.shed }));
  expect(await shed()).toBe(0);
  push(first!, SLOTS + 3);
  push(second!, SLOTS + 1);
  expect(await shed()).toBe(4);
  expect(await shed()).toBe(4);
  push(first!, 2);
  followed[0]![Symbol.dispose]();
  push(first!, 10);
  expect(await shed()).toBe(6);
});

test('a registry has one set of them, whoever asks', async () => {
  const registry = new Registry();
  EngineMetrics.on(registry).acceptFailed('relay', 'EMFILE');
  EngineMetrics.on(registry).acceptFailed('relay', 'EMFILE');
  EngineMetrics.on(registry).lost('relay', 'stuck');
  EngineMetrics.on(registry).restarted('relay');
  const said = await registry.metrics();
  expect(said).toContain('weft_engine_accept_failures_total{worker="relay",errno="EMFILE"} 2');
  expect(said).toContain('weft_engine_worker_losses_total{worker="relay",reason="stuck"} 1');
  expect(said).toContain('weft_engine_worker_restarts_total{worker="relay"} 1');
});
