import type { Pod } from '../../api/kinds/pod.ts';
import { hasIndex } from './job-indexes.ts';
import {
  earlierFailures,
  hasFailed,
  indexOf,
  isIndexed,
  jobPod,
  newestByIndex,
  retryAtMs,
} from './job-pods.ts';
import { type JobWork, removePod } from './job-work.ts';
import { MAX_PODS_PER_RECONCILE } from '../limits.ts';
import { createPod, isNamespaceTerminating, slowStart } from '../pod-control.ts';
import { deletionOrder } from '../pod-state.ts';

/** What a round made of the Job's pods. */
export interface PodsKept {
  readonly active: number;
  /** When a waiting retry is due, ms since the epoch. */
  readonly lookAtMs?: number;
  readonly failure?: unknown;
}

/** Creates the pods that are missing and deletes those beyond parallelism or what is left to do. */
export async function keepPods(work: JobWork): Promise<PodsKept> {
  const { job, active, context } = work;
  const surplus = surplusPods(work);
  for (const pod of surplus.slice(0, MAX_PODS_PER_RECONCILE)) await removePod(work, pod);
  if (surplus.length > 0) return { active: active.length - surplus.length };
  // With podReplacementPolicy Failed a pod on its way out still holds its place.
  const holding = job.spec.podReplacementPolicy === 'Failed' ? work.terminating.length : 0;
  const missing = Math.min(wantedActive(work) - active.length - holding, MAX_PODS_PER_RECONCILE);
  if (missing <= 0) return { active: active.length };
  const perIndex = job.spec.backoffLimitPerIndex !== undefined;
  const nowMs = context.clock.nowMs();
  const retryMs = perIndex ? 0 : retryAtMs(job, work.pods);
  if (retryMs > nowMs) return { active: active.length, lookAtMs: retryMs };
  const { pods, lookAtMs } = nextPods(work, missing, nowMs);
  const { succeeded, failure } = await slowStart(pods.length, async (at) => {
    const pod = pods[at];
    if (pod) work.writes.wrote(work.key, await createPod(context, job, pod));
  });
  return {
    active: active.length + succeeded,
    ...(lookAtMs !== undefined && { lookAtMs }),
    ...(failure !== undefined && !isNamespaceTerminating(failure) && { failure }),
  };
}

/** How many pods should run now. */
function wantedActive({ job, account, active }: JobWork): number {
  const { parallelism = 1, completions } = job.spec;
  const succeeded = account.succeeded + account.uncountedSucceeded.length;
  // A work queue: its pods know when it is empty, one success says so.
  if (completions === undefined) return succeeded > 0 ? Math.min(active.length, parallelism) : parallelism;
  const over = account.failedIndexes.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  return Math.max(0, Math.min(parallelism, completions - succeeded - over));
}

/** Pods of an index that is done, out of range or taken by an older pod; then those beyond the wanted number. */
function surplusPods(work: JobWork): Pod[] {
  const { job, active, account } = work;
  const leaving = new Set<Pod>();
  if (isIndexed(job)) {
    const taken = new Set<number>();
    for (const pod of active.toSorted(byCreation)) {
      const index = indexOf(pod);
      const idle =
        index === undefined ||
        index >= (job.spec.completions ?? 0) ||
        taken.has(index) ||
        hasIndex(account.completed, index) ||
        hasIndex(account.failedIndexes, index);
      if (idle) leaving.add(pod);
      else taken.add(index);
    }
  }
  const rest = active.filter((pod) => !leaving.has(pod));
  const excess = rest.length - wantedActive(work);
  if (excess > 0) for (const pod of deletionOrder(rest).slice(0, excess)) leaving.add(pod);
  return [...leaving];
}

function byCreation(a: Pod, b: Pod): number {
  return (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1;
}

function nextPods(work: JobWork, count: number, nowMs: number): { pods: readonly Pod[]; lookAtMs?: number } {
  const { job, account } = work;
  if (!isIndexed(job)) return { pods: Array.from({ length: count }, () => jobPod(job, undefined, 0)) };
  const holding = job.spec.podReplacementPolicy === 'Failed' ? work.terminating : [];
  const taken = new Set([...work.active, ...holding].map(indexOf));
  const newest = newestByIndex(work.pods);
  const byIndex = Map.groupBy(work.pods, indexOf);
  const perIndex = job.spec.backoffLimitPerIndex !== undefined;
  const pods: Pod[] = [];
  let lookAtMs = Infinity;
  for (let index = 0; index < (job.spec.completions ?? 0) && pods.length < count; index++) {
    if (taken.has(index) || hasIndex(account.completed, index)) continue;
    if (hasIndex(account.failedIndexes, index)) continue;
    const retryMs = perIndex ? retryAtMs(job, byIndex.get(index) ?? []) : 0;
    if (retryMs > nowMs) {
      lookAtMs = Math.min(lookAtMs, retryMs);
      continue;
    }
    const last = newest.get(index);
    const failures = last ? earlierFailures(last) + (hasFailed(job, last) ? 1 : 0) : 0;
    pods.push(jobPod(job, index, failures));
  }
  return { pods, ...(Number.isFinite(lookAtMs) && { lookAtMs }) };
}
