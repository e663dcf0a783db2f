import type { Informer } from '../../api/client/informer.ts';
import { again, done, type Again, type Done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { Deployment, ReplicaSet } from '../../api/kinds/apps.ts';
import { objectKey, type OwnerReference } from '../../api/kinds/meta.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import {
  byAge,
  desiredReplicas,
  newSetReplicas,
  oldSetReplicas,
  proportionalReplicas,
  replicasOf,
} from './deployment-math.ts';
import {
  annotatedDesired,
  type DeploymentWork,
  maxReplicasOf,
  type Revisions,
  revisionOf,
  scaleSet,
  syncRevisions,
} from './deployment-revisions.ts';
import { deploymentStatus, isComplete, progressDeadlineMs } from './deployment-status.ts';
import { isEmptySelector, selects } from '../label-selector.ts';
import { WRITE_RECHECK_MS } from '../limits.ts';
import { OwnWrites } from '../own-writes.ts';
import { controllerReference, OWNER_INDEX, orphanKey, ownerIndex } from '../owners.ts';
import { isGone } from '../pod-control.ts';
import { ownerKey } from '../pod-events.ts';
import { isPodFinished } from '../pod-state.ts';
import { sameStatus } from '../same-status.ts';

/** Rolls Deployments out through their ReplicaSets. */
export function openDeploymentController(context: ControllerContext): AsyncDisposable {
  const { informers, clock } = context;
  const deployments = informers.informer<Deployment>(resources.deployments);
  const sets = informers.informer<ReplicaSet>(resources.replicaSets, { [OWNER_INDEX]: ownerIndex });
  const pods = informers.informer<Pod>(resources.pods, { [OWNER_INDEX]: ownerIndex });
  const writes = new OwnWrites<ReplicaSet>({ clock, informer: sets });
  const loop = openLoop(context, 'deployment', async (key) => {
    const { namespace, name } = splitKey(key);
    const deployment = deployments.get(namespace, name);
    if (!deployment) {
      writes.forget(key);
      return done;
    }
    if (isEmptySelector(deployment.spec.selector)) {
      context.events.record(deployment, 'Warning', 'SelectingAll', 'This deployment is selecting all pods.');
      return done;
    }
    if (!writes.visible(key)) return again(WRITE_RECHECK_MS);
    return await sync({ context, writes, key, deployment }, sets, pods);
  });
  const mark = (set: ReplicaSet): void => {
    const key = ownerKey(set, deployments);
    if (key) return loop.add(key);
    for (const deployment of deployments.list(set.metadata.namespace ?? '')) {
      if (mayAdopt(deployment, set)) loop.add(objectKey(deployment));
    }
  };
  return together(
    loop,
    deployments.subscribe(({ object }) => loop.add(objectKey(object))),
    sets.subscribe((event) => {
      if (
        event.type === 'updated' &&
        ownerKey(event.old, deployments) !== ownerKey(event.object, deployments)
      ) {
        mark(event.old);
      }
      mark(event.object);
    }),
    pods.subscribe((event) => {
      // Recreate waits for the last old pod to be gone.
      if (event.type !== 'deleted') return;
      for (const set of ownersOf(event.object, sets)) mark(set);
    }),
  );
}

function ownersOf(pod: Pod, sets: Informer<ReplicaSet>): ReplicaSet[] {
  const key = ownerKey(pod, sets);
  const { namespace, name } = key ? splitKey(key) : { namespace: undefined, name: '' };
  const set = sets.get(namespace, name);
  return set ? [set] : [];
}

function mayAdopt(deployment: Deployment, set: ReplicaSet): boolean {
  const { selector } = deployment.spec;
  return !isEmptySelector(selector) && selects(selector, set.metadata.labels);
}

async function sync(
  work: DeploymentWork,
  informer: Informer<ReplicaSet>,
  pods: Informer<Pod>,
): Promise<Done | Again> {
  const { deployment } = work;
  const owned = await claimSets(work, informer);
  let revisions: Revisions;
  if (deployment.metadata.deletionTimestamp) {
    revisions = { next: undefined, old: owned, all: owned };
  } else if (deployment.spec.paused || isResize(deployment, owned)) {
    const found = await syncRevisions(work, owned, false);
    revisions = await resize(work, found);
    if (deployment.spec.paused) await cleanUp(work, revisions);
  } else if (deployment.spec.strategy?.type === 'Recreate') {
    revisions = await recreate(work, owned, pods);
  } else {
    revisions = await roll(work, owned);
  }
  return await finish(work, revisions);
}

async function claimSets(work: DeploymentWork, informer: Informer<ReplicaSet>): Promise<ReplicaSet[]> {
  const { deployment } = work;
  const { uid, namespace, deletionTimestamp } = deployment.metadata;
  const owned: ReplicaSet[] = [];
  for (const set of Array.from(informer.byIndex(OWNER_INDEX, uid ?? ''))) {
    if (deletionTimestamp || set.metadata.deletionTimestamp || mayAdopt(deployment, set)) owned.push(set);
    else
      await setOwners(
        work,
        set,
        (set.metadata.ownerReferences ?? []).filter((one) => one.uid !== uid),
      );
  }
  if (deletionTimestamp) return owned;
  for (const set of Array.from(informer.byIndex(OWNER_INDEX, orphanKey(namespace)))) {
    if (set.metadata.deletionTimestamp || !mayAdopt(deployment, set)) continue;
    const references = [...(set.metadata.ownerReferences ?? []), controllerReference(deployment)];
    owned.push(await setOwners(work, set, references));
  }
  return owned;
}

