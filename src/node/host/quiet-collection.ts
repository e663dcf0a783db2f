import { setFlagsFromString } from 'node:v8';
import type { Clock } from '../../base/clock.ts';
import { repeat } from '../../base/repeat.ts';

/** How often a look is taken. */
export const LOOK_INTERVAL_MS = 2_000;
/** Share of the event loop's time below which a process is quiet. */
export const QUIET_UTILIZATION = 0.05;
/** Memory worth a collection: grown by this much, and by this share of what the last one left. */
export const WORTH_BYTES = 16 * 1024 * 1024;
export const WORTH_SHARE = 0.1;
/** A busy process collects its old generation when that has grown by this share since the last time. */
export const GROWTH_SHARE = 0.25;
/** A small one may grow by more: a quarter of little is a pause, which all clients feel, for next to nothing. */
export const GROWTH_MIN_BYTES = 96 * 1024 * 1024;
export const GROWTH_SHARE_MAX = 2;

export interface QuietCollectionDeps {
  readonly clock: Clock;
  /** Busy share of the event loop since the last call, 0 to 1. */
  readonly utilization: () => number;
  /** Bytes the heap and the buffers take now. */
  readonly usedBytes: () => number;
  /** A full collection, freed memory given back. */
  readonly collect: () => Promise<void>;
  /** Called at each look: how much the old generation may grow depends on its size. */
  readonly boundGrowth: () => void;
}

/**
 * Collects garbage when nobody waits. V8 collects when it allocates: after a burst (a start, a roll-out) what the
 * burst left stays until the next one, and a server that is small on average is not small to its neighbours.
 */
export function collectWhenQuiet(deps: QuietCollectionDeps): Disposable {
  let leftBytes = 0;
  const look = async (): Promise<void> => {
    deps.boundGrowth();
    const used = deps.usedBytes();
    const grownBytes = used - leftBytes;
    if (deps.utilization() > QUIET_UTILIZATION) return;
    if (grownBytes < WORTH_BYTES || grownBytes < leftBytes * WORTH_SHARE) return;
    await deps.collect();
    leftBytes = deps.usedBytes();
  };
  return repeat(deps.clock, LOOK_INTERVAL_MS, look);
}

/** The deps in this process; undefined when Node was started without --expose-gc (the launcher gives it). */
export function processMemory(): Omit<QuietCollectionDeps, 'clock'> | undefined {
  const { gc } = globalThis;
  if (!gc) return undefined;
  let last = performance.eventLoopUtilization();
  let percent = 0;
  return {
    utilization: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    usedBytes: () => {
      const { heapTotal, external } = process.memoryUsage();
      return heapTotal + external;
    },
    collect: async () => await gc({ type: 'major', execution: 'async', flavor: 'last-resort' }),
    boundGrowth: () => {
      const wanted = Math.ceil(growthShare(process.memoryUsage().heapUsed) * 100);
      // V8 reads it at the end of each collection.
      if (wanted !== percent) setFlagsFromString(`--heap-growing-percent=${wanted}`);
      percent = wanted;
    },
  };
}

/** By which share of itself a heap of this size may grow until it is collected. */
export function growthShare(heapBytes: number): number {
  return Math.min(GROWTH_SHARE_MAX, Math.max(GROWTH_SHARE, GROWTH_MIN_BYTES / heapBytes));
}
