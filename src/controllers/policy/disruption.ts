import type { InformerFactory } from '../../api/client/informer-factory.ts';
import type { Informer } from '../../api/client/informer.ts';
import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { Deployment, ReplicaSet, ReplicationController, StatefulSet } from '../../api/kinds/apps.ts';
import type { PodDisruptionBudget } from '../../api/kinds/disruption-budget.ts';
import { type IntOrString, type KubeObject, objectKey } from '../../api/kinds/meta.ts';
import { isPodReady, type Pod } from '../../api/kinds/pod.ts';
import { withCondition } from '../conditions.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { scaledValue } from '../scaled-value.ts';
import { selects } from '../label-selector.ts';
import { DISRUPTION_GRANT_MS } from '../limits.ts';
import { controllerOf } from '../owners.ts';
import { isPodFinished } from '../pod-state.ts';
import { sameStatus } from '../same-status.ts';

type Status = NonNullable<PodDisruptionBudget['status']>;
type Scaled = KubeObject & { readonly spec: { readonly replicas?: number } };

/** Keeps the status of PodDisruptionBudgets, by which evictions are granted (policy/v1). */
export function openDisruptionController(context: ControllerContext): AsyncDisposable {
  const { informers, clock, client } = context;
  const budgets = informers.informer<PodDisruptionBudget>(resources.podDisruptionBudgets);
  const pods = informers.informer<Pod>(resources.pods);
  const scales = openScales(informers);
  const loop = openLoop(context, 'disruption', async (key) => {
    const { namespace = '', name } = splitKey(key);
    const budget = budgets.get(namespace, name);
    if (!budget || budget.metadata.deletionTimestamp) return done;
    const covered = Array.from(pods.list(namespace)).filter(
      (pod) => selects(budget.spec.selector, pod.metadata.labels) && !isPodFinished(pod),
    );
    const nowMs = clock.nowMs();
    const { status, unmanaged, lookAtMs } = budgetStatus(budget, covered, {
      replicasOf: (pod) => scales.replicasOf(pod),
      nowMs,
    });
    if (unmanaged) {
      const text = `Pods selected by this PodDisruptionBudget (selector: ${JSON.stringify(budget.spec.selector ?? {})}) were found to be unmanaged: ${unmanaged}`;
      context.events.record(budget, 'Warning', 'UnmanagedPods', text);
    }
    if (!sameStatus(budget.status, status)) {
      await client.update(resources.podDisruptionBudgets, { ...budget, status }, { subresource: 'status' });
    }
    return lookAtMs === undefined ? done : again(lookAtMs - nowMs);
  });
  const touch = (namespace: string | undefined, concerns: (budget: PodDisruptionBudget) => boolean): void => {
    for (const budget of budgets.list(namespace ?? '')) if (concerns(budget)) loop.add(objectKey(budget));
  };
  return together(
    loop,
    budgets.subscribe(({ type, object }) => {
      if (type !== 'deleted') loop.add(objectKey(object));
    }),
    pods.subscribe((event) => {
      const versions = event.type === 'updated' ? [event.object, event.old] : [event.object];
      touch(event.object.metadata.namespace, ({ spec }) =>
        versions.some((pod) => selects(spec.selector, pod.metadata.labels)),
      );
    }),
    scales.subscribe((namespace) => touch(namespace, isRelative)),
  );
}

/** Budgets that are judged by how many pods there should be. */
function isRelative({ spec }: PodDisruptionBudget): boolean {
  return spec.maxUnavailable !== undefined || typeof spec.minAvailable === 'string';
}

interface Judged {
  readonly status: Status;
  /** Names of pods without a controller, in a budget that needs one. */
  readonly unmanaged: string;
  /** When a grant runs out, ms since the epoch. */
  readonly lookAtMs?: number;
}

interface Surroundings {
  /** spec.replicas of what controls the pod, with the controller's uid; undefined when nothing does. */
  readonly replicasOf: (pod: Pod) => { uid: string; replicas: number } | undefined;
  readonly nowMs: number;
}

