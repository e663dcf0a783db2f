import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import { objectKey } from '../../api/kinds/meta.ts';
import type { Node } from '../../api/kinds/node.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { sameValue } from '../../base/same-value.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { isGone } from '../pod-control.ts';
import { isPodActive } from '../pod-state.ts';
import { tolerates } from './scheduler-fit.ts';
import { NODE_INDEX, nodeIndex } from '../node-index.ts';

type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];

/** Deletes pods from nodes with NoExecute taints they do not tolerate, at once or after tolerationSeconds. */
export function openTaintEvictionController(context: ControllerContext): AsyncDisposable {
  const { client, informers, clock, events } = context;
  const nodes = informers.informer<Node>(resources.nodes);
  const pods = informers.informer<Pod>(resources.pods, { [NODE_INDEX]: nodeIndex });
  // Since when a pod has been merely bearing its node's taints, by `uid taints`.
  const bearing = new Map<string, { taints: string; sinceMs: number }>();
  const loop = openLoop(context, 'taint-eviction', async (key) => {
    const { namespace, name } = splitKey(key);
    const pod = pods.get(namespace, name);
    const node = pod?.spec.nodeName ? nodes.get(undefined, pod.spec.nodeName) : undefined;
    const taints = node ? evicting(node) : [];
    if (!pod || taints.length === 0 || !isPodActive(pod)) {
      bearing.delete(key);
      return done;
    }
    const text = JSON.stringify(taints);
    const known = bearing.get(key);
    const sinceMs = known?.taints === text ? known.sinceMs : clock.monotonicMs();
    bearing.set(key, { taints: text, sinceMs });
    const leftMs = patienceMs(pod, taints) - (clock.monotonicMs() - sinceMs);
    if (leftMs === Number.POSITIVE_INFINITY) return done;
    if (leftMs > 0) return again(leftMs);
    events.record(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`);
    await client.delete(resources.pods, name, namespace).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
    return done;
  });
  return together(
    loop,
    nodes.subscribe((event) => {
      const old = event.type === 'updated' ? evicting(event.old) : [];
      if (sameValue(old, evicting(event.object))) return;
      for (const pod of pods.byIndex(NODE_INDEX, event.object.metadata.name)) loop.add(objectKey(pod));
    }),
    pods.subscribe((event) => {
      const pod = event.object;
      const moved = event.type !== 'updated' || event.old.spec.nodeName !== pod.spec.nodeName;
      const changed =
        event.type === 'updated' && !sameValue(event.old.spec.tolerations, pod.spec.tolerations);
      if (moved || changed) loop.add(objectKey(pod));
    }),
  );
}

function evicting(node: Node): Taint[] {
  return (node.spec?.taints ?? [])
    .filter(({ effect }) => effect === 'NoExecute')
    .map(({ key, value, effect }) => ({ key, effect, ...(value && { value }) }));
}

/** How long the pod may stay: the shortest tolerationSeconds of the tolerations in use; 0 without one. */
function patienceMs(pod: Pod, taints: readonly Taint[]): number {
  let shortest = Number.POSITIVE_INFINITY;
  for (const taint of taints) {
    const matching = (pod.spec.tolerations ?? []).filter((toleration) => tolerates([toleration], taint));
    if (matching.length === 0) return 0;
    for (const { tolerationSeconds } of matching) {
      if (tolerationSeconds !== undefined)
        shortest = Math.min(shortest, Math.max(0, tolerationSeconds) * 1000);
    }
  }
  return shortest;
}
