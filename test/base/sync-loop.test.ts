import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/base/log.ts';
import { SyncLoop } from '../../src/base/sync-loop.ts';
import { FakeClock } from '../support/fake-clock.ts';

const options = { minIntervalMs: 1000, retryIntervalMs: 5000, maxIntervalMs: 0 };

describe('sync loop', () => {
  it('runs at once for the first mark and merges marks within the interval', async () => {
    const clock = new FakeClock();
    const runs: number[] = [];
    await using loop = new SyncLoop(
      { clock, log: silentLogger },
      options,
      async () => void runs.push(clock.monotonicMs()),
    );
    loop.mark();
    await clock.advance(1);
    loop.mark();
    loop.mark();
    await clock.advance(5000);
    expect(runs).toEqual([0, 1000]);
  });

  it('repeats a failed run after the retry interval', async () => {
    const clock = new FakeClock();
    const runs: number[] = [];
    await using loop = new SyncLoop({ clock, log: silentLogger }, options, async () => {
      runs.push(clock.monotonicMs());
      if (runs.length === 1) throw new Error('first');
    });
    loop.mark();
    await clock.advance(20_000);
    expect(runs).toEqual([0, 5000]);
  });

  it('runs on its own at the maximum interval', async () => {
    const clock = new FakeClock();
    let runs = 0;
    await using loop = new SyncLoop(
      { clock, log: silentLogger },
      { ...options, maxIntervalMs: 3000 },
      async () => {
        runs++;
      },
    );
    loop.mark();
    await clock.advance(9001);
    expect(runs).toBe(4);
  });

  it('stops its timers when disposed', async () => {
    const clock = new FakeClock();
    const loop = new SyncLoop({ clock, log: silentLogger }, options, async () => {});
    loop.mark();
    await loop[Symbol.asyncDispose]();
    expect(clock.pendingTimers).toBe(0);
  });

  it('loses no mark, however close to the end of a run it comes', async () => {
    for (let steps = 0; steps < 12; steps++) {
      const clock = new FakeClock();
      let runs = 0;
      await using loop: SyncLoop = new SyncLoop({ clock, log: silentLogger }, options, async () => {
        if (++runs > 1) return;
        void (async () => {
          for (let step = 0; step < steps; step++) await Promise.resolve();
          loop.mark();
        })();
      });
      loop.mark();
      await clock.advance(5000);
      expect([steps, runs]).toEqual([steps, 2]);
    }
  });
});
