import type { Clock } from '../../../base/clock.ts';
import { messageOf } from '../../../base/fault.ts';
import type { Logger } from '../../../base/log.ts';
import type { NodeUsage, Usage, UsageSource } from '../../kinds/usage.ts';
import { USAGE_INTERVAL_MS } from '../limits.ts';

/** Use over a window of time. */
export interface UsageRate {
  readonly cpuCores: number;
  readonly workingSetBytes: number;
  readonly windowMs: number;
}

/** What was measured last. */
export interface MeasuredUsage {
  readonly atMs: number;
  readonly nodeName: string;
  /** Undefined until the node was read twice. */
  readonly node: UsageRate | undefined;
  readonly containers: readonly ContainerRate[];
}

export interface ContainerRate extends UsageRate {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** Reads a node each 15 s and keeps two readings: CPU use is the difference of two counters. */
export class UsageRates implements Disposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #read: UsageSource;
  #previous: NodeUsage | undefined;
  #current: NodeUsage | undefined;
  #timer: Disposable | undefined;

  constructor(deps: { readonly clock: Clock; readonly log: Logger }, read: UsageSource) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#read = read;
    this.#sample();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  /** The newest reading, with what is computed from it and the one before. */
  latest(): { readonly reading: NodeUsage; readonly rates: MeasuredUsage } | undefined {
    const reading = this.#current;
    return reading && { reading, rates: measured(reading, this.#previous) };
  }

  #sample(): void {
    try {
      const reading = this.#read();
      this.#previous = this.#current;
      this.#current = reading;
    } catch (error) {
      this.#log.warn('usage not read', { reason: messageOf(error) });
    }
    this.#timer = this.#clock.setTimer(USAGE_INTERVAL_MS, () => this.#sample());
  }
}

/** A container that was not in the reading before counts from its start, when that is not long ago. */
export function measured(now: NodeUsage, before: NodeUsage | undefined): MeasuredUsage {
  const known = new Map(before?.containers.map((one) => [keyOf(one), one]));
  const containers = now.containers.flatMap((one): ContainerRate[] => {
    const { namespace, pod, container, startedAtMs } = one;
    const earlier = known.get(keyOf(one));
    const since =
      before && earlier && earlier.startedAtMs >= startedAtMs - SAME_START_MS
        ? { atMs: before.atMs, cpuSeconds: earlier.cpuSeconds }
        : { atMs: startedAtMs, cpuSeconds: 0 };
    const rate = now.atMs - since.atMs <= WINDOW_MAX_MS ? rateOf(one, now.atMs, since) : undefined;
    return rate ? [{ namespace, pod, container, ...rate }] : [];
  });
  const node =
    before && rateOf(now.node, now.atMs, { atMs: before.atMs, cpuSeconds: before.node.cpuSeconds });
  return { atMs: now.atMs, nodeName: now.nodeName, node, containers };
}

/** Start times are computed from the clock of each reading and differ by that much at most. */
const SAME_START_MS = 1_000;
const WINDOW_MIN_MS = 1_000;
/** Longer averages say little about now: an adopted container waits for a second reading. */
const WINDOW_MAX_MS = 2 * USAGE_INTERVAL_MS;

const keyOf = ({
  namespace,
  pod,
  container,
}: {
  namespace: string;
  pod: string;
  container: string;
}): string => `${namespace}/${pod}/${container}`;

function rateOf(
  { cpuSeconds, workingSetBytes }: Usage,
  atMs: number,
  since: { readonly atMs: number; readonly cpuSeconds: number },
): UsageRate | undefined {
  const windowMs = atMs - since.atMs;
  if (windowMs < WINDOW_MIN_MS) return undefined;
  // Counters fall when a process ends that nobody waited for.
  const cpuCores = Math.max(0, cpuSeconds - since.cpuSeconds) / (windowMs / 1000);
  return { cpuCores, workingSetBytes, windowMs };
}
