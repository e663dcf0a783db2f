import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { ControllerRevision, DaemonSet } from '../../api/kinds/apps.ts';
import { objectKey } from '../../api/kinds/meta.ts';
import type { Node } from '../../api/kinds/node.ts';
import { isPodReady, type Pod } from '../../api/kinds/pod.ts';
import { sameValue } from '../../base/same-value.ts';
import { claimPods } from '../claim-pods.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { daemonNode, daemonPod, type Placement, placementOn } from './daemon-set-nodes.ts';
import { type DaemonNode, type DaemonPlan, planUpdate, updateLimits } from './daemon-set-update.ts';
import { isEmptySelector, selects } from '../label-selector.ts';
import {
  DAEMON_BACKOFF_MAX_MS,
  DAEMON_BACKOFF_MIN_MS,
  MAX_PODS_PER_RECONCILE,
  WRITE_RECHECK_MS,
} from '../limits.ts';
import { OwnWrites } from '../own-writes.ts';
import { OWNER_INDEX, ownerIndex } from '../owners.ts';
import { createPod, deletePod, isNamespaceTerminating, slowStart } from '../pod-control.ts';
import { followPods } from '../pod-events.ts';
import { isPodAvailable, isPodFinished, nextAvailableMs } from '../pod-state.ts';
import { sameStatus } from '../same-status.ts';
import { REVISION_HASH, revisionsOf, truncateRevisions, updateRevision } from './stateful-set-revisions.ts';

/** Per node: how long to wait before a daemon that failed there is made again. */
type Failures = Map<string, { delayMs: number; untilMs: number }>;

interface Work {
  readonly context: ControllerContext;
  readonly writes: OwnWrites<Pod>;
  readonly failures: Failures;
  readonly key: string;
  readonly set: DaemonSet;
  readonly hash: string;
  readonly nodes: readonly (DaemonNode & Placement)[];
  /** On nodes that do not exist. */
  readonly stray: readonly Pod[];
}

/** Keeps one pod of each DaemonSet on each node that fits. */
export function openDaemonSetController(context: ControllerContext): AsyncDisposable {
  const { client, informers, clock } = context;
  const sets = informers.informer<DaemonSet>(resources.daemonSets);
  const nodes = informers.informer<Node>(resources.nodes);
  const pods = informers.informer<Pod>(resources.pods, { [OWNER_INDEX]: ownerIndex });
  const revisions = informers.informer<ControllerRevision>(resources.controllerRevisions, {
    [OWNER_INDEX]: ownerIndex,
  });
  const writes = new OwnWrites<Pod>({ clock, informer: pods });
  const revisionWrites = new OwnWrites<ControllerRevision>({ clock, informer: revisions });
  const failures = new Map<string, Failures>();
  const matches = (set: DaemonSet, pod: Pod): boolean => selects(set.spec.selector, pod.metadata.labels);
  const loop = openLoop(context, 'daemon-set', async (key) => {
    const { namespace, name } = splitKey(key);
    const set = sets.get(namespace, name);
    if (!set || isEmptySelector(set.spec.selector)) {
      writes.forget(key);
      revisionWrites.forget(key);
      failures.delete(key);
      return done;
    }
    if (!writes.visible(key) || !revisionWrites.visible(key)) return again(WRITE_RECHECK_MS);
    if (set.metadata.deletionTimestamp) return done;
    const claimed = await claimPods({ client, pods }, set, (pod) => matches(set, pod));
    const history = revisionsOf(revisions, set);
    const revision = await updateRevision({ client, revisions }, set, history);
    revisionWrites.wrote(key, revision);
    const hash = revision.metadata.labels?.['controller.kubernetes.io/hash'] ?? '';
    const known = failures.get(key) ?? new Map<string, { delayMs: number; untilMs: number }>();
    failures.set(key, known);
    const work: Work = {
      context,
      writes,
      failures: known,
      key,
      set,
      hash,
      ...sorted(set, claimed, nodes.list()),
    };
    const waitMs = await advance(work);
    await writeStatus(work);
    const inUse = new Set(claimed.map((pod) => `${name}-${pod.metadata.labels?.[REVISION_HASH] ?? ''}`));
    await truncateRevisions(client, set, history, inUse.add(revision.metadata.name));
    const nextMs = nextAvailableMs(claimed, set.spec.minReadySeconds ?? 0, clock.nowMs());
    const lookMs = Math.min(waitMs, nextMs === undefined ? Infinity : nextMs - clock.nowMs());
    return Number.isFinite(lookMs) ? again(lookMs) : done;
  });
  return together(
    loop,
    sets.subscribe(({ object }) => loop.add(objectKey(object))),
    followPods(pods, sets, loop, matches),
    nodes.subscribe((event) => {
      if (event.type === 'updated' && sameValue(fitOf(event.old), fitOf(event.object))) return;
      for (const set of sets.list()) loop.add(objectKey(set));
    }),
  );
}

function fitOf(node: Node): unknown {
  return [node.metadata.labels, node.spec?.taints, node.spec?.unschedulable];
}

function sorted(
  set: DaemonSet,
  claimed: readonly Pod[],
  nodes: Iterable<Node>,
): Pick<Work, 'nodes' | 'stray'> {
  const byNode = Map.groupBy(claimed, (pod) => daemonNode(pod) ?? '');
  const list = Array.from(nodes, (node) => {
    const { name } = node.metadata;
    const pods = (byNode.get(name) ?? []).toSorted(byCreation);
    byNode.delete(name);
    return { name, pods, ...placementOn(set, node) };
  });
  return { nodes: list, stray: [...byNode.values()].flat() };
}

