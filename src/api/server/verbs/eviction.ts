import { isObject, numberAt, objectAt, valueAt } from '../../kinds/json-value.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { labelQueryOf, matchesLabels } from '../../kinds/selector.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { decodeDocument } from '../http/body.ts';
import { jsonReply } from '../http/reply.ts';
import { internalError, methodNotAllowed, notFound, StatusError } from '../status.ts';
import { parseDeleteOptions, remove } from './delete.ts';
import type { SubresourceHandler } from './dispatch.ts';
import { writeRequest } from './options.ts';
import type { Call } from './write.ts';

const FINISHED: ReadonlySet<unknown> = new Set(['Succeeded', 'Failed', 'Pending']);

/** pods/NAME/eviction: a delete that a PodDisruptionBudget may refuse with 429. */
export const evictionHandler: SubresourceHandler = async (call) => {
  const { core, kind, request, info, user } = call;
  if (info.verb !== 'create') throw methodNotAllowed();
  const write = writeRequest(request, info, kind, user);
  const { value } = decodeDocument(await request.body(), request.headers['content-type']);
  const options = parseDeleteOptions(objectAt(value, 'deleteOptions'), request.query);
  await core.objects.hub.fresh();
  const entry = core.objects.get(kind, info.namespace, info.name);
  if (!entry) throw notFound(kind, info.name);
  const dryRun = write.dryRun || options.dryRun;
  const pod = entry.object;
  if (!FINISHED.has(valueAt(pod, 'status.phase')) && !pod.metadata.deletionTimestamp) {
    await takeDisruption(call, pod, dryRun);
  }
  await remove(core, { ...write, subresource: '', dryRun }, options);
  return jsonReply(201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
};

/** Uses up one allowed disruption of the budget that covers the pod. */
async function takeDisruption({ core, info }: Call, pod: UnknownObject, dryRun: boolean): Promise<void> {
  const kind = core.registry.find('policy', 'v1', 'poddisruptionbudgets');
  if (!kind) return;
  const budgets: StoredObject[] = [];
  for (const entry of core.objects.cacheOf(kind).range(core.objects.prefixOf(kind, info.namespace))) {
    const query = labelQueryOf(valueAt(entry.object, 'spec.selector'));
    if (query && matchesLabels(query, pod.metadata.labels)) budgets.push(entry);
  }
  const [budget, other] = budgets;
  if (other) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  if (!budget) return;
  const status = isObject(budget.object['status']) ? budget.object['status'] : {};
  const allowed = numberAt(status, 'disruptionsAllowed') ?? 0;
  const observed = numberAt(status, 'observedGeneration') ?? 0;
  if (observed < (budget.object.metadata.generation ?? 0) || allowed <= 0) throw blocked(budget, status);
  if (dryRun) return;
  const disrupted = { ...objectAt(status, 'disruptedPods'), [info.name]: formatTime(core.clock.nowMs()) };
  const next = {
    ...budget.object,
    status: { ...status, disruptionsAllowed: allowed - 1, disruptedPods: disrupted },
  };
  const result = await core.objects.put(kind, info.namespace, budget.name, next, budget.revision);
  if (!result.ok) throw blocked(budget, status);
}

function blocked(budget: StoredObject, status: object): StatusError {
  const needs = numberAt(status, 'desiredHealthy') ?? 0;
  const has = numberAt(status, 'currentHealthy') ?? 0;
  const message = `The disruption budget ${budget.name} needs ${needs} healthy pods and has ${has} currently`;
  return new StatusError(
    429,
    'TooManyRequests',
    "Cannot evict pod as it would violate the pod's disruption budget.",
    {
      causes: [{ reason: 'DisruptionBudget', message }],
      retryAfterSeconds: 10,
    },
  );
}
