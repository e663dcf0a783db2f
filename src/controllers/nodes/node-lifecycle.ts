import { ApiError } from '../../api/client/client.ts';
import type { Informer } from '../../api/client/informer.ts';
import { again, type Again, done, type Done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import { type Lease, secondTime } from '../../api/kinds/lease.ts';
import type { Condition } from '../../api/kinds/meta.ts';
import type { Node } from '../../api/kinds/node.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { sameValue } from '../../base/same-value.ts';
import { conditionOf, withCondition } from '../conditions.ts';
import { type ControllerContext, openLoop, together } from '../context.ts';
import { NODE_EVICTION_PER_SECOND, NODE_GRACE_MS, NODE_MONITOR_MS } from '../limits.ts';
import { NODE_INDEX, nodeIndex } from '../node-index.ts';

type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];

const LEASE_NAMESPACE = 'kube-node-lease';
const UNREACHABLE = 'node.kubernetes.io/unreachable';
const NOT_READY = 'node.kubernetes.io/not-ready';
const OWNED_TAINTS = new Set([UNREACHABLE, NOT_READY]);
const CONDITIONS = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

/** When a node was last heard of, by our own clock: the node's clock is not trusted. */
interface Heartbeat {
  mark: string;
  seenMs: number;
}

/**
 * Watches node leases: a node that stops renewing becomes Unknown, gets its taints, and its pods are no longer
 * ready. NoExecute taints are given slowly, and to nobody while no node at all is heard of (then it is us).
 */
export function openNodeLifecycleController(context: ControllerContext): AsyncDisposable {
  const { informers, clock } = context;
  const nodes = informers.informer<Node>(resources.nodes);
  const leases = informers.informer<Lease>(resources.leases);
  const pods = informers.informer<Pod>(resources.pods, { [NODE_INDEX]: nodeIndex });
  const heartbeats = new Map<string, Heartbeat>();
  let evictionMs = Number.NEGATIVE_INFINITY;

  const silent = (node: Node): boolean => {
    const { name } = node.metadata;
    const lease = leases.get(LEASE_NAMESPACE, name);
    const ready = conditionOf(node.status?.conditions, 'Ready') as { lastHeartbeatTime?: string } | undefined;
    const mark = `${lease?.spec?.renewTime ?? ''} ${ready?.lastHeartbeatTime ?? ''}`;
    const nowMs = clock.monotonicMs();
    const known = heartbeats.get(name);
    if (known?.mark !== mark) {
      heartbeats.set(name, { mark, seenMs: nowMs });
      return false;
    }
    return nowMs - known.seenMs >= NODE_GRACE_MS;
  };
  const mayEvict = (): boolean => {
    if (Array.from(nodes.list()).every((node) => readiness(node) !== 'True')) return false;
    const nowMs = clock.monotonicMs();
    if (nowMs - evictionMs < 1000 / NODE_EVICTION_PER_SECOND) return false;
    evictionMs = nowMs;
    return true;
  };

  const loop = openLoop(
    context,
    'node-lifecycle',
    async (name): Promise<Done | Again> => {
      const node = nodes.get(undefined, name);
      if (!node) {
        heartbeats.delete(name);
        return done;
      }
      let current = node;
      if (silent(node) && readiness(node) !== 'Unknown') current = await markUnknown(context, node);
      const changed = await taint(context, current, mayEvict);
      if (readiness(current) !== 'True') await markPodsNotReady(context, pods, name);
      if (changed) context.log.info('node taints changed', { node: name, ready: readiness(current) });
      return again(NODE_MONITOR_MS);
    },
    1,
  );
  return together(
    loop,
    nodes.subscribe(({ object }) => loop.add(object.metadata.name)),
  );
}

function readiness(node: Node): string | undefined {
  return conditionOf(node.status?.conditions, 'Ready')?.status;
}

async function markUnknown(context: ControllerContext, node: Node): Promise<Node> {
  const { client, clock, events } = context;
  const nowMs = clock.nowMs();
  let conditions: Condition[] = node.status?.conditions ?? [];
  for (const type of CONDITIONS) {
    const message = 'Kubelet stopped posting node status.';
    const condition: Condition = { type, status: 'Unknown', reason: 'NodeStatusUnknown', message };
    conditions = withCondition(conditions, condition, nowMs);
  }
  const status = { ...node.status, conditions };
  events.record(node, 'Normal', 'NodeNotReady', `Node ${node.metadata.name} status is now: NodeNotReady`);
  return await client.update<Node>(resources.nodes, { ...node, status }, { subresource: 'status' });
}

/** Brings the not-ready and unreachable taints in line with the Ready condition. True when it wrote. */
async function taint(context: ControllerContext, node: Node, mayEvict: () => boolean): Promise<boolean> {
  const present = node.spec?.taints ?? [];
  const wanted = wantedTaints(context, node, present, mayEvict);
  if (sameValue(present, wanted)) return false;
  const spec = { ...node.spec, taints: wanted };
  await context.client.update(resources.nodes, { ...node, spec });
  return true;
}

function wantedTaints(
  context: ControllerContext,
  node: Node,
  present: readonly Taint[],
  mayEvict: () => boolean,
): Taint[] {
  const others = present.filter(({ key }) => !OWNED_TAINTS.has(key));
  const ready = readiness(node);
  // A node that has not reported yet keeps the taints it registered with.
  if (ready === undefined) return [...present];
  if (ready === 'True') return others;
  const key = ready === 'Unknown' ? UNREACHABLE : NOT_READY;
  const mine = present.filter((one) => one.key === key);
  const has = (effect: string): Taint | undefined => mine.find((one) => one.effect === effect);
  const timeAdded = secondTime(context.clock.nowMs());
  const taints = [...others, has('NoSchedule') ?? { key, effect: 'NoSchedule', timeAdded }];
  const evicting = has('NoExecute');
  const swapped = present.some((one) => OWNED_TAINTS.has(one.key) && one.effect === 'NoExecute');
  if (evicting) taints.push(evicting);
  else if (swapped || mayEvict()) taints.push({ key, effect: 'NoExecute', timeAdded });
  return taints;
}

/** Pods of a node that is not ready must not be sent traffic. */
async function markPodsNotReady(
  context: ControllerContext,
  pods: Informer<Pod>,
  node: string,
): Promise<void> {
  for (const pod of Array.from(pods.byIndex(NODE_INDEX, node))) {
    const ready = conditionOf(pod.status?.conditions, 'Ready');
    if (ready?.status !== 'True') continue;
    const condition: Condition = { type: 'Ready', status: 'False', reason: 'NodeNotReady' };
    const conditions = withCondition(pod.status?.conditions, condition, context.clock.nowMs());
    const object = { ...pod, status: { ...pod.status, conditions } };
    try {
      await context.client.update(resources.pods, object, { subresource: 'status' });
      context.events.record(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 409)) throw error;
    }
  }
}