/** Pure: what the budget's status should be. */
export function budgetStatus(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  { replicasOf, nowMs }: Surroundings,
): Judged {
  const { spec } = budget;
  const controllers = new Map<string, number>();
  const unmanaged: string[] = [];
  for (const pod of isRelative(budget) ? pods : []) {
    const scale = replicasOf(pod);
    if (scale) controllers.set(scale.uid, scale.replicas);
    else unmanaged.push(pod.metadata.name);
  }
  const scaled = Array.from(controllers.values()).reduce((sum, replicas) => sum + replicas, 0);
  const expectedPods = isRelative(budget) ? scaled : pods.length;
  const desiredHealthy = desiredOf(spec.minAvailable, spec.maxUnavailable, expectedPods);
  const { disruptedPods, lookAtMs } = standingGrants(budget, pods, nowMs);
  const healthy = pods.filter(
    (pod) =>
      isPodReady(pod) && !pod.metadata.deletionTimestamp && !Object.hasOwn(disruptedPods, pod.metadata.name),
  );
  const currentHealthy = healthy.length;
  const disruptionsAllowed = expectedPods > 0 ? Math.max(0, currentHealthy - desiredHealthy) : 0;
  const conditions = withCondition(
    budget.status?.conditions,
    {
      type: 'DisruptionAllowed',
      status: disruptionsAllowed > 0 ? 'True' : 'False',
      reason: disruptionsAllowed > 0 ? 'SufficientPods' : 'InsufficientPods',
      message: '',
      observedGeneration: budget.metadata.generation ?? 0,
    },
    nowMs,
  );
  const status: Status = {
    observedGeneration: budget.metadata.generation ?? 0,
    disruptionsAllowed,
    currentHealthy,
    desiredHealthy,
    expectedPods,
    ...(Object.keys(disruptedPods).length > 0 && { disruptedPods }),
    conditions,
  };
  return { status, unmanaged: unmanaged.join(', '), ...(lookAtMs !== undefined && { lookAtMs }) };
}

function desiredOf(
  minAvailable: IntOrString | undefined,
  maxUnavailable: IntOrString | undefined,
  expected: number,
): number {
  if (maxUnavailable !== undefined)
    return Math.max(0, expected - scaledValue(maxUnavailable, expected, 'up'));
  return scaledValue(minAvailable ?? 0, expected, 'up');
}

/** Grants whose pod is still there and not yet going; one that was never used runs out. */
function standingGrants(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  nowMs: number,
): { disruptedPods: Record<string, string>; lookAtMs?: number } {
  const disruptedPods: Record<string, string> = {};
  const waiting = new Set(
    pods.filter((pod) => !pod.metadata.deletionTimestamp).map(({ metadata }) => metadata.name),
  );
  let lookAtMs = Infinity;
  for (const [name, time] of Object.entries(budget.status?.disruptedPods ?? {})) {
    const untilMs = Date.parse(time) + DISRUPTION_GRANT_MS;
    if (!waiting.has(name) || !(untilMs > nowMs)) continue;
    disruptedPods[name] = time;
    lookAtMs = Math.min(lookAtMs, untilMs);
  }
  return { disruptedPods, ...(Number.isFinite(lookAtMs) && { lookAtMs }) };
}

interface Scales {
  replicasOf(pod: Pod): { uid: string; replicas: number } | undefined;
  subscribe(changed: (namespace: string | undefined) => void): Disposable;
}

/** Who controls pods and how many there should be; a ReplicaSet of a Deployment counts as the Deployment. */
function openScales(informers: InformerFactory): Scales {
  const replicaSets = informers.informer<ReplicaSet>(resources.replicaSets);
  const deployments = informers.informer<Deployment>(resources.deployments);
  const byKind = new Map<string, Informer<Scaled>>([
    ['ReplicaSet', replicaSets],
    ['StatefulSet', informers.informer<StatefulSet>(resources.statefulSets)],
    ['ReplicationController', informers.informer<ReplicationController>(resources.replicationControllers)],
    ['Deployment', deployments],
  ]);
  const find = (object: KubeObject): Scaled | undefined => {
    const owner = controllerOf(object);
    const found = owner && byKind.get(owner.kind)?.get(object.metadata.namespace, owner.name);
    return found?.metadata.uid === owner?.uid ? found : undefined;
  };
  return {
    replicasOf(pod) {
      const first = find(pod);
      const controller = first && (find(first) ?? first);
      return controller && { uid: controller.metadata.uid ?? '', replicas: controller.spec.replicas ?? 1 };
    },
    subscribe(changed) {
      const subscriptions = Array.from(byKind.values(), (informer) =>
        informer.subscribe((event) => {
          if (event.type === 'updated' && event.old.spec.replicas === event.object.spec.replicas) return;
          changed(event.object.metadata.namespace);
        }),
      );
      return {
        [Symbol.dispose]: () => {
          for (const subscription of subscriptions) subscription[Symbol.dispose]();
        },
      };
    },
  };
}
