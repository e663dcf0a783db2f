import { describe, expect, it } from 'vitest';
import { Gathering } from '../../../src/net/native/gathering.ts';

const OPTIONS = { busyPerMs: 50, largeBatch: 32, pauseMicroseconds: 100 } as const;
const PAUSE_MS = OPTIONS.pauseMicroseconds / 1_000;

interface Load {
  readonly perMs: number;
  readonly batch: number;
  readonly forMs: number;
  /** Clients ask again once they have their answer, and so not during a pause. */
  readonly waits?: boolean;
}

/** A thread under one load after the other; for each, in what part of the milliseconds it paused. */
function paused(...loads: readonly Load[]): readonly number[] {
  const gathering = new Gathering(OPTIONS);
  let nowMs = 1_000;
  return loads.map(({ perMs, batch, forMs, waits }) => {
    const startMs = nowMs;
    let pausedMs = 0;
    while (nowMs < startMs + forMs) {
      const plainMs = batch / perMs;
      const pausedStepMs = waits ? plainMs + PAUSE_MS : Math.max(plainMs, PAUSE_MS);
      const pauses = gathering.pays;
      const stepMs = pauses ? pausedStepMs : plainMs;
      const count = pauses && !waits ? Math.round(perMs * stepMs) : batch;
      if (pauses) pausedMs += stepMs;
      nowMs += stepMs;
      gathering.took(count, nowMs);
    }
    return pausedMs / forMs;
  });
}

describe('gathering of datagrams', () => {
  it('leaves a thread alone that is not busy', () => {
    expect(paused({ perMs: 40, batch: 2, forMs: 1_000 })).toEqual([0]);
  });

  it('takes a single burst as it comes', () => {
    const gathering = new Gathering(OPTIONS);
    gathering.took(1, 1_000);
    const told = Array.from({ length: 20 }, (_batch, i) => {
      gathering.took(10, 1_000 + i / 100);
      return gathering.pays;
    });
    expect(told).not.toContain(true);
  });

  it('pauses under a load that comes whether it does or not', () => {
    expect(paused({ perMs: 100, batch: 4, forMs: 2_000 })[0]).toBeGreaterThan(0.85);
  });

  it('does not while batches are large', () => {
    expect(paused({ perMs: 300, batch: 40, forMs: 1_000 })).toEqual([0]);
  });

  it('hardly does where clients wait for their answers', () => {
    const [part] = paused({ perMs: 100, batch: 4, forMs: 5_000, waits: true });
    expect(part).toBeGreaterThan(0);
    expect(part).toBeLessThan(0.1);
  });

  it('stops when the load is over, and begins anew with the next', () => {
    const load = { perMs: 100, batch: 4, forMs: 2_000 };
    const [busy, calm, again] = paused(load, { perMs: 10, batch: 2, forMs: 2_000 }, load);
    expect(busy).toBeGreaterThan(0.85);
    expect(calm).toBeLessThan(0.05);
    expect(again).toBeGreaterThan(0.85);
  });
});
