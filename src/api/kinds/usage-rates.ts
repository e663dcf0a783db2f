import type { NodeUsage, Usage } from './usage.ts';

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
const WINDOW_MAX_MS = 30_000;

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
