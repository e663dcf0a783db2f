import { describe, expect, it } from 'vitest';
import {
  collectWhenQuiet,
  GROWTH_MIN_BYTES,
  GROWTH_SHARE,
  GROWTH_SHARE_MAX,
  growthShare,
  LOOK_INTERVAL_MS,
  WORTH_BYTES,
} from '../../src/node/host/quiet-collection.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('collection of garbage', () => {
  it('comes when the process is quiet and there is something to gain, and not again for the same', async () => {
    const clock = new FakeClock();
    let [busy, used, collections, looked] = [1, WORTH_BYTES * 20, 0, 0];
    const collecting = collectWhenQuiet({
      clock,
      utilization: () => busy,
      usedBytes: () => used,
      collect: async () => {
        collections++;
        used -= WORTH_BYTES * 5;
      },
      boundGrowth: () => looked++,
    });
    const looks = async (count: number): Promise<number> => {
      const before = collections;
      await clock.advance(count * LOOK_INTERVAL_MS);
      return collections - before;
    };
    expect(await looks(10)).toBe(0); // busy
    busy = 0.01;
    expect(await looks(10)).toBe(1);
    used += WORTH_BYTES - 1; // too little
    expect(await looks(10)).toBe(0);
    used += WORTH_BYTES; // more than a tenth of what was left
    expect(await looks(10)).toBe(1);
    collecting[Symbol.dispose]();
    used *= 2;
    expect(await looks(10)).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    expect(looked).toBe(40);
  });

  it('lets a small heap grow by more than itself, and a large one grow by a quarter', () => {
    expect(growthShare(GROWTH_MIN_BYTES / 4)).toBe(GROWTH_SHARE_MAX);
    expect(growthShare(GROWTH_MIN_BYTES * 2)).toBe(0.5);
    expect(growthShare(GROWTH_MIN_BYTES * 100)).toBe(GROWTH_SHARE);
  });
});
