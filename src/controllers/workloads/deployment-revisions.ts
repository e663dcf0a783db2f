import { ApiError } from '../../api/client/client.ts';
import { resources } from '../../api/client/resources.ts';
import type { Deployment, ReplicaSet } from '../../api/kinds/apps.ts';
import { sameValue } from '../../base/same-value.ts';
import type { ControllerContext } from '../context.ts';
import { byAge, desiredReplicas, newSetReplicas, replicasOf, rollingLimits } from './deployment-math.ts';
import type { OwnWrites } from '../own-writes.ts';
import { controllerReference, isControlledBy } from '../owners.ts';
import { POD_TEMPLATE_HASH, safeHash, sameTemplate } from './template-hash.ts';

export const REVISION = 'deployment.kubernetes.io/revision';
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';
const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas';
const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas';
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
]);

export interface Revisions {
  /** The set of the present template; undefined when it was not there and not to be made. */
  readonly next: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  readonly all: readonly ReplicaSet[];
}

export interface DeploymentWork {
  readonly context: ControllerContext;
  readonly writes: OwnWrites<ReplicaSet>;
  readonly key: string;
  readonly deployment: Deployment;
}

/** Sorts the sets into new and old; keeps revision numbers and annotations; makes the new set when asked to. */
export async function syncRevisions(
  work: DeploymentWork,
  sets: readonly ReplicaSet[],
  create: boolean,
): Promise<Revisions> {
  const { deployment } = work;
  const matching = sets
    .filter((set) => sameTemplate(set.spec.template, deployment.spec.template))
    .sort(byAge);
  const present = matching[0];
  const old = sets.filter((set) => set !== present);
  const revision = old.reduce((max, set) => Math.max(max, revisionOf(set)), 0) + 1;
  let next: ReplicaSet | undefined;
  if (present) next = await annotate(work, present, revision);
  else if (create) next = await createSet(work, old, revision);
  if (next) await noteRevision(work, next);
  return { next, old, all: next ? [...old, next] : old };
}

export function revisionOf(set: ReplicaSet): number {
  const revision = Number(set.metadata.annotations?.[REVISION] ?? 0);
  return Number.isSafeInteger(revision) ? revision : 0;
}

export function maxReplicasOf(set: ReplicaSet, deployment: Deployment): number {
  const annotated = Number(set.metadata.annotations?.[MAX_REPLICAS]);
  return annotated > 0 ? annotated : (deployment.status?.replicas ?? 0);
}

/** The size the set was last scaled for, when known. */
export function annotatedDesired(set: ReplicaSet): number | undefined {
  const text = set.metadata.annotations?.[DESIRED_REPLICAS];
  return text === undefined ? undefined : Number(text);
}

/** Sets the replicas and notes the size they are for; nothing is written when nothing changes. */
export async function scaleSet(work: DeploymentWork, set: ReplicaSet, replicas: number): Promise<ReplicaSet> {
  const { deployment, context } = work;
  const annotations = { ...set.metadata.annotations, ...sizes(deployment) };
  const resized = replicas !== replicasOf(set);
  if (!resized && sameValue(annotations, set.metadata.annotations)) return set;
  const reply = await context.client.update<ReplicaSet>(resources.replicaSets, {
    ...set,
    metadata: { ...set.metadata, annotations },
    spec: { ...set.spec, replicas },
  });
  work.writes.wrote(work.key, reply);
  if (resized) {
    const direction = replicas > replicasOf(set) ? 'up' : 'down';
    const text = `Scaled ${direction} replica set ${set.metadata.name} from ${replicasOf(set)} to ${replicas}`;
    context.events.record(deployment, 'Normal', 'ScalingReplicaSet', text);
  }
  return reply;
}

function sizes(deployment: Deployment): Record<string, string> {
  const desired = desiredReplicas(deployment);
  return {
    [DESIRED_REPLICAS]: String(desired),
    [MAX_REPLICAS]: String(desired + rollingLimits(deployment).maxSurge),
  };
}

