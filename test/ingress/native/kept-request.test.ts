import { expect, test } from 'vitest';
import { KeptRequest } from '../../../ingress/native/kept-request.ts';
import { KeptSlots } from '../../../ingress/native/kept-slots.ts';
import { KEPT_BYTES_MAX, KEPT_SLOT_BYTES, KEPT_SLOTS } from '../../../ingress/native/limits.ts';
import { COUNT } from '../../../ingress/native/messages.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { EngineMetrics } from '../../../src/net/engine-metrics.ts';
import { Arena } from '../../../src/net/native/arena.ts';

const READ_BYTES = 2 * KEPT_BYTES_MAX;

function memory() {
  const arena = new Arena(READ_BYTES + KEPT_SLOTS * KEPT_SLOT_BYTES);
  const readAt = arena.allocate(READ_BYTES);
  for (let i = 0; i < READ_BYTES; i++) arena.bytes[readAt + i] = (i * 7) & 255;
  const counts = new Float64Array(COUNT.WORDS);
  return { bytes: arena.bytes, readAt, counts, slots: new KeptSlots(arena, counts) };
}

test.for([
  ['nothing', 0],
  ['what fits a slot', KEPT_SLOT_BYTES],
  ['one byte more', KEPT_SLOT_BYTES + 1],
  ['the longest', KEPT_BYTES_MAX],
] as const)('%s is kept byte for byte, in pieces too', ([_what, sizeBytes]) => {
  const { bytes, readAt, slots } = memory();
  const kept = new KeptRequest(slots);
  for (const pieceBytes of [sizeBytes, 1_000, 333]) {
    kept.begin();
    for (let at = 0; at < sizeBytes; at += pieceBytes)
      kept.add(readAt + at, readAt + Math.min(sizeBytes, at + pieceBytes));
    expect(kept.isWhole).toBe(true);
    expect(kept.bytes.equals(bytes.subarray(readAt, readAt + sizeBytes))).toBe(true);
    kept.end();
  }
});

test('a request that is too long is whole no more, its head stays', () => {
  const { bytes, readAt, slots } = memory();
  const kept = new KeptRequest(slots);
  kept.begin();
  kept.add(readAt, readAt + 100);
  kept.add(readAt + 100, readAt + KEPT_BYTES_MAX + 1);
  expect(kept.isWhole).toBe(false);
  expect(kept.bytes.equals(bytes.subarray(readAt, readAt + 100))).toBe(true);
});

test('requests beyond the slots are kept beside the arena, and counted', async () => {
  const { bytes, readAt, slots, counts } = memory();
  const registry = new Registry();
  using _followed = EngineMetrics.on(registry).follow('ingress worker', {
    arenaFull: () => counts[COUNT.ARENA_FULL]!,
  });
  const all = Array.from({ length: KEPT_SLOTS + 3 }, () => new KeptRequest(slots));
  for (const [i, kept] of all.entries()) {
    kept.begin();
    kept.add(readAt + i, readAt + i + 50);
  }
  for (const [i, kept] of all.entries())
    expect(kept.bytes.equals(bytes.subarray(readAt + i, readAt + i + 50))).toBe(true);
  expect(await registry.metrics()).toContain('weft_engine_arena_full_total{worker="ingress worker"} 3');
  for (const kept of all) {
    kept.end();
    kept.end(); // gives nothing back twice
  }
  for (const kept of all.slice(0, KEPT_SLOTS)) kept.begin();
  expect(counts[COUNT.ARENA_FULL]).toBe(3);
});
