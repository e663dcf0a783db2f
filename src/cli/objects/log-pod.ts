import type { ApiClient } from '../../api/client/client.ts';
import { discoverResources } from '../../api/client/discovery.ts';
import { resources } from '../../api/client/resources.ts';
import type { UnknownObject } from '../../api/kinds/meta.ts';
import { isPodReady, type Pod, readyConditionOf } from '../../api/kinds/pod.ts';
import { selectorText } from '../../api/kinds/tables/printer.ts';
import { EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';
import { kindAndName, resourceNamed } from './kinds-by-name.ts';

/** Whose log is meant, and what was chosen for the user, in a line each. */
export interface LogPod {
  readonly pod: string;
  readonly container: string | undefined;
  readonly notes: readonly string[];
}

/**
 * NAME, pod/NAME, or what selects pods: deployment/NAME, svc/NAME, job/NAME. Of several pods and containers one is
 * chosen, as kubectl does. Throws ExitError when there is nothing to choose from.
 */
export async function logPod(
  client: ApiClient,
  wanted: string,
  container: string | undefined,
  namespace: string,
  signal: AbortSignal,
): Promise<LogPod> {
  const { pod, notes } = await podOf(client, wanted, namespace, signal);
  if (container !== undefined) return { pod: pod.metadata.name, container, notes };
  const chosen = defaultContainer(pod);
  return { pod: pod.metadata.name, container: chosen.container, notes: [...notes, ...chosen.notes] };
}

async function podOf(
  client: ApiClient,
  wanted: string,
  namespace: string,
  signal: AbortSignal,
): Promise<{ readonly pod: Pod; readonly notes: readonly string[] }> {
  const [kind, name = ''] = wanted.includes('/') ? kindAndName(wanted, undefined) : ['pod', wanted];
  if (name === '') throw new ExitError(EXIT_USAGE, 'whose log? Name a pod, as `weft get pods` lists them.');
  if (/^(po|pods?)$/.test(kind)) {
    return { pod: await client.get<Pod>(resources.pods, name, namespace, signal), notes: [] };
  }
  const resource = resourceNamed(await discoverResources(client, signal), kind);
  const owner = await client.get<UnknownObject>(resource, name, namespace, signal);
  const selector = (owner['spec'] as { selector?: Record<string, unknown> } | undefined)?.selector;
  if (!selector || Object.keys(selector).length === 0)
    throw new ExitError(EXIT_USAGE, `${wanted} selects no pods: name a pod, a Service or a workload`);
  const isPlain = !('matchLabels' in selector || 'matchExpressions' in selector);
  const labelSelector = selectorText(isPlain ? { matchLabels: selector } : selector);
  const { items } = await client.list<Pod>(resources.pods, { namespace, labelSelector }, signal);
  const [pod] = items.toSorted(byLogging);
  if (!pod) throw new ExitError(EXIT_FAILURE, `${wanted} has no pods (${labelSelector})`);
  const notes = items.length > 1 ? [`Found ${items.length} pods, using pod/${pod.metadata.name}`] : [];
  return { pod, notes };
}

/** kubectl's order: with a node, running, ready, ready for longer, restarted more often, older. */
export function byLogging(a: Pod, b: Pod): number {
  const readySince = (pod: Pod): string => {
    return isPodReady(pod) ? (readyConditionOf(pod)?.lastTransitionTime ?? '') : LAST;
  };
  const restarts = (pod: Pod): number =>
    Math.max(0, ...(pod.status?.containerStatuses ?? []).map(({ restartCount }) => restartCount));
  return (
    Number(!a.spec.nodeName) - Number(!b.spec.nodeName) ||
    phaseRank(a) - phaseRank(b) ||
    compare(readySince(a), readySince(b)) ||
    restarts(b) - restarts(a) ||
    compare(a.metadata.creationTimestamp ?? LAST, b.metadata.creationTimestamp ?? LAST)
  );
}

/** Sorts behind every time. */
const LAST = '~';

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function phaseRank({ status }: Pod): number {
  return status?.phase === 'Running' ? 0 : status?.phase === 'Unknown' ? 1 : 2;
}

/** Names the one a pod's author means where there are several; undefined: the server knows the only one. */
function defaultContainer({ metadata, spec }: Pod): Pick<LogPod, 'container' | 'notes'> {
  const names = spec.containers.map(({ name }) => name);
  const meant = metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  if (meant !== undefined && names.includes(meant)) return { container: meant, notes: [] };
  if (names.length < 2) return { container: undefined, notes: [] };
  return { container: names[0], notes: [`Defaulted container "${names[0]}" out of: ${names.join(', ')}`] };
}
