import { ApiError } from '../../api/client/client.ts';
import { again } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { Node } from '../../api/kinds/node.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { type ControllerContext, openLoop } from '../context.ts';
import { MAX_FINISHED_PODS, NODE_ABSENT_MS, POD_GC_INTERVAL_MS } from '../limits.ts';
import { isGone } from '../pod-control.ts';
import { isPodFinished } from '../pod-state.ts';
import { NODE_INDEX, nodeIndex } from '../node-index.ts';

const FINISHED_INDEX = 'finished';

/** Removes pods nobody else will: finished ones beyond the limit, and those whose node is gone. */
export function openPodGarbageCollector(context: ControllerContext): AsyncDisposable {
  const { informers, clock } = context;
  const nodes = informers.informer<Node>(resources.nodes);
  const pods = informers.informer<Pod>(resources.pods, {
    [NODE_INDEX]: nodeIndex,
    [FINISHED_INDEX]: (pod) => (isPodFinished(pod) ? ['yes'] : []),
  });
  const absentSince = new Map<string, number>();
  const loop = openLoop(
    context,
    'pod-gc',
    async () => {
      const finished = Array.from(pods.byIndex(FINISHED_INDEX, 'yes')).filter(
        ({ metadata }) => !metadata.deletionTimestamp,
      );
      finished.sort((a, b) => createdMs(a) - createdMs(b));
      for (const pod of finished.slice(0, Math.max(0, finished.length - MAX_FINISHED_PODS))) {
        await remove(context, pod);
      }
      const orphans = new Set<string>();
      for (const pod of Array.from(pods.list())) {
        const { nodeName } = pod.spec;
        if (!nodeName || nodes.get(undefined, nodeName)) continue;
        orphans.add(nodeName);
        const sinceMs = absentSince.get(nodeName) ?? clock.monotonicMs();
        absentSince.set(nodeName, sinceMs);
        if (clock.monotonicMs() - sinceMs < NODE_ABSENT_MS) continue;
        if (await isNodeGone(context, nodeName)) await remove(context, pod);
      }
      for (const name of absentSince.keys()) if (!orphans.has(name)) absentSince.delete(name);
      return again(POD_GC_INTERVAL_MS);
    },
    1,
  );
  loop.add('pods');
  return loop;
}

function createdMs(pod: Pod): number {
  return Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
}

async function isNodeGone({ client }: ControllerContext, name: string): Promise<boolean> {
  try {
    await client.get(resources.nodes, name);
    return false;
  } catch (error) {
    return error instanceof ApiError && error.status === 404;
  }
}

async function remove({ client }: ControllerContext, pod: Pod): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  const preconditions = uid ? { uid } : {};
  await client
    .delete(resources.pods, name, namespace, { gracePeriodSeconds: 0, preconditions })
    .catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
}
