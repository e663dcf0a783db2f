import { resources } from '../../api/client/resources.ts';
import type { JobCondition, JobStatus } from '../../api/kinds/batch.ts';
import { secondTime } from '../../api/kinds/lease.ts';
import { sameValue } from '../../base/same-value.ts';
import { isPodReady } from '../../api/kinds/pod.ts';
import { conditionOf, withCondition } from '../conditions.ts';
import { formatIndexes } from './job-indexes.ts';
import { type JobOutcome, terminalOf } from './job-outcome.ts';
import { isIndexed } from './job-pods.ts';
import type { PodsKept } from './job-scaling.ts';
import type { JobWork } from './job-work.ts';
import { withoutZeros } from '../same-status.ts';

/** Writes the status when it says something new, and the Events that go with a change of conditions. */
export async function writeJobStatus(
  work: JobWork,
  outcome: JobOutcome | undefined,
  kept: PodsKept,
): Promise<void> {
  const { job, account, context, terminating } = work;
  const { uncountedSucceeded, uncountedFailed } = account;
  const conditions = nextConditions(work, outcome);
  const startTime = startTimeOf(work);
  const finished = conditionOf(conditions, 'Complete')?.status === 'True';
  // What a round deleted is on its way out: a Job is over when nothing of it runs.
  const leaving = terminating.length + (outcome || job.spec.suspend ? work.active.length : 0);
  const completionTime =
    job.status?.completionTime ?? (finished ? secondTime(context.clock.nowMs()) : undefined);
  const status: JobStatus = {
    active: kept.active,
    ready: outcome || job.spec.suspend ? 0 : work.active.filter(isPodReady).length,
    terminating: leaving,
    succeeded: account.succeeded,
    failed: account.failed,
    uncountedTerminatedPods: {
      ...(uncountedSucceeded.length > 0 && { succeeded: [...uncountedSucceeded] }),
      ...(uncountedFailed.length > 0 && { failed: [...uncountedFailed] }),
    },
    ...(startTime !== undefined && { startTime }),
    ...(completionTime !== undefined && { completionTime }),
    ...(isIndexed(job) && { completedIndexes: formatIndexes(account.completed) }),
    ...(job.spec.backoffLimitPerIndex !== undefined && {
      failedIndexes: formatIndexes(account.failedIndexes),
    }),
    ...(conditions.length > 0 && { conditions }),
  };
  if (sameValue(comparable(job.status), comparable(status))) return;
  await context.client.update(resources.jobs, { ...job, status }, { subresource: 'status' });
  announce(work, conditions);
}

function comparable(status: JobStatus | undefined): unknown {
  const { uncountedTerminatedPods, ...rest } = status ?? {};
  return { ...withoutZeros(rest), noted: uncountedTerminatedPods ?? {} };
}

function nextConditions(work: JobWork, outcome: JobOutcome | undefined): JobCondition[] {
  const { job, context } = work;
  const nowMs = context.clock.nowMs();
  const present = job.status?.conditions ?? [];
  const set = (list: JobCondition[], condition: JobCondition): JobCondition[] =>
    withCondition(list, { ...condition, lastProbeTime: secondTime(nowMs) }, nowMs);
  if (outcome) {
    const target = set(present, { ...outcome, status: 'True' });
    return isOver(work) ? set(target, terminalOf(outcome, nowMs)) : target;
  }
  const suspended = conditionOf(present, 'Suspended');
  if (job.spec.suspend) {
    return set(present, {
      type: 'Suspended',
      status: 'True',
      reason: 'JobSuspended',
      message: 'Job suspended',
    });
  }
  if (suspended?.status !== 'True') return present;
  return set(present, { type: 'Suspended', status: 'False', reason: 'JobResumed', message: 'Job resumed' });
}

/** Nothing runs and every end is in the counters. */
function isOver({ active, terminating, account }: JobWork): boolean {
  const open = account.uncountedSucceeded.length + account.uncountedFailed.length;
  return active.length + terminating.length + open === 0;
}

function announce({ job, context }: JobWork, conditions: readonly JobCondition[]): void {
  const changed = (type: string): JobCondition | undefined => {
    const next = conditionOf(conditions, type);
    return next && conditionOf(job.status?.conditions, type)?.status !== next.status ? next : undefined;
  };
  const record = (type: 'Normal' | 'Warning', reason: string, message: string): void =>
    context.events.record(job, type, reason, message);
  if (changed('Complete')) record('Normal', 'Completed', 'Job completed');
  const failed = changed('Failed');
  if (failed) record('Warning', failed.reason ?? 'Failed', failed.message ?? '');
  const suspended = changed('Suspended');
  if (suspended) {
    if (suspended.status === 'True') record('Normal', 'Suspended', 'Job suspended');
    else record('Normal', 'Resumed', 'Job resumed');
  }
}

/** The startTime of a Job that begins, or begins again after it was suspended. */
function startTimeOf({ job, context }: JobWork): string | undefined {
  if (job.spec.suspend) return undefined;
  return job.status?.startTime ?? secondTime(context.clock.nowMs());
}
