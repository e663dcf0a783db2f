import type { Deployment, ReplicaSet, WorkloadCondition } from '../../api/kinds/apps.ts';
import { secondTime } from '../../api/kinds/lease.ts';
import { conditionOf, withCondition, withoutCondition } from '../conditions.ts';
import { desiredReplicas, rollingLimits } from './deployment-math.ts';

type Status = NonNullable<Deployment['status']>;

const DEFAULT_PROGRESS_DEADLINE_SECONDS = 600;
/** kubectl treats this and more as "no deadline". */
const NO_DEADLINE_SECONDS = 2 ** 31 - 1;

interface StatusInput {
  readonly deployment: Deployment;
  readonly all: readonly ReplicaSet[];
  readonly next: ReplicaSet | undefined;
  readonly nowMs: number;
}

const sum = (
  sets: readonly ReplicaSet[],
  field: 'replicas' | 'readyReplicas' | 'availableReplicas',
): number => sets.reduce((total, set) => total + (set.status?.[field] ?? 0), 0);

/** The status the sets add up to. Pure. */
export function deploymentStatus(input: StatusInput): Status {
  const { deployment, all, next, nowMs } = input;
  const replicas = sum(all, 'replicas');
  const availableReplicas = sum(all, 'availableReplicas');
  const status: Status = {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas,
    updatedReplicas: next?.status?.replicas ?? 0,
    readyReplicas: sum(all, 'readyReplicas'),
    availableReplicas,
    unavailableReplicas: Math.max(
      0,
      all.reduce((n, set) => n + (set.spec.replicas ?? 0), 0) - availableReplicas,
    ),
  };
  const { collisionCount } = deployment.status ?? {};
  if (collisionCount !== undefined) status.collisionCount = collisionCount;
  const floor = desiredReplicas(deployment) - rollingLimits(deployment).maxUnavailable;
  const available = availableReplicas >= floor;
  const present = deployment.status?.conditions;
  const availability = condition('Available', available, {
    reason: available ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: `Deployment ${available ? 'has' : 'does not have'} minimum availability.`,
    nowMs,
  });
  const conditions = replicaFailure(keepUpdateTime(present, availability, nowMs), all, next, nowMs);
  status.conditions = progressing({ ...input, status }, conditions);
  return status;
}

