import { ApiError } from '../../api/client/client.ts';
import type { Informer } from '../../api/client/informer.ts';
import { again, done, terminal } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { CronJob, Job } from '../../api/kinds/batch.ts';
import { secondTime } from '../../api/kinds/lease.ts';
import { objectKey } from '../../api/kinds/meta.ts';
import { messageOf } from '../../base/fault.ts';
import { sameValue } from '../../base/same-value.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { MAX_SCHEDULE_STEPS, SCHEDULE_SLACK_MS, WRITE_RECHECK_MS } from '../limits.ts';
import { OwnWrites } from '../own-writes.ts';
import { controllerReference, OWNER_INDEX, ownerIndex } from '../owners.ts';
import { isGone, isNamespaceTerminating } from '../pod-control.ts';
import { ownerKey } from '../pod-events.ts';
import { terminalCondition } from './job-outcome.ts';
import { type DueTime, dueTime, parseSchedule } from './schedule.ts';

const SCHEDULED_AT = 'batch.kubernetes.io/cronjob-scheduled-timestamp';

interface Work {
  readonly context: ControllerContext;
  readonly writes: OwnWrites<Job>;
  readonly key: string;
  readonly cron: CronJob;
  /** The Jobs this CronJob made and that are still there. */
  readonly jobs: readonly Job[];
}

/** Makes Jobs from CronJobs when their time comes, and clears away old ones. */
export function openCronJobController(context: ControllerContext): AsyncDisposable {
  const { informers, clock } = context;
  const crons = informers.informer<CronJob>(resources.cronJobs);
  const jobs = informers.informer<Job>(resources.jobs, { [OWNER_INDEX]: ownerIndex });
  const writes = new OwnWrites<Job>({ clock, informer: jobs });
  const loop = openLoop(context, 'cron-job', async (key) => {
    const { namespace, name } = splitKey(key);
    const cron = crons.get(namespace, name);
    if (!cron || cron.metadata.deletionTimestamp) {
      writes.forget(key);
      return done;
    }
    if (!writes.visible(key)) return again(WRITE_RECHECK_MS);
    const owned = Array.from(jobs.byIndex(OWNER_INDEX, cron.metadata.uid ?? ''));
    const work: Work = { context, writes, key, cron, jobs: owned };
    await clearHistory(work);
    const schedule = parseSchedule(cron.spec.schedule, cron.spec.timeZone);
    if (!schedule) {
      const text = `unparseable schedule ${JSON.stringify(cron.spec.schedule)}`;
      context.events.record(cron, 'Warning', 'UnparseableSchedule', text);
      return terminal(text);
    }
    const nowMs = clock.nowMs();
    const due = dueTime(schedule, earliestMs(cron, nowMs), nowMs, MAX_SCHEDULE_STEPS);
    const started = cron.spec.suspend ? undefined : await start(work, due, nowMs);
    await writeStatus(work, started);
    if (cron.spec.suspend || due.nextMs === undefined) return done;
    return again(due.nextMs - nowMs + SCHEDULE_SLACK_MS);
  });
  return together(
    loop,
    crons.subscribe((event) => {
      if (event.type !== 'updated' || !sameValue(event.old.spec, event.object.spec))
        loop.add(objectKey(event.object));
    }),
    followJobs(jobs, crons, (key) => loop.add(key)),
  );
}

function followJobs(jobs: Informer<Job>, crons: Informer<CronJob>, add: (key: string) => void): Disposable {
  return jobs.subscribe(({ object }) => {
    const key = ownerKey(object, crons);
    if (key) add(key);
  });
}

/** Times before this are past: used already, from before the CronJob, or beyond its starting deadline. */
function earliestMs(cron: CronJob, nowMs: number): number {
  const { lastScheduleTime } = cron.status ?? {};
  const fromMs = Date.parse(lastScheduleTime ?? cron.metadata.creationTimestamp ?? '') || nowMs;
  const { startingDeadlineSeconds } = cron.spec;
  if (startingDeadlineSeconds === undefined) return fromMs;
  return Math.max(fromMs, nowMs - startingDeadlineSeconds * 1000);
}

interface Started {
  readonly dueMs: number;
  readonly job: Job | undefined;
}