async function setOwners(
  work: DeploymentWork,
  set: ReplicaSet,
  ownerReferences: OwnerReference[],
): Promise<ReplicaSet> {
  const object = { ...set, metadata: { ...set.metadata, ownerReferences } };
  const reply = await work.context.client.update<ReplicaSet>(resources.replicaSets, object);
  work.writes.wrote(work.key, reply);
  return reply;
}

/** spec.replicas changed since the sets were scaled. */
function isResize(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  return sets.some((set) => {
    const annotated = annotatedDesired(set);
    return replicasOf(set) > 0 && annotated !== undefined && annotated !== desiredReplicas(deployment);
  });
}

/** Brings the sets to a changed size without moving the roll-out on. */
async function resize(work: DeploymentWork, revisions: Revisions): Promise<Revisions> {
  const { deployment } = work;
  const { next, old, all } = revisions;
  const wanted = desiredReplicas(deployment);
  const active = all.filter((set) => replicasOf(set) > 0);
  const only = active.length > 1 ? undefined : (active[0] ?? next ?? [...old].sort(byAge).at(-1));
  if (only) return await scaled(work, revisions, new Map([[only, wanted]]));
  if (active.length === 0) return revisions;
  const saturated = next && replicasOf(next) === wanted && (next.status?.availableReplicas ?? 0) === wanted;
  if (saturated && annotatedDesired(next) === wanted) {
    return await scaled(work, revisions, new Map(old.map((set) => [set, 0])));
  }
  if (deployment.spec.strategy?.type === 'Recreate') return revisions;
  const sizes = proportionalReplicas(deployment, active, (set) => maxReplicasOf(set, deployment));
  return await scaled(work, revisions, sizes);
}

/** Writes the sizes and returns the revisions with what was written. */
async function scaled(
  work: DeploymentWork,
  revisions: Revisions,
  sizes: ReadonlyMap<ReplicaSet, number>,
): Promise<Revisions> {
  const written = new Map<ReplicaSet, ReplicaSet>();
  for (const [set, replicas] of sizes) written.set(set, await scaleSet(work, set, replicas));
  const newest = (set: ReplicaSet): ReplicaSet => written.get(set) ?? set;
  return {
    next: revisions.next && newest(revisions.next),
    old: revisions.old.map(newest),
    all: revisions.all.map(newest),
  };
}

async function roll(work: DeploymentWork, owned: readonly ReplicaSet[]): Promise<Revisions> {
  const { deployment } = work;
  let revisions = await syncRevisions(work, owned, true);
  const { next, all } = revisions;
  if (!next) return revisions;
  const grown = newSetReplicas(deployment, all, next);
  revisions = await scaled(work, revisions, new Map([[next, grown]]));
  // One step at a time: availability is judged on what the caches show after the new set has grown.
  if (grown !== replicasOf(next) || !revisions.next) return revisions;
  const smaller = oldSetReplicas(
    deployment,
    revisions.old.filter((set) => replicasOf(set) > 0),
    revisions.next,
  );
  revisions = await scaled(work, revisions, smaller);
  if (isComplete(deployment, statusOf(work, revisions))) await cleanUp(work, revisions);
  return revisions;
}

async function recreate(
  work: DeploymentWork,
  owned: readonly ReplicaSet[],
  pods: Informer<Pod>,
): Promise<Revisions> {
  const { deployment } = work;
  let revisions = await syncRevisions(work, owned, false);
  const running = revisions.old.filter((set) => replicasOf(set) > 0);
  if (running.length > 0) return await scaled(work, revisions, new Map(running.map((set) => [set, 0])));
  const left = revisions.old.some((set) =>
    Array.from(pods.byIndex(OWNER_INDEX, set.metadata.uid ?? '')).some((pod) => !isPodFinished(pod)),
  );
  if (left) return revisions;
  revisions = await syncRevisions(work, owned, true);
  if (!revisions.next) return revisions;
  revisions = await scaled(work, revisions, new Map([[revisions.next, desiredReplicas(deployment)]]));
  if (isComplete(deployment, statusOf(work, revisions))) await cleanUp(work, revisions);
  return revisions;
}

/** Deletes the oldest empty sets beyond revisionHistoryLimit. */
async function cleanUp(work: DeploymentWork, { old }: Revisions): Promise<void> {
  const { deployment, context, writes, key } = work;
  const limit = deployment.spec.revisionHistoryLimit ?? 10;
  const empty = old.filter(
    (set) =>
      !set.metadata.deletionTimestamp &&
      replicasOf(set) === 0 &&
      (set.status?.replicas ?? 0) === 0 &&
      (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
  );
  const surplus = empty.sort((a, b) => revisionOf(a) - revisionOf(b) || byAge(a, b));
  for (const set of surplus.slice(0, Math.max(0, old.length - limit))) {
    const { name, namespace } = set.metadata;
    try {
      await context.client.delete(resources.replicaSets, name, namespace);
      writes.deleted(key, set);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

function statusOf(work: DeploymentWork, { all, next }: Revisions): NonNullable<Deployment['status']> {
  const { deployment, context } = work;
  return deploymentStatus({ deployment, all, next, nowMs: context.clock.nowMs() });
}

async function finish(work: DeploymentWork, revisions: Revisions): Promise<Done | Again> {
  const { deployment, context } = work;
  const status = statusOf(work, revisions);
  if (!sameStatus(deployment.status, status)) {
    await context.client.update(resources.deployments, { ...deployment, status }, { subresource: 'status' });
  }
  const lookMs = progressDeadlineMs(deployment, status, context.clock.nowMs());
  return lookMs === undefined ? done : again(lookMs);
}