function byCreation(a: Pod, b: Pod): number {
  const [left, right] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return left < right ? -1 : left > right ? 1 : a.metadata.name < b.metadata.name ? -1 : 1;
}

/** Places, removes and updates. Returns when to look again at daemons that failed, Infinity for never. */
async function advance(work: Work): Promise<number> {
  const { set, context, nodes, hash } = work;
  let waitMs = Infinity;
  const remove: Pod[] = [];
  const create: string[] = [];
  for (const node of nodes) {
    const step = placeOn(work, node);
    remove.push(...step.remove);
    create.push(...step.create);
    waitMs = Math.min(waitMs, step.waitMs);
  }
  // A daemon for a node that is gone: unbound ones would wait for ever, bound ones are the pod collector's.
  remove.push(...work.stray.filter((pod) => !pod.spec.nodeName && !pod.metadata.deletionTimestamp));
  await apply(work, { remove, create });
  if (remove.length + create.length > 0) return waitMs;
  const isAvailable = (pod: Pod): boolean =>
    isPodAvailable(pod, set.spec.minReadySeconds ?? 0, context.clock.nowMs());
  const wanted = nodes.filter(({ run }) => run);
  await apply(work, planUpdate(set, wanted, { hash, isAvailable }));
  return waitMs;
}

/** What one node needs apart from updates. */
function placeOn(work: Work, node: DaemonNode & Placement): DaemonPlan & { waitMs: number } {
  const alive = node.pods.filter((pod) => !pod.metadata.deletionTimestamp);
  if (!node.stay) return { remove: alive, create: [], waitMs: Infinity };
  const failed = alive.filter(isPodFinished);
  if (failed.length > 0) {
    const waitMs = failureDelayMs(work, node.name);
    return { remove: waitMs > 0 ? [] : failed, create: [], waitMs: waitMs > 0 ? waitMs : Infinity };
  }
  if (node.run && node.pods.length === 0) return { remove: [], create: [node.name], waitMs: Infinity };
  return { remove: surplus(work, alive), create: [], waitMs: Infinity };
}

/** One daemon a node; while a surge is on, one of the present template beside one of an earlier. */
function surplus({ set, hash, nodes }: Work, alive: readonly Pod[]): Pod[] {
  if (alive.length <= 1) return [];
  if (updateLimits(set, nodes.length).maxSurge === 0) return alive.slice(1);
  const isNew = (pod: Pod): boolean => pod.metadata.labels?.[REVISION_HASH] === hash;
  return [...alive.filter(isNew).slice(1), ...alive.filter((pod) => !isNew(pod)).slice(1)];
}

/** 0 when the failed daemon may be replaced now; each replacement doubles the next wait. */
function failureDelayMs({ failures, context }: Work, node: string): number {
  const nowMs = context.clock.monotonicMs();
  const known = failures.get(node);
  if (known && nowMs < known.untilMs) return known.untilMs - nowMs;
  const calm = known && nowMs > known.untilMs + 2 * DAEMON_BACKOFF_MAX_MS;
  const delayMs = known && !calm ? Math.min(known.delayMs * 2, DAEMON_BACKOFF_MAX_MS) : DAEMON_BACKOFF_MIN_MS;
  failures.set(node, { delayMs, untilMs: nowMs + delayMs });
  return 0;
}

async function apply(work: Work, plan: DaemonPlan): Promise<void> {
  const { context, set, key, writes, hash } = work;
  const leaving = plan.remove.slice(0, MAX_PODS_PER_RECONCILE);
  for (const pod of leaving) {
    if (isPodFinished(pod)) {
      const text = `Found failed daemon pod ${objectKey(pod)} on node ${daemonNode(pod) ?? ''}, will try to kill it`;
      context.events.record(set, 'Warning', 'FailedDaemonPod', text);
    }
    await deletePod(context, set, pod);
    writes.deleted(key, pod);
  }
  const count = Math.min(plan.create.length, MAX_PODS_PER_RECONCILE);
  const { failure } = await slowStart(count, async (index) => {
    const pod = daemonPod(set, plan.create[index] ?? '', hash);
    writes.wrote(key, await createPod(context, set, pod));
  });
  if (failure && !isNamespaceTerminating(failure)) throw failure;
}

async function writeStatus({ set, nodes, hash, context }: Work): Promise<void> {
  const nowMs = context.clock.nowMs();
  const counts = { current: 0, misscheduled: 0, desired: 0, ready: 0, updated: 0, available: 0 };
  for (const { run, pods } of nodes) {
    const alive = pods.filter((pod) => !isPodFinished(pod));
    if (!run) {
      if (alive.length > 0) counts.misscheduled++;
      continue;
    }
    counts.desired++;
    const newest = alive.find((pod) => pod.metadata.labels?.[REVISION_HASH] === hash);
    if (alive.length > 0) counts.current++;
    if (newest) counts.updated++;
    const ready = alive.filter((pod) => isPodReady(pod) && !pod.metadata.deletionTimestamp);
    if (ready.length > 0) counts.ready++;
    if (ready.some((pod) => isPodAvailable(pod, set.spec.minReadySeconds ?? 0, nowMs))) counts.available++;
  }
  const status: DaemonSet['status'] = {
    observedGeneration: set.metadata.generation ?? 0,
    currentNumberScheduled: counts.current,
    numberMisscheduled: counts.misscheduled,
    desiredNumberScheduled: counts.desired,
    numberReady: counts.ready,
    updatedNumberScheduled: counts.updated,
    numberAvailable: counts.available,
    numberUnavailable: counts.desired - counts.available,
  };
  if (sameStatus(set.status, status)) return;
  await context.client.update(resources.daemonSets, { ...set, status }, { subresource: 'status' });
}
