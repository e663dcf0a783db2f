import { done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { Node } from '../../api/kinds/node.ts';
import { type ControllerContext, openLoop, together } from '../context.ts';

const ANNOTATION = 'node.alpha.kubernetes.io/ttl';

/** How long kubelets may keep Secrets and ConfigMaps without asking, by the nodes there are: `least` and `most` overlap. */
const STEPS: readonly { readonly least: number; readonly most: number; readonly seconds: number }[] = [
  { least: 0, most: 100, seconds: 0 },
  { least: 90, most: 500, seconds: 15 },
  { least: 450, most: 1000, seconds: 30 },
  { least: 900, most: 2000, seconds: 60 },
  { least: 1800, most: Number.POSITIVE_INFINITY, seconds: 300 },
];

/** Tells each node how long it may keep what it read: longer where many nodes ask. */
export function openNodeTtlController(context: ControllerContext): AsyncDisposable {
  const { client, informers } = context;
  const nodes = informers.informer<Node>(resources.nodes);
  let step = 0;
  const seconds = (): string => {
    const count = Array.from(nodes.list()).length;
    while (count > (STEPS[step]?.most ?? count)) step++;
    while (count < (STEPS[step]?.least ?? count)) step--;
    return String(STEPS[step]?.seconds ?? 0);
  };
  const loop = openLoop(
    context,
    'node-ttl',
    async (name) => {
      const node = nodes.get(undefined, name);
      const wanted = seconds();
      if (!node || node.metadata.annotations?.[ANNOTATION] === wanted) return done;
      const metadata = { annotations: { [ANNOTATION]: wanted } };
      await client.patch(resources.nodes, name, undefined, 'merge', { metadata });
      return done;
    },
    1,
  );
  return together(
    loop,
    nodes.subscribe(({ object }) => loop.add(object.metadata.name)),
  );
}