/** Every updated replica runs, none of an older template is left. */
export function isComplete(deployment: Deployment, status: Status): boolean {
  const wanted = desiredReplicas(deployment);
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

/** Milliseconds until the progress deadline should be looked at, undefined when nothing waits for it. */
export function progressDeadlineMs(
  deployment: Deployment,
  status: Status,
  nowMs: number,
): number | undefined {
  const seconds = deadlineSeconds(deployment);
  const condition = conditionOf(status.conditions, 'Progressing');
  if (!seconds || deployment.spec.paused || isComplete(deployment, status)) return undefined;
  if (!condition?.lastUpdateTime || condition.status !== 'True') return undefined;
  return Math.max(0, Date.parse(condition.lastUpdateTime) + seconds * 1000 - nowMs) + 1000;
}

function deadlineSeconds(deployment: Deployment): number | undefined {
  const seconds = deployment.spec.progressDeadlineSeconds ?? DEFAULT_PROGRESS_DEADLINE_SECONDS;
  return seconds >= NO_DEADLINE_SECONDS ? undefined : seconds;
}

function condition(
  type: string,
  status: boolean,
  text: { reason: string; message: string; nowMs: number },
): WorkloadCondition {
  const { reason, message, nowMs } = text;
  return { type, status: status ? 'True' : 'False', reason, message, lastUpdateTime: secondTime(nowMs) };
}

/** lastUpdateTime moves with reason or status only. */
function keepUpdateTime(
  present: readonly WorkloadCondition[] | undefined,
  next: WorkloadCondition,
  nowMs: number,
): WorkloadCondition[] {
  const old = conditionOf(present, next.type);
  if (old?.status === next.status && old.reason === next.reason) return [...(present ?? [])];
  return withCondition(present, next, nowMs);
}

function replicaFailure(
  conditions: WorkloadCondition[],
  all: readonly ReplicaSet[],
  next: ReplicaSet | undefined,
  nowMs: number,
): WorkloadCondition[] {
  const failed = [...(next ? [next] : []), ...all]
    .map((set) => conditionOf(set.status?.conditions, 'ReplicaFailure'))
    .find((found) => found?.status === 'True');
  if (!failed) return withoutCondition(conditions, 'ReplicaFailure');
  return withCondition(conditions, { ...failed, lastUpdateTime: secondTime(nowMs) }, nowMs);
}

/** The Progressing condition: paused, complete, progressing, or past its deadline. */
function progressing(
  input: StatusInput & { readonly status: Status },
  conditions: WorkloadCondition[],
): WorkloadCondition[] {
  const { deployment, next, status, nowMs } = input;
  const seconds = deadlineSeconds(deployment);
  if (!seconds) return withoutCondition(conditions, 'Progressing');
  const present = conditionOf(conditions, 'Progressing');
  const set = (ok: boolean | 'Unknown', reason: string, message: string): WorkloadCondition[] => {
    const made = condition('Progressing', ok === true, { reason, message, nowMs });
    if (ok === 'Unknown') made.status = 'Unknown';
    return replaceKeepingTransition(conditions, made, nowMs);
  };
  if (deployment.spec.paused) {
    if (present?.reason === 'DeploymentPaused') return conditions;
    return set('Unknown', 'DeploymentPaused', 'Deployment is paused');
  }
  if (present?.reason === 'DeploymentPaused') {
    return set('Unknown', 'DeploymentResumed', 'Deployment is resumed');
  }
  const name = next ? `ReplicaSet "${next.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  const moved = hasMoved(deployment, status);
  if (isComplete(deployment, status)) {
    if (present?.reason === 'NewReplicaSetAvailable' && !moved) return conditions;
    return set(true, 'NewReplicaSetAvailable', `${name} has successfully progressed.`);
  }
  if (!present) return set(true, 'NewReplicaSetCreated', `Created new replica set for ${name}`);
  if (moved || isNewRollout(present, status))
    return set(true, 'ReplicaSetUpdated', `${name} is progressing.`);
  if (!isLate(present, seconds, nowMs)) return conditions;
  return set(false, 'ProgressDeadlineExceeded', `${name} has timed out progressing.`);
}

/** A finished roll-out that loses pods later has not failed to progress. */
function isLate(present: WorkloadCondition, seconds: number, nowMs: number): boolean {
  if (present.reason === 'NewReplicaSetAvailable' || present.reason === 'ProgressDeadlineExceeded')
    return false;
  return Date.parse(present.lastUpdateTime ?? '') + seconds * 1000 <= nowMs;
}

/** Something got nearer to the end since the last status. */
function hasMoved(deployment: Deployment, status: Status): boolean {
  const old = deployment.status ?? {};
  const oldOld = (old.replicas ?? 0) - (old.updatedReplicas ?? 0);
  const newOld = (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (status.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    (status.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (status.availableReplicas ?? 0) > (old.availableReplicas ?? 0) ||
    newOld < oldOld
  );
}

/** Pods of an older template are there again after the last roll-out was complete. */
function isNewRollout(present: WorkloadCondition, status: Status): boolean {
  return present.reason === 'NewReplicaSetAvailable' && status.replicas !== status.updatedReplicas;
}

function replaceKeepingTransition(
  conditions: WorkloadCondition[],
  next: WorkloadCondition,
  nowMs: number,
): WorkloadCondition[] {
  const present = conditionOf(conditions, next.type);
  const changed = withCondition(conditions, next, nowMs);
  if (present?.status !== next.status || !present.lastTransitionTime) return changed;
  const lastTransitionTime = present.lastTransitionTime;
  return changed.map((one) => (one.type === next.type ? { ...next, lastTransitionTime } : one));
}
