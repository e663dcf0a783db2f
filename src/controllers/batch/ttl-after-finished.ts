import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { Job } from '../../api/kinds/batch.ts';
import { objectKey } from '../../api/kinds/meta.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { terminalCondition } from './job-outcome.ts';
import { isGone } from '../pod-control.ts';

/** Deletes finished Jobs, their pods first, ttlSecondsAfterFinished after their end. */
export function openTtlAfterFinishedController(context: ControllerContext): AsyncDisposable {
  const { client, informers, clock } = context;
  const jobs = informers.informer<Job>(resources.jobs);
  const loop = openLoop(context, 'ttl-after-finished', async (key) => {
    const { namespace, name } = splitKey(key);
    const job = jobs.get(namespace, name);
    const dueMs = job && expiresAtMs(job);
    if (!job || dueMs === undefined) return done;
    const leftMs = dueMs - clock.nowMs();
    if (leftMs > 0) return again(leftMs);
    const { uid, resourceVersion } = job.metadata;
    const preconditions = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
    await client
      .delete(resources.jobs, name, namespace, { propagationPolicy: 'Foreground', preconditions })
      .catch((error: unknown) => {
        // Written meanwhile: the time to live may be another now, its event comes.
        if (!isGone(error)) throw error;
      });
    return done;
  });
  return together(
    loop,
    jobs.subscribe(({ type, object }) => {
      if (type !== 'deleted' && expiresAtMs(object) !== undefined) loop.add(objectKey(object));
    }),
  );
}

function expiresAtMs(job: Job): number | undefined {
  const { ttlSecondsAfterFinished } = job.spec;
  if (ttlSecondsAfterFinished === undefined || job.metadata.deletionTimestamp) return undefined;
  const finishedMs = Date.parse(terminalCondition(job)?.lastTransitionTime ?? '');
  return Number.isNaN(finishedMs) ? undefined : finishedMs + ttlSecondsAfterFinished * 1000;
}
