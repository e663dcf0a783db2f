import type { Job } from '../../api/kinds/batch.ts';
import type { Container, Pod } from '../../api/kinds/pod.ts';
import { JOB_BACKOFF_MAX_MS, JOB_BACKOFF_MIN_MS } from '../limits.ts';
import { podFromTemplate } from '../pod-control.ts';

/** Held by every pod of a Job until its end is counted in the Job's status: none is lost, none counted twice. */
export const JOB_FINALIZER = 'batch.kubernetes.io/job-tracking';
const INDEX_KEY = 'batch.kubernetes.io/job-completion-index';
const FAILURE_COUNT_KEY = 'batch.kubernetes.io/job-index-failure-count';
const INDEX_VARIABLE = 'JOB_COMPLETION_INDEX';

export function isIndexed(job: Job): boolean {
  return job.spec.completionMode === 'Indexed';
}

export function indexOf(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[INDEX_KEY] ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** How often the pod's index had failed before this pod. */
export function earlierFailures(pod: Pod): number {
  const count = Number(pod.metadata.annotations?.[FAILURE_COUNT_KEY] ?? 0);
  return Number.isInteger(count) ? count : 0;
}

export function isTracked(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(JOB_FINALIZER) ?? false;
}

/** A pod of the Job; with an index it knows it by annotation, label, hostname and environment (KEP-2214). */
export function jobPod(job: Job, index: number | undefined, failures: number): Pod {
  const pod = podFromTemplate(job, job.spec.template);
  const metadata = { ...pod.metadata, finalizers: [...(pod.metadata.finalizers ?? []), JOB_FINALIZER] };
  if (index === undefined) return { ...pod, metadata };
  const text = String(index);
  const annotations = {
    ...metadata.annotations,
    [INDEX_KEY]: text,
    ...(job.spec.backoffLimitPerIndex !== undefined && { [FAILURE_COUNT_KEY]: String(failures) }),
  };
  const labels = { ...metadata.labels, [INDEX_KEY]: text };
  const generateName = `${job.metadata.name}-${index}-`;
  const { containers, initContainers } = pod.spec;
  return {
    ...pod,
    metadata: { ...metadata, generateName, annotations, labels },
    spec: {
      ...pod.spec,
      hostname: `${job.metadata.name}-${index}`,
      containers: containers.map(withIndex),
      ...(initContainers && { initContainers: initContainers.map(withIndex) }),
    },
  };
}

function withIndex(container: Container): Container {
  const env = container.env ?? [];
  if (env.some(({ name }) => name === INDEX_VARIABLE)) return container;
  const fieldRef = { fieldPath: `metadata.annotations['${INDEX_KEY}']` };
  return { ...container, env: [...env, { name: INDEX_VARIABLE, valueFrom: { fieldRef } }] };
}

/** Failed, or (unless only failed pods are replaced) on the way out without having succeeded. */
export function hasFailed(job: Job, pod: Pod): boolean {
  if (pod.status?.phase === 'Failed') return true;
  if (pod.status?.phase === 'Succeeded' || job.spec.podReplacementPolicy === 'Failed') return false;
  return pod.metadata.deletionTimestamp !== undefined;
}

/** When the pod ended, ms since the epoch. */
function endedMs(pod: Pod): number {
  let latest = Number.NaN;
  for (const { state } of pod.status?.containerStatuses ?? []) {
    const time = Date.parse(state?.terminated?.finishedAt ?? '');
    if (!(latest >= time) && !Number.isNaN(time)) latest = time;
  }
  if (!Number.isNaN(latest)) return latest;
  const { deletionTimestamp, creationTimestamp } = pod.metadata;
  return Date.parse(deletionTimestamp ?? creationTimestamp ?? '') || 0;
}

/** When the next pod may be made: each failure since the last success doubles the wait after the newest one. */
export function retryAtMs(job: Job, pods: readonly Pod[]): number {
  let succeededMs = 0;
  for (const pod of pods) {
    if (pod.status?.phase === 'Succeeded') succeededMs = Math.max(succeededMs, endedMs(pod));
  }
  const failures = pods.filter((pod) => hasFailed(job, pod) && endedMs(pod) > succeededMs).map(endedMs);
  if (failures.length === 0) return 0;
  const delayMs = Math.min(JOB_BACKOFF_MIN_MS * 2 ** Math.min(failures.length - 1, 20), JOB_BACKOFF_MAX_MS);
  return Math.max(...failures) + delayMs;
}

/** The newest pod of each index. */
export function newestByIndex(pods: readonly Pod[]): Map<number, Pod> {
  const newest = new Map<number, Pod>();
  for (const pod of pods) {
    const index = indexOf(pod);
    if (index === undefined) continue;
    const known = newest.get(index);
    const later =
      !known ||
      earlierFailures(pod) > earlierFailures(known) ||
      (pod.metadata.creationTimestamp ?? '') > (known.metadata.creationTimestamp ?? '');
    if (later) newest.set(index, pod);
  }
  return newest;
}
