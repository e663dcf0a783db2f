import type { Resource } from '../../api/client/client.ts';
import type { Informer } from '../../api/client/informer.ts';
import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type {
  PodTemplate,
  ReplicaSet,
  ReplicaSetStatus,
  ReplicationController,
} from '../../api/kinds/apps.ts';
import { type Condition, type KubeObject, objectKey } from '../../api/kinds/meta.ts';
import { isPodReady, type Pod } from '../../api/kinds/pod.ts';
import { messageOf } from '../../base/fault.ts';
import { claimPods } from '../claim-pods.ts';
import { withCondition, withoutCondition } from '../conditions.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { isEmptySelector, mapSelects, selects } from '../label-selector.ts';
import { MAX_PODS_PER_RECONCILE, WRITE_RECHECK_MS } from '../limits.ts';
import { OwnWrites } from '../own-writes.ts';
import { controllerOf, OWNER_INDEX, ownerIndex } from '../owners.ts';
import { createPod, deletePod, isNamespaceTerminating, podFromTemplate, slowStart } from '../pod-control.ts';
import { followPods } from '../pod-events.ts';
import { deletionOrder, isPodActive, isPodAvailable, nextAvailableMs } from '../pod-state.ts';
import { sameStatus } from '../same-status.ts';

/** What ReplicaSets and ReplicationControllers have in common, read from either. */
interface Flavour<T extends KubeObject> {
  readonly name: string;
  readonly resource: Resource;
  readonly selects: (owner: T, pod: Pod) => boolean;
}

type Replicated = ReplicaSet | ReplicationController;

/** Keeps spec.replicas pods of each ReplicaSet. */
export function openReplicaSetController(context: ControllerContext): AsyncDisposable {
  return openReplicaController<ReplicaSet>(context, {
    name: 'replica-set',
    resource: resources.replicaSets,
    selects: (owner, pod) =>
      !isEmptySelector(owner.spec.selector) && selects(owner.spec.selector, pod.metadata.labels),
  });
}

/** Keeps spec.replicas pods of each ReplicationController. */
export function openReplicationControllerController(context: ControllerContext): AsyncDisposable {
  return openReplicaController<ReplicationController>(context, {
    name: 'replication-controller',
    resource: resources.replicationControllers,
    selects: (owner, pod) => {
      const selector = owner.spec.selector ?? owner.spec.template?.metadata?.labels ?? {};
      return Object.keys(selector).length > 0 && mapSelects(selector, pod.metadata.labels);
    },
  });
}

function openReplicaController<T extends Replicated>(
  context: ControllerContext,
  flavour: Flavour<T>,
): AsyncDisposable {
  const { client, informers, clock } = context;
  const owners = informers.informer<T>(flavour.resource, { [OWNER_INDEX]: ownerIndex });
  const pods = informers.informer<Pod>(resources.pods, { [OWNER_INDEX]: ownerIndex });
  const writes = new OwnWrites<Pod>({ clock, informer: pods });
  const loop = openLoop(context, flavour.name, async (key) => {
    const { namespace, name } = splitKey(key);
    const owner = owners.get(namespace, name);
    if (!owner) {
      writes.forget(key);
      return done;
    }
    const claimed = await claimPods({ client, pods }, owner, (pod) => flavour.selects(owner, pod));
    const active = claimed.filter(isPodActive);
    let failure: unknown;
    const settled = writes.visible(key);
    if (settled && !owner.metadata.deletionTimestamp) {
      failure = await manage(
        { context, writes, key, siblings: () => related(owner, owners, pods) },
        owner,
        active,
      );
    }
    await updateStatus(context, flavour, owner, active, failure);
    if (failure && !isNamespaceTerminating(failure)) throw failure;
    const nextMs = nextAvailableMs(active, owner.spec.minReadySeconds ?? 0, clock.nowMs());
    if (!settled) return again(WRITE_RECHECK_MS);
    return nextMs === undefined ? done : again(nextMs - clock.nowMs());
  });
  return together(
    loop,
    owners.subscribe(({ object }) => loop.add(objectKey(object))),
    followPods(pods, owners, loop, flavour.selects),
  );
}

interface Management {
  readonly context: ControllerContext;
  readonly writes: OwnWrites<Pod>;
  readonly key: string;
  /** Pods of the owner's own owner: spreading over nodes is judged over all of them. */
  readonly siblings: () => Pod[];
}

/** Creates or deletes what is missing or too much. Returns the first failure. */
async function manage(on: Management, owner: Replicated, active: readonly Pod[]): Promise<unknown> {
  const surplus = active.length - (owner.spec.replicas ?? 1);
  const { template } = owner.spec;
  if (surplus < 0 && template) {
    const count = Math.min(-surplus, MAX_PODS_PER_RECONCILE);
    const { failure } = await slowStart(count, () => createOne(on, owner, template));
    return failure;
  }
  if (surplus <= 0) return undefined;
  const leaving = deletionOrder(active, on.siblings()).slice(0, Math.min(surplus, MAX_PODS_PER_RECONCILE));
  const results = await Promise.allSettled(
    leaving.map(async (pod) => {
      await deletePod(on.context, owner, pod);
      on.writes.deleted(on.key, pod);
    }),
  );
  return results.find((result) => result.status === 'rejected')?.reason as unknown;
}

async function createOne(on: Management, owner: Replicated, template: PodTemplate): Promise<void> {
  on.writes.wrote(on.key, await createPod(on.context, owner, podFromTemplate(owner, template)));
}

function related<T extends Replicated>(owner: T, owners: Informer<T>, pods: Informer<Pod>): Pod[] {
  const parent = controllerOf(owner);
  const group = parent ? Array.from(owners.byIndex(OWNER_INDEX, parent.uid)) : [owner];
  return group
    .flatMap((one) => Array.from(pods.byIndex(OWNER_INDEX, one.metadata.uid ?? '')))
    .filter(isPodActive);
}

async function updateStatus<T extends Replicated>(
  { client, clock }: ControllerContext,
  flavour: Flavour<T>,
  owner: T,
  active: readonly Pod[],
  failure: unknown,
): Promise<void> {
  const { minReadySeconds = 0, template } = owner.spec;
  const nowMs = clock.nowMs();
  const labels = template?.metadata?.labels ?? {};
  const status: ReplicaSetStatus = {
    replicas: active.length,
    fullyLabeledReplicas: active.filter((pod) => mapSelects(labels, pod.metadata.labels)).length,
    readyReplicas: active.filter(isPodReady).length,
    availableReplicas: active.filter((pod) => isPodAvailable(pod, minReadySeconds, nowMs)).length,
    observedGeneration: owner.metadata.generation ?? 0,
  };
  const conditions = failureConditions(owner, active.length, failure, nowMs);
  if (conditions.length > 0) status.conditions = conditions;
  if (sameStatus(owner.status, status)) return;
  await client.update(flavour.resource, { ...owner, status }, { subresource: 'status' });
}

function failureConditions(owner: Replicated, count: number, failure: unknown, nowMs: number): Condition[] {
  const present = owner.status?.conditions;
  if (!failure || isNamespaceTerminating(failure)) return withoutCondition(present, 'ReplicaFailure');
  const reason = count < (owner.spec.replicas ?? 1) ? 'FailedCreate' : 'FailedDelete';
  const condition: Condition = {
    type: 'ReplicaFailure',
    status: 'True',
    reason,
    message: messageOf(failure),
  };
  return withCondition(present, condition, nowMs);
}
