import type { Job } from '../../api/kinds/batch.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { judgeFailure } from './job-failure-policy.ts';
import { addIndexes, countIndexes, hasIndex, type IndexIntervals, parseIndexes } from './job-indexes.ts';
import { earlierFailures, hasFailed, indexOf, isIndexed, isTracked, newestByIndex } from './job-pods.ts';
import { MAX_UNCOUNTED_PODS } from '../limits.ts';

/** What a Job's pods add up to. */
export interface JobAccount {
  readonly succeeded: number;
  readonly failed: number;
  readonly completed: IndexIntervals;
  readonly failedIndexes: IndexIntervals;
  readonly uncountedSucceeded: readonly string[];
  readonly uncountedFailed: readonly string[];
  /** Pods whose end this account holds: their finalizer may go once the account is written. */
  readonly counted: readonly Pod[];
  /** Of a FailJob rule that matched. */
  readonly failJob: string | undefined;
}

/**
 * Counts each pod's end exactly once. A finished pod's uid is first noted in status.uncountedTerminatedPods; then
 * its finalizer goes; a noted uid whose pod has no finalizer (or is gone) becomes part of the counter, in the
 * same write that drops the note. Indexes that succeeded are noted by their number instead.
 */
export function accountFor(job: Job, pods: readonly Pod[]): JobAccount {
  const { status = {} } = job;
  const noted = status.uncountedTerminatedPods ?? {};
  const { succeeded = [], failed = [] } = noted;
  const tracked = pods.filter(isTracked);
  const uids = new Set(tracked.map(({ metadata }) => metadata.uid));
  const ends = new PodEnds(job, {
    succeeded: succeeded.filter((uid) => uids.has(uid)),
    failed: failed.filter((uid) => uids.has(uid)),
  });
  const counters = {
    succeeded: (status.succeeded ?? 0) + succeeded.length - ends.succeeded.size,
    failed: (status.failed ?? 0) + failed.length - ends.failed.size,
  };
  for (const pod of tracked) ends.add(pod);
  const { completed, failedIndexes } = indexesOf(job, ends);
  return {
    ...counters,
    ...(isIndexed(job) && { succeeded: countIndexes(completed) }),
    completed,
    failedIndexes,
    uncountedSucceeded: [...ends.succeeded],
    uncountedFailed: [...ends.failed],
    counted: ends.counted,
    failJob: ends.failJob,
  };
}

function indexesOf(job: Job, ends: PodEnds): Pick<JobAccount, 'completed' | 'failedIndexes'> {
  const { completions: limit = Number.MAX_SAFE_INTEGER, backoffLimitPerIndex } = job.spec;
  const before = isIndexed(job) ? job.status?.completedIndexes : '';
  const inRange = (index: number): boolean => index < limit;
  const completed = addIndexes(parseIndexes(before, limit), ends.completedIndexes.filter(inRange));
  const failedBefore = backoffLimitPerIndex === undefined ? '' : job.status?.failedIndexes;
  const failed = ends.failedIndexes.filter((index) => inRange(index) && !hasIndex(completed, index));
  return { completed, failedIndexes: addIndexes(parseIndexes(failedBefore, limit), failed) };
}

/** Sorts tracked pods by how they ended. */
class PodEnds {
  readonly succeeded: Set<string>;
  readonly failed: Set<string>;
  readonly completedIndexes: number[] = [];
  readonly failedIndexes: number[] = [];
  readonly counted: Pod[] = [];
  failJob: string | undefined;
  readonly #job: Job;

  constructor(job: Job, noted: { readonly succeeded: string[]; readonly failed: string[] }) {
    this.#job = job;
    this.succeeded = new Set(noted.succeeded);
    this.failed = new Set(noted.failed);
  }

  add(pod: Pod): void {
    const { uid = '' } = pod.metadata;
    const noted = this.succeeded.has(uid) || this.failed.has(uid);
    if (!noted && this.counted.length >= MAX_UNCOUNTED_PODS) return;
    if (noted || this.#addSuccess(pod, uid) || this.#addFailure(pod, uid)) this.counted.push(pod);
  }

  #addSuccess(pod: Pod, uid: string): boolean {
    if (pod.status?.phase !== 'Succeeded') return false;
    const index = indexOf(pod);
    if (!isIndexed(this.#job)) this.succeeded.add(uid);
    else if (index !== undefined) this.completedIndexes.push(index);
    return true;
  }

  #addFailure(pod: Pod, uid: string): boolean {
    const job = this.#job;
    if (!hasFailed(job, pod)) return false;
    const { action, message } = judgeFailure(job.spec.podFailurePolicy?.rules, pod);
    if (action === 'FailJob') this.failJob ??= message;
    if (action !== 'Ignore') this.failed.add(uid);
    const index = indexOf(pod);
    if (index !== undefined && failsIndex(job, pod, action)) this.failedIndexes.push(index);
    return true;
  }
}

function failsIndex(job: Job, pod: Pod, action: string): boolean {
  const limit = job.spec.backoffLimitPerIndex;
  if (limit === undefined || action === 'Ignore') return false;
  return action === 'FailIndex' || earlierFailures(pod) >= limit;
}

/**
 * The counted pods whose finalizer may go. With a limit per index the newest failure of an index that will be
 * tried again stays until its successor exists: it carries the index's failure count.
 */
export function releasable(job: Job, account: JobAccount, pods: readonly Pod[]): readonly Pod[] {
  if (job.spec.backoffLimitPerIndex === undefined) return account.counted;
  const newest = newestByIndex(pods);
  return account.counted.filter((pod) => {
    const index = indexOf(pod);
    if (index === undefined || newest.get(index) !== pod) return true;
    return hasIndex(account.completed, index) || hasIndex(account.failedIndexes, index);
  });
}
