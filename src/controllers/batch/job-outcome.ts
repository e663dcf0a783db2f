import { secondTime } from '../../api/kinds/lease.ts';
import type { Job, JobCondition } from '../../api/kinds/batch.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { conditionOf } from '../conditions.ts';
import type { JobAccount } from './job-accounting.ts';
import { countIndexes, hasIndex, type IndexIntervals, parseIndexes } from './job-indexes.ts';
import { isIndexed } from './job-pods.ts';

/** Which way a Job ends and why; the terminal condition follows when its pods are gone. */
export interface JobOutcome {
  readonly type: 'FailureTarget' | 'SuccessCriteriaMet';
  readonly reason: string;
  readonly message: string;
}

/** The Job's Complete or Failed condition, when it has one. */
export function terminalCondition(job: Job): JobCondition | undefined {
  return job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

/** What was decided earlier, or what the account and the clock say now. */
export function outcomeOf(
  job: Job,
  account: JobAccount,
  pods: { readonly active: readonly Pod[]; readonly nowMs: number },
): JobOutcome | undefined {
  for (const type of ['FailureTarget', 'SuccessCriteriaMet'] as const) {
    const present = conditionOf(job.status?.conditions, type);
    if (present?.status === 'True')
      return { type, reason: present.reason ?? '', message: present.message ?? '' };
  }
  return failure(job, account, pods) ?? success(job, account, pods.active.length);
}

const failed = (reason: string, message: string): JobOutcome => ({ type: 'FailureTarget', reason, message });

function failure(
  job: Job,
  account: JobAccount,
  { active, nowMs }: { readonly active: readonly Pod[]; readonly nowMs: number },
): JobOutcome | undefined {
  const { backoffLimit = 6, template } = job.spec;
  if (account.failJob !== undefined) return failed('PodFailurePolicy', account.failJob);
  const failures = account.failed + account.uncountedFailed.length;
  const restarts =
    template.spec.restartPolicy === 'OnFailure' ? active.reduce((sum, pod) => sum + restartsOf(pod), 0) : 0;
  const pastRestarts = restarts > 0 && restarts >= backoffLimit;
  if (failures > backoffLimit || pastRestarts) {
    return failed('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  }
  const deadlineMs = deadlineAtMs(job);
  if (deadlineMs !== undefined && nowMs >= deadlineMs) {
    return failed('DeadlineExceeded', 'Job was active longer than specified deadline');
  }
  return failedByIndexes(job, account);
}

function failedByIndexes(job: Job, { failedIndexes, completed }: JobAccount): JobOutcome | undefined {
  const count = countIndexes(failedIndexes);
  if (!isIndexed(job) || count === 0) return undefined;
  const { maxFailedIndexes, completions = 0 } = job.spec;
  if (maxFailedIndexes !== undefined && count > maxFailedIndexes) {
    return failed(
      'MaxFailedIndexesExceeded',
      'Job has exceeded the specified maximal number of failed indexes',
    );
  }
  if (count + countIndexes(completed) >= completions)
    return failed('FailedIndexes', 'Job has failed indexes');
  return undefined;
}

/** When activeDeadlineSeconds is over; a suspended Job's clock stands. */
export function deadlineAtMs(job: Job): number | undefined {
  const { activeDeadlineSeconds, suspend } = job.spec;
  const startMs = Date.parse(job.status?.startTime ?? '');
  if (activeDeadlineSeconds === undefined || suspend || Number.isNaN(startMs)) return undefined;
  return startMs + activeDeadlineSeconds * 1000;
}

function restartsOf(pod: Pod): number {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  return [...initContainerStatuses, ...containerStatuses].reduce((sum, one) => sum + one.restartCount, 0);
}

function success(job: Job, account: JobAccount, active: number): JobOutcome | undefined {
  const rule = matchedSuccessRule(job, account.completed);
  if (rule !== undefined) {
    return { type: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message: `Matched rules at index ${rule}` };
  }
  const { completions } = job.spec;
  const succeeded = account.succeeded + account.uncountedSucceeded.length;
  const reached = completions === undefined ? succeeded > 0 && active === 0 : succeeded >= completions;
  if (!reached) return undefined;
  const message = 'Reached expected number of succeeded pods';
  return { type: 'SuccessCriteriaMet', reason: 'CompletionsReached', message };
}

function matchedSuccessRule(job: Job, completed: IndexIntervals): number | undefined {
  if (!isIndexed(job)) return undefined;
  const limit = job.spec.completions ?? 0;
  const index = (job.spec.successPolicy?.rules ?? []).findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined) return countIndexes(completed) >= (succeededCount ?? Infinity);
    const wanted = parseIndexes(succeededIndexes, limit);
    let met = 0;
    for (const [from, to] of wanted) for (let at = from; at <= to; at++) if (hasIndex(completed, at)) met++;
    return met >= (succeededCount ?? countIndexes(wanted));
  });
  return index < 0 ? undefined : index;
}

/** The condition a Job ends with. */
export function terminalOf({ type, reason, message }: JobOutcome, nowMs: number): JobCondition {
  const name = type === 'FailureTarget' ? 'Failed' : 'Complete';
  return { type: name, status: 'True', reason, message, lastProbeTime: secondTime(nowMs) };
}
