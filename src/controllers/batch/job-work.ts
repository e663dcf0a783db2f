import { resources } from '../../api/client/resources.ts';
import type { Job } from '../../api/kinds/batch.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import type { ControllerContext } from '../context.ts';
import type { OwnWrites } from '../own-writes.ts';
import { deletePod, isGone } from '../pod-control.ts';
import type { JobAccount } from './job-accounting.ts';
import { JOB_FINALIZER } from './job-pods.ts';

/** One Job, its pods and what they add up to. */
export interface JobWork {
  readonly context: ControllerContext;
  readonly writes: OwnWrites<Pod>;
  readonly key: string;
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly active: readonly Pod[];
  readonly terminating: readonly Pod[];
  readonly account: JobAccount;
}

/** Deletes a pod that nobody shall count: its finalizer goes first. */
export async function removePod(work: JobWork, pod: Pod): Promise<void> {
  const { context, job, key, writes } = work;
  await release(context, pod);
  await deletePod(context, job, pod);
  writes.deleted(key, pod);
}

/** Takes the finalizer off. Undefined when the pod is gone, or was written meanwhile: its event brings it again. */
export async function release({ client }: ControllerContext, pod: Pod): Promise<Pod | undefined> {
  const { name, namespace, resourceVersion, uid } = pod.metadata;
  const finalizers = (pod.metadata.finalizers ?? []).filter((one) => one !== JOB_FINALIZER);
  const metadata = { finalizers, ...(resourceVersion && { resourceVersion }), ...(uid && { uid }) };
  try {
    return await client.patch<Pod>(resources.pods, name, namespace, 'merge', { metadata });
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