/** Starts the Job of the newest due time, as far as the concurrency policy lets it. */
async function start(work: Work, { dueMs, missed }: DueTime, nowMs: number): Promise<Started | undefined> {
  const { cron, context, jobs } = work;
  if (dueMs === undefined) return undefined;
  if (missed > MAX_SCHEDULE_STEPS) {
    const text =
      'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew';
    context.events.record(cron, 'Warning', 'TooManyMissedTimes', text);
  }
  const { startingDeadlineSeconds } = cron.spec;
  if (startingDeadlineSeconds !== undefined && dueMs + startingDeadlineSeconds * 1000 < nowMs) {
    const text = `Missed scheduled time to start a job: ${secondTime(dueMs)}`;
    context.events.record(cron, 'Warning', 'MissSchedule', text);
    return undefined;
  }
  const active = jobs.filter((job) => !terminalCondition(job));
  if (cron.spec.concurrencyPolicy === 'Forbid' && active.length > 0) {
    const text = 'Not starting job because prior execution is running and concurrency policy is Forbid';
    context.events.record(cron, 'Normal', 'JobAlreadyActive', text);
    return undefined;
  }
  if (cron.spec.concurrencyPolicy === 'Replace') for (const job of active) await remove(work, job);
  return { dueMs, job: await createJob(work, dueMs) };
}

/** The name is the minute's: whoever comes second for the same time finds it taken. */
async function createJob({ cron, context, writes, key }: Work, dueMs: number): Promise<Job | undefined> {
  const { metadata: { labels, annotations } = {}, spec } = cron.spec.jobTemplate;
  const { name, namespace } = cron.metadata;
  const job: Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${name}-${Math.floor(dueMs / 60_000)}`,
      ...(namespace && { namespace }),
      ...(labels && { labels: { ...labels } }),
      annotations: { ...annotations, [SCHEDULED_AT]: secondTime(dueMs) },
      ownerReferences: [controllerReference(cron)],
    },
    spec,
  };
  try {
    const made = await context.client.create<Job>(resources.jobs, job);
    writes.wrote(key, made);
    context.events.record(cron, 'Normal', 'SuccessfulCreate', `Created job ${made.metadata.name}`);
    return made;
  } catch (error) {
    if (isNamespaceTerminating(error)) return undefined;
    if (error instanceof ApiError && error.reason === 'AlreadyExists') return undefined;
    context.events.record(cron, 'Warning', 'FailedCreate', `Error creating job: ${messageOf(error)}`);
    throw error;
  }
}

/** Finished Jobs beyond the limits go, the oldest first. */
async function clearHistory(work: Work): Promise<void> {
  const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = work.cron.spec;
  for (const [type, limit] of [
    ['Complete', successfulJobsHistoryLimit],
    ['Failed', failedJobsHistoryLimit],
  ] as const) {
    const finished = work.jobs.filter(
      (job) => terminalCondition(job)?.type === type && !job.metadata.deletionTimestamp,
    );
    finished.sort((a, b) => startedMs(a) - startedMs(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
    for (const job of finished.slice(0, Math.max(0, finished.length - limit))) await remove(work, job);
  }
}

function startedMs(job: Job): number {
  return Date.parse(job.status?.startTime ?? job.metadata.creationTimestamp ?? '') || 0;
}

async function remove({ context, cron, writes, key }: Work, job: Job): Promise<void> {
  const { name, namespace, uid } = job.metadata;
  const preconditions = uid ? { uid } : {};
  try {
    await context.client.delete(resources.jobs, name, namespace, {
      propagationPolicy: 'Background',
      preconditions,
    });
    writes.deleted(key, job);
    context.events.record(cron, 'Normal', 'SuccessfulDelete', `Deleted job ${name}`);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

async function writeStatus({ cron, context, jobs }: Work, started: Started | undefined): Promise<void> {
  const present = started?.job ? [...jobs, started.job] : jobs;
  const running = present.filter((job) => !terminalCondition(job) && !job.metadata.deletionTimestamp);
  const active = running.map(({ metadata: { name, namespace, uid, resourceVersion } }) => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    name,
    ...(namespace && { namespace }),
    ...(uid && { uid }),
    ...(resourceVersion && { resourceVersion }),
  }));
  const before = cron.status ?? {};
  for (const { uid, name } of before.active ?? []) {
    const job = jobs.find(({ metadata }) => metadata.uid === uid);
    const end = job && terminalCondition(job);
    if (!end) continue;
    const text = `Saw completed job: ${name ?? ''}, condition: ${end.type}`;
    context.events.record(cron, 'Normal', 'SawCompletedJob', text);
  }
  const completed = jobs.map((job) => job.status?.completionTime ?? '').filter((time) => time !== '');
  const lastSuccessfulTime = completed
    .concat(before.lastSuccessfulTime ?? [])
    .toSorted()
    .at(-1);
  const lastScheduleTime = started ? secondTime(started.dueMs) : before.lastScheduleTime;
  const status: NonNullable<CronJob['status']> = {
    ...(active.length > 0 && { active }),
    ...(lastScheduleTime && { lastScheduleTime }),
    ...(lastSuccessfulTime && { lastSuccessfulTime }),
  };
  if (sameValue(comparable(before), comparable(status))) return;
  await context.client.update(resources.cronJobs, { ...cron, status }, { subresource: 'status' });
}

function comparable({ active = [], ...rest }: NonNullable<CronJob['status']>): unknown {
  return { ...rest, active: active.map(({ uid }) => uid) };
}