function copiedAnnotations(deployment: Deployment): Record<string, string> {
  const all = Object.entries(deployment.metadata.annotations ?? {});
  return Object.fromEntries(all.filter(([name]) => !NOT_COPIED.has(name)));
}

/** An older set that becomes the new one again (roll-back) gets a new number and keeps its old ones as history. */
async function annotate(work: DeploymentWork, set: ReplicaSet, revision: number): Promise<ReplicaSet> {
  const { deployment, context } = work;
  const annotations: Record<string, string> = {
    ...set.metadata.annotations,
    ...copiedAnnotations(deployment),
  };
  const before = revisionOf(set);
  if (before < revision) {
    if (before > 0) {
      const history = annotations[REVISION_HISTORY];
      annotations[REVISION_HISTORY] = history ? `${history},${before}` : String(before);
    }
    annotations[REVISION] = String(revision);
  }
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  const same =
    sameValue(annotations, set.metadata.annotations ?? {}) &&
    minReadySeconds === (set.spec.minReadySeconds ?? 0);
  if (same) return set;
  const reply = await context.client.update<ReplicaSet>(resources.replicaSets, {
    ...set,
    metadata: { ...set.metadata, annotations },
    spec: { ...set.spec, minReadySeconds },
  });
  work.writes.wrote(work.key, reply);
  return reply;
}

async function createSet(
  work: DeploymentWork,
  old: readonly ReplicaSet[],
  revision: number,
): Promise<ReplicaSet> {
  const { deployment, context } = work;
  const hash = safeHash(deployment.spec.template, deployment.status?.collisionCount ?? 0);
  const template = {
    ...deployment.spec.template,
    metadata: {
      ...deployment.spec.template.metadata,
      labels: { ...deployment.spec.template.metadata?.labels, [POD_TEMPLATE_HASH]: hash },
    },
  };
  const { name, namespace } = deployment.metadata;
  const { selector, minReadySeconds } = deployment.spec;
  const draft: ReplicaSet = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace && { namespace }),
      labels: { ...template.metadata.labels },
      annotations: { ...copiedAnnotations(deployment), ...sizes(deployment), [REVISION]: String(revision) },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: 0,
      ...(minReadySeconds !== undefined && { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [POD_TEMPLATE_HASH]: hash } },
      template,
    },
  };
  draft.spec.replicas = newSetReplicas(deployment, [...old, draft], draft);
  try {
    const made = await context.client.create<ReplicaSet>(resources.replicaSets, draft);
    work.writes.wrote(work.key, made);
    const text = `Scaled up replica set ${made.metadata.name} from 0 to ${replicasOf(made)}`;
    if (replicasOf(made) > 0) context.events.record(deployment, 'Normal', 'ScalingReplicaSet', text);
    return made;
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error;
    return await resolveCollision(work, draft, error);
  }
}

/** A set of that name is there: ours after a lost reply, or another template of the same hash. */
async function resolveCollision(
  work: DeploymentWork,
  draft: ReplicaSet,
  error: ApiError,
): Promise<ReplicaSet> {
  const { deployment, context } = work;
  const { name, namespace } = draft.metadata;
  const present = await context.client.get<ReplicaSet>(resources.replicaSets, name, namespace);
  if (isControlledBy(present, deployment) && sameTemplate(present.spec.template, draft.spec.template)) {
    return present;
  }
  const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
  const status = { ...deployment.status, collisionCount };
  await context.client.update(resources.deployments, { ...deployment, status }, { subresource: 'status' });
  throw error;
}

/** The deployment shows the number of its newest set. */
async function noteRevision(work: DeploymentWork, next: ReplicaSet): Promise<void> {
  const { deployment, context } = work;
  const revision = next.metadata.annotations?.[REVISION] ?? '1';
  if (deployment.metadata.annotations?.[REVISION] === revision) return;
  const { name, namespace } = deployment.metadata;
  const metadata = { annotations: { [REVISION]: revision } };
  await context.client.patch(resources.deployments, name, namespace, 'merge', { metadata });
}
