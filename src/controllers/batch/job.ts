import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { Job } from '../../api/kinds/batch.ts';
import { type KubeObject, objectKey } from '../../api/kinds/meta.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { claimPods } from '../claim-pods.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { accountFor, releasable } from './job-accounting.ts';
import { deadlineAtMs, type JobOutcome, outcomeOf, terminalCondition } from './job-outcome.ts';
import { isTracked } from './job-pods.ts';
import { keepPods, type PodsKept } from './job-scaling.ts';
import { writeJobStatus } from './job-status.ts';
import { type JobWork, release, removePod } from './job-work.ts';
import { selects } from '../label-selector.ts';
import { WRITE_RECHECK_MS } from '../limits.ts';
import { OwnWrites } from '../own-writes.ts';
import { controllerOf, isControlledBy, OWNER_INDEX, ownerIndex } from '../owners.ts';
import { followPods } from '../pod-events.ts';
import { isPodActive, isPodFinished } from '../pod-state.ts';

const JOB_CONTROLLER = 'kubernetes.io/job-controller';
const JOB_INDEX = 'owning-job';

/** Runs the pods of Jobs to their end and counts each of them once (batch/v1 Job, KEP-2307). */
export function openJobController(context: ControllerContext): AsyncDisposable {
  const { client, informers, clock } = context;
  const jobs = informers.informer<Job>(resources.jobs);
  const pods = informers.informer<Pod>(resources.pods, {
    [OWNER_INDEX]: ownerIndex,
    [JOB_INDEX]: owningJob,
  });
  const writes = new OwnWrites<Pod>({ clock, informer: pods });
  const matches = (job: Job, pod: Pod): boolean => selects(job.spec.selector, pod.metadata.labels);
  const loop = openLoop(context, 'job', async (key) => {
    const { namespace, name } = splitKey(key);
    const job = jobs.get(namespace, name);
    const orphans = Array.from(pods.byIndex(JOB_INDEX, key)).filter(
      (pod) => !job || !isControlledBy(pod, job),
    );
    for (const pod of orphans.filter(isTracked)) await release(context, pod);
    if (!job) writes.forget(key);
    if (!job || (job.spec.managedBy ?? JOB_CONTROLLER) !== JOB_CONTROLLER) return done;
    if (!writes.visible(key)) return again(WRITE_RECHECK_MS);
    const claimed = await claimPods({ client, pods }, job, (pod) => matches(job, pod));
    const work: JobWork = {
      context,
      writes,
      key,
      job,
      pods: claimed,
      active: claimed.filter(isPodActive),
      terminating: claimed.filter((pod) => pod.metadata.deletionTimestamp && !isPodFinished(pod)),
      account: accountFor(job, claimed),
    };
    const lookAtMs = await sync(work);
    return lookAtMs === undefined ? done : again(lookAtMs - clock.nowMs());
  });
  return together(
    loop,
    jobs.subscribe(({ object }) => loop.add(objectKey(object))),
    followPods(pods, jobs, loop, matches),
    pods.subscribe(({ type, object }) => {
      // A pod whose Job is gone, or is another one of that name by now, waits for its finalizer.
      const [key] = owningJob(object);
      if (type !== 'deleted' && key && isTracked(object)) loop.add(key);
    }),
  );
}

function owningJob(object: KubeObject): readonly string[] {
  const owner = controllerOf(object);
  const ours = owner?.kind === 'Job' && owner.apiVersion === 'batch/v1';
  return ours ? [`${object.metadata.namespace}/${owner.name}`] : [];
}

/** One round: pods as the Job wants them, its status, then the finalizers of what the status counts. */
async function sync(work: JobWork): Promise<number | undefined> {
  const { job, context, account, active } = work;
  if (terminalCondition(job)) {
    await removeActive(work);
    await releaseAll(work, work.pods);
    return undefined;
  }
  const nowMs = context.clock.nowMs();
  const outcome = job.metadata.deletionTimestamp ? undefined : outcomeOf(job, account, { active, nowMs });
  const kept = await actOn(work, outcome);
  await writeJobStatus(work, outcome, kept);
  const ending = outcome || job.metadata.deletionTimestamp;
  await releaseAll(work, ending ? account.counted : releasable(job, account, work.pods));
  if (kept.failure) throw kept.failure;
  const deadlineMs = deadlineAtMs(job);
  const times = [deadlineMs, kept.lookAtMs].filter((ms) => ms !== undefined && ms > nowMs) as number[];
  return times.length > 0 ? Math.min(...times) : undefined;
}

async function actOn(work: JobWork, outcome: JobOutcome | undefined): Promise<PodsKept> {
  const { job, active } = work;
  if (outcome || job.spec.suspend) {
    await removeActive(work);
    return { active: 0 };
  }
  // With its pods' finalizers on, a Job that is being deleted only counts.
  if (job.metadata.deletionTimestamp) return { active: active.length };
  const startMs = Date.parse(job.status?.startTime ?? '');
  // The deadline runs from startTime: it is written before the first pod.
  if (Number.isNaN(startMs)) return { active: active.length };
  return await keepPods(work);
}

async function removeActive(work: JobWork): Promise<void> {
  for (const pod of work.active) await removePod(work, pod);
}

async function releaseAll(work: JobWork, pods: readonly Pod[]): Promise<void> {
  for (const pod of pods) {
    const reply = isTracked(pod) ? await release(work.context, pod) : undefined;
    if (reply) work.writes.wrote(work.key, reply);
  }
}
