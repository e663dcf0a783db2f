import { ApiError } from '../../api/client/client.ts';
import type { Informer } from '../../api/client/informer.ts';
import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { ControllerRevision, StatefulSet, StatefulSetStatus } from '../../api/kinds/apps.ts';
import { type KubeObject, objectKey } from '../../api/kinds/meta.ts';
import { isPodReady, type Pod } from '../../api/kinds/pod.ts';
import { claimPods } from '../claim-pods.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { scaledValue } from '../scaled-value.ts';
import { isEmptySelector, selects } from '../label-selector.ts';
import { MAX_PODS_PER_RECONCILE, WRITE_RECHECK_MS } from '../limits.ts';
import { OwnWrites } from '../own-writes.ts';
import { OWNER_INDEX, ownerIndex } from '../owners.ts';
import { createPod, deletePod, isGone, isNamespaceTerminating } from '../pod-control.ts';
import { followPods } from '../pod-events.ts';
import { isPodAvailable, isPodFinished, nextAvailableMs } from '../pod-state.ts';
import { sameStatus } from '../same-status.ts';
import { claimName, claimsFor, ordinalOf, statefulPod } from './stateful-set-pods.ts';
import { REVISION_HASH, revisionsOf, truncateRevisions, updateRevision } from './stateful-set-revisions.ts';

/** Keeps the pods of StatefulSets: stable names, in order, one at a time unless Parallel. */
export function openStatefulSetController(context: ControllerContext): AsyncDisposable {
  const { client, informers, clock } = context;
  const sets = informers.informer<StatefulSet>(resources.statefulSets);
  const pods = informers.informer<Pod>(resources.pods, { [OWNER_INDEX]: ownerIndex });
  const claims = informers.informer(resources.persistentVolumeClaims);
  const revisions = informers.informer<ControllerRevision>(resources.controllerRevisions, {
    [OWNER_INDEX]: ownerIndex,
  });
  const writes = new OwnWrites<Pod>({ clock, informer: pods });
  const revisionWrites = new OwnWrites<ControllerRevision>({ clock, informer: revisions });
  const matches = (set: StatefulSet, pod: Pod): boolean =>
    selects(set.spec.selector, pod.metadata.labels) && ordinalOf(set, pod) !== undefined;
  const loop = openLoop(context, 'stateful-set', async (key) => {
    const { namespace, name } = splitKey(key);
    const set = sets.get(namespace, name);
    if (!set || isEmptySelector(set.spec.selector)) {
      writes.forget(key);
      revisionWrites.forget(key);
      return done;
    }
    if (!writes.visible(key) || !revisionWrites.visible(key)) return again(WRITE_RECHECK_MS);
    const claimed = await claimPods({ client, pods }, set, (pod) => matches(set, pod));
    const history = revisionsOf(revisions, set);
    const update = await updateRevision({ client, revisions }, set, history);
    revisionWrites.wrote(key, update);
    const current = history.find((one) => one.metadata.name === set.status?.currentRevision) ?? update;
    const work: Work = { context, writes, claims, key, set, pods: claimed, current, update };
    if (!set.metadata.deletionTimestamp) await advance(work);
    await writeStatus(work);
    const inUse = new Set([current.metadata.name, update.metadata.name]);
    for (const pod of claimed) inUse.add(pod.metadata.labels?.[REVISION_HASH] ?? '');
    await truncateRevisions(client, set, history, inUse);
    const nextMs = nextAvailableMs(claimed, set.spec.minReadySeconds ?? 0, clock.nowMs());
    return nextMs === undefined ? done : again(nextMs - clock.nowMs());
  });
  return together(
    loop,
    sets.subscribe(({ object }) => loop.add(objectKey(object))),
    followPods(pods, sets, loop, matches),
  );
}

interface Work {
  readonly context: ControllerContext;
  readonly writes: OwnWrites<Pod>;
  readonly claims: Informer<KubeObject>;
  readonly key: string;
  readonly set: StatefulSet;
  readonly pods: readonly Pod[];
  readonly current: ControllerRevision;
  readonly update: ControllerRevision;
}

/** One round: create and repair in order, then take down what is condemned, then update from the top. */
async function advance(work: Work): Promise<void> {
  const { set } = work;
  const start = set.spec.ordinals?.start ?? 0;
  const end = start + (set.spec.replicas ?? 1);
  const inOrder = set.spec.podManagementPolicy !== 'Parallel';
  const byOrdinal = new Map(work.pods.map((pod) => [ordinalOf(set, pod) ?? -1, pod]));
  let writesLeft = MAX_PODS_PER_RECONCILE;
  for (let ordinal = start; ordinal < end && writesLeft > 0; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    const wrote = await fill(work, ordinal, pod);
    if (wrote) writesLeft--;
    if (inOrder && (wrote || !pod || pod.metadata.deletionTimestamp || !isAvailable(work, pod))) return;
  }
  const condemned = work.pods.filter((pod) => {
    const ordinal = ordinalOf(set, pod) ?? -1;
    return ordinal < start || ordinal >= end;
  });
  condemned.sort((a, b) => (ordinalOf(set, b) ?? 0) - (ordinalOf(set, a) ?? 0));
  for (const pod of condemned) {
    if (!pod.metadata.deletionTimestamp) await remove(work, pod);
    await dropClaims(work, pod);
    if (inOrder) return;
  }
  if (set.spec.updateStrategy?.type !== 'OnDelete') await rollingUpdate(work, byOrdinal, start, end);
}

