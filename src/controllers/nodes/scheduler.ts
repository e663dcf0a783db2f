import { ApiError } from '../../api/client/client.ts';
import type { Informer } from '../../api/client/informer.ts';
import { done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import { type Condition, type KubeObject, objectKey } from '../../api/kinds/meta.ts';
import type { Node } from '../../api/kinds/node.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { sameValue } from '../../base/same-value.ts';
import { conditionOf, withCondition } from '../conditions.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { isGone } from '../pod-control.ts';
import { isPodFinished } from '../pod-state.ts';
import { type NodeLoad, podRequests, tolerates, unfitReason } from './scheduler-fit.ts';
import { misplacedReason, placementScore } from './scheduler-spread.ts';
import { NODE_INDEX, nodeIndex } from '../node-index.ts';

const SCHEDULER_NAME = 'default-scheduler';
const WAITING_INDEX = 'unscheduled';

/** Binds pods to nodes: filters by taints, selectors, affinity, ports and resources, then takes the best. */
export function openScheduler(context: ControllerContext): AsyncDisposable {
  const { informers } = context;
  const nodes = informers.informer<Node>(resources.nodes);
  const pods = informers.informer<Pod>(resources.pods, {
    [NODE_INDEX]: nodeIndex,
    [WAITING_INDEX]: (pod) => (isWaiting(pod) ? ['yes'] : []),
  });
  // Bound by this loop, not yet seen in the cache.
  const assumed = new Map<string, { pod: Pod; nodeName: string }>();
  // One worker: each decision counts on the one before.
  const loop = openLoop(
    context,
    'scheduler',
    async (key) => {
      const { namespace, name } = splitKey(key);
      const pod = pods.get(namespace, name);
      if (!pod || !isWaiting(pod) || assumed.has(key)) return done;
      const loads = nodeLoads(nodes, pods, assumed);
      const choice = choose(pod, loads);
      if (typeof choice === 'object') {
        const nodeName = choice.node.metadata.name;
        if (await bind(context, pod, nodeName)) assumed.set(key, { pod, nodeName });
      } else await refuse(context, pod, choice);
      return done;
    },
    1,
  );
  const retryWaiting = (): void => {
    for (const pod of pods.byIndex(WAITING_INDEX, 'yes')) loop.add(objectKey(pod));
  };
  return together(
    loop,
    pods.subscribe((event) => {
      const pod = event.object;
      const key = objectKey(pod);
      if (
        event.type === 'deleted' ||
        pod.spec.nodeName ||
        pod.metadata.uid !== assumed.get(key)?.pod.metadata.uid
      ) {
        assumed.delete(key);
      }
      const hadRoom = event.type === 'updated' && isPodFinished(event.old) === isPodFinished(pod);
      if (event.type === 'deleted' || (event.type === 'updated' && !hadRoom)) retryWaiting();
      else if (isWaiting(pod) && !(event.type === 'updated' && onlyStatusChanged(event.old, pod)))
        loop.add(key);
    }),
    nodes.subscribe((event) => {
      if (event.type === 'updated' && sameValue(roomOf(event.old), roomOf(event.object))) return;
      retryWaiting();
    }),
  );
}

function isWaiting(pod: Pod): boolean {
  const { nodeName, schedulerName = SCHEDULER_NAME } = pod.spec;
  const gated = ((pod.spec.schedulingGates as unknown[] | undefined) ?? []).length > 0;
  return (
    !nodeName &&
    schedulerName === SCHEDULER_NAME &&
    !gated &&
    !pod.metadata.deletionTimestamp &&
    !isPodFinished(pod)
  );
}

function onlyStatusChanged(old: Pod, pod: Pod): boolean {
  return sameValue(old.spec, pod.spec) && sameValue(old.metadata.labels, pod.metadata.labels);
}

function roomOf(node: Node): unknown {
  return [node.metadata.labels, node.spec, node.status?.allocatable];
}

function nodeLoads(
  nodes: Informer<Node>,
  pods: Informer<Pod>,
  assumed: ReadonlyMap<string, { pod: Pod; nodeName: string }>,
): NodeLoad[] {
  return Array.from(nodes.list(), (node) => {
    const { name } = node.metadata;
    const present = Array.from(pods.byIndex(NODE_INDEX, name)).filter((pod) => !isPodFinished(pod));
    for (const one of assumed.values()) if (one.nodeName === name) present.push(one.pod);
    return { node, pods: present };
  });
}

/** The best node, or the reasons why none fits, as kube-scheduler reports them. */
function choose(pod: Pod, loads: readonly NodeLoad[]): NodeLoad | string {
  const reasons = new Map<string, number>();
  let best: { load: NodeLoad; score: number } | undefined;
  for (const load of loads) {
    const reason = unfitReason(pod, load) ?? misplacedReason(pod, load, loads);
    if (reason) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      continue;
    }
    const score = scoreOf(pod, load, loads);
    if (!best || score > best.score) best = { load, score };
  }
  if (best) return best.load;
  if (loads.length === 0) return 'no nodes available to schedule pods';
  const parts = [...reasons].map(([reason, count]) => `${count} ${reason}`);
  return `0/${loads.length} nodes are available: ${parts.join(', ')}.`;
}

function scoreOf(pod: Pod, load: NodeLoad, all: readonly NodeLoad[]): number {
  const soft = (load.node.spec?.taints ?? []).filter(
    (taint) => taint.effect === 'PreferNoSchedule' && !tolerates(pod.spec.tolerations, taint),
  );
  let cpu = 0n;
  for (const other of load.pods) cpu += podRequests(other).get('cpu') ?? 0n;
  return placementScore(pod, load, all) - soft.length * 100 - Number(cpu) / 1e9 - load.pods.length;
}

/** False when the pod is gone or bound already. */
async function bind(context: ControllerContext, pod: Pod, nodeName: string): Promise<boolean> {
  const { name, namespace, uid } = pod.metadata;
  const binding: KubeObject & { target: unknown } = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, ...(namespace && { namespace }), ...(uid && { uid }) },
    target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
  };
  try {
    await context.client.create(resources.pods, binding, { subresource: 'binding' });
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
  const text = `Successfully assigned ${objectKey(pod)} to ${nodeName}`;
  context.events.record(pod, 'Normal', 'Scheduled', text);
  return true;
}

async function refuse(context: ControllerContext, pod: Pod, message: string): Promise<void> {
  const { client, clock, events } = context;
  const condition: Condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
  const present = conditionOf(pod.status?.conditions, 'PodScheduled');
  if (present?.status === 'False' && present.message === message) return;
  events.record(pod, 'Warning', 'FailedScheduling', message);
  const conditions = withCondition(pod.status?.conditions, condition, clock.nowMs());
  const { name, namespace, resourceVersion } = pod.metadata;
  const patch = { metadata: { ...(resourceVersion && { resourceVersion }) }, status: { conditions } };
  try {
    await client.patch(resources.pods, name, namespace, 'merge', patch, { subresource: 'status' });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
}
