import { formatTime } from '../kinds/decode/time.ts';
import type { UnknownObject } from '../kinds/meta.ts';
import { messageOf } from '../../base/fault.ts';
import type { Core } from './verbs/context.ts';
import { computedReply } from './verbs/computed.ts';
import type { VirtualTable } from './verbs/dispatch.ts';

/** Upstream's numbers of a group whose place in discovery nobody has asked for. */
const GROUP_PRIORITY = 16_000;
const VERSION_PRIORITY = 15;

/** Answers of the kinds that tell of the server itself. */
export function systemHandlers(startedMs: number): VirtualTable {
  return new Map([
    [
      'apiregistration.k8s.io/APIService',
      async (call) => computedReply(call, apiServices(call.core, startedMs)),
    ],
    ['/ComponentStatus', async (call) => computedReply(call, [await storeStatus(call.core)])],
  ]);
}

/** One for each group-version; all are served here. */
function apiServices(core: Core, startedMs: number): UnknownObject[] {
  const since = formatTime(startedMs);
  const served = new Map(core.registry.all().map((kind) => [`${kind.version}.${kind.group}`, kind]));
  return [...served]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, kind]) => ({
      kind: 'APIService',
      apiVersion: 'apiregistration.k8s.io/v1',
      metadata: {
        name,
        creationTimestamp: since,
        labels: { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' },
      },
      spec: {
        ...(kind.group && { group: kind.group }),
        version: kind.version,
        groupPriorityMinimum: GROUP_PRIORITY,
        versionPriority: VERSION_PRIORITY,
      },
      status: {
        conditions: [
          {
            type: 'Available',
            status: 'True',
            lastTransitionTime: since,
            reason: 'Local',
            message: 'Local APIServices are always available',
          },
        ],
      },
    }));
}

/** The one part a server cannot do without: read once, as for any request. */
async function storeStatus(core: Core): Promise<UnknownObject> {
  const wrong = await core.objects.hub.fresh().then(
    () => undefined,
    (error: unknown) => messageOf(error),
  );
  const condition =
    wrong === undefined
      ? { type: 'Healthy', status: 'True', message: 'ok' }
      : { type: 'Healthy', status: 'False', message: wrong };
  return { kind: 'ComponentStatus', apiVersion: 'v1', metadata: { name: 'store' }, conditions: [condition] };
}