/** Makes the missing pod, or deletes one that finished so that it is made again. True when it wrote. */
async function fill(work: Work, ordinal: number, pod: Pod | undefined): Promise<boolean> {
  const { set, context, key, writes } = work;
  if (pod && isPodFinished(pod) && !pod.metadata.deletionTimestamp) {
    await remove(work, pod);
    return true;
  }
  if (pod) return false;
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  const start = set.spec.ordinals?.start ?? 0;
  const old = ordinal < start + oldCount(work, partition);
  const revision = set.spec.updateStrategy?.type === 'OnDelete' || !old ? work.update : work.current;
  const made = statefulPod(set, ordinal, revision);
  for (const claim of claimsFor(set, made.metadata.name)) await ensureClaim(work, claim);
  try {
    writes.wrote(key, await createPod(context, set, made));
  } catch (error) {
    if (!isNamespaceTerminating(error)) throw error;
  }
  return true;
}

/**
 * Ordinals below this are made from the current revision, so that a roll-out from the top does not jump ahead
 * when a lower pod is lost. Counted from the pods, not from status: status may lag behind a deletion.
 */
function oldCount(work: Work, partition: number): number {
  const onCurrent = work.pods.filter(
    (pod) =>
      !pod.metadata.deletionTimestamp && pod.metadata.labels?.[REVISION_HASH] === work.current.metadata.name,
  );
  return Math.max(partition, onCurrent.length);
}

async function ensureClaim(work: Work, claim: KubeObject): Promise<void> {
  const { name, namespace } = claim.metadata;
  if (work.claims.get(namespace, name)) return;
  try {
    await work.context.client.create(resources.persistentVolumeClaims, claim);
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error;
  }
}

/** Claims of a scaled-down pod, when the set says so. */
async function dropClaims(work: Work, pod: Pod): Promise<void> {
  const { set, context } = work;
  if (set.spec.persistentVolumeClaimRetentionPolicy?.whenScaled !== 'Delete') return;
  for (const template of set.spec.volumeClaimTemplates ?? []) {
    const name = claimName(template.metadata.name ?? '', pod.metadata.name);
    const { namespace } = set.metadata;
    await context.client.delete(resources.persistentVolumeClaims, name, namespace).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
  }
}

async function remove(work: Work, pod: Pod): Promise<void> {
  await deletePod(work.context, work.set, pod);
  work.writes.deleted(work.key, pod);
}

/** Deletes pods of an older revision from the highest ordinal down, maxUnavailable at a time. */
async function rollingUpdate(
  work: Work,
  byOrdinal: ReadonlyMap<number, Pod>,
  start: number,
  end: number,
): Promise<void> {
  const { set, update } = work;
  const rolling = set.spec.updateStrategy?.rollingUpdate;
  const partition = rolling?.partition ?? 0;
  const wanted = rolling?.maxUnavailable ?? 1;
  const maxUnavailable = Math.max(1, scaledValue(wanted, set.spec.replicas ?? 1, 'up'));
  let unavailable = 0;
  for (let ordinal = start; ordinal < end; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    if (!pod || pod.metadata.deletionTimestamp || !isAvailable(work, pod)) unavailable++;
  }
  for (let ordinal = end - 1; ordinal >= start + partition; ordinal--) {
    const pod = byOrdinal.get(ordinal);
    if (!pod || pod.metadata.deletionTimestamp) continue;
    if (pod.metadata.labels?.[REVISION_HASH] === update.metadata.name) continue;
    const broken = !isAvailable(work, pod);
    if (!broken && unavailable >= maxUnavailable) return;
    await remove(work, pod);
    if (!broken) unavailable++;
  }
}

function isAvailable(work: Work, pod: Pod): boolean {
  return isPodAvailable(pod, work.set.spec.minReadySeconds ?? 0, work.context.clock.nowMs());
}

async function writeStatus(work: Work): Promise<void> {
  const { set, pods, update, context } = work;
  const present = pods.filter((pod) => !isPodFinished(pod));
  const alive = present.filter((pod) => !pod.metadata.deletionTimestamp);
  const at = (revision: string): number =>
    alive.filter((pod) => pod.metadata.labels?.[REVISION_HASH] === revision).length;
  const replicas = set.spec.replicas ?? 1;
  const ready = alive.filter(isPodReady);
  const updatedReplicas = at(update.metadata.name);
  const finished = updatedReplicas === replicas && present.length === replicas && ready.length === replicas;
  const currentRevision = finished ? update.metadata.name : work.current.metadata.name;
  const status: StatefulSetStatus = {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: present.length,
    readyReplicas: ready.length,
    availableReplicas: ready.filter((pod) => isAvailable(work, pod)).length,
    currentReplicas: at(currentRevision),
    updatedReplicas,
    currentRevision,
    updateRevision: update.metadata.name,
    collisionCount: set.status?.collisionCount ?? 0,
  };
  if (sameStatus(set.status, status)) return;
  await context.client.update(resources.statefulSets, { ...set, status }, { subresource: 'status' });
}
