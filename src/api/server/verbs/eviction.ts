import { cloneJson, numberAt, objectAt, objectsAt, valueAt } from '../../kinds/json-value.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { labelQueryOf, matchesLabels } from '../../kinds/selector.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { decodeDocument } from '../http/body.ts';
import { jsonReply } from '../http/reply.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import { WRITE_ATTEMPTS_MAX } from '../limits.ts';
import {
  internalError,
  methodNotAllowed,
  notFound,
  type StatusCause,
  type StatusDetails,
  StatusError,
} from '../status.ts';
import { parseDeleteOptions, remove } from './delete.ts';
import type { SubresourceHandler } from './dispatch.ts';
import { writeRequest } from './options.ts';
import { update } from './update.ts';
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
    await update(core, { ...write, subresource: 'status', dryRun }, { change: markEvicted, replace: false });
  }
  await remove(core, { ...write, subresource: '', dryRun }, options);
  return jsonReply(201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
};

/** Why the pod goes, for those who judge its end (podFailurePolicy of a Job). */
function markEvicted(pod: UnknownObject): UnknownObject {
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
  };
  const object = cloneJson(pod);
  const status = objectAt(object, 'status');
  const others = objectsAt(status, 'conditions').filter((one) => one['type'] !== condition.type);
  return { ...object, status: { ...status, conditions: [...others, condition] } };
}

/** Uses up one allowed disruption of the budget that covers the pod; evictions at the same time take turns. */
async function takeDisruption(call: Call, pod: UnknownObject, dryRun: boolean): Promise<void> {
  const { core, info } = call;
  const kind = core.registry.find('policy', 'v1', 'poddisruptionbudgets');
  if (!kind) return;
  for (let attempt = 1; ; attempt++) {
    const budget = budgetOf(call, kind, pod);
    if (!budget || mayIgnore(budget.object, pod)) return;
    const status = objectAt(budget.object, 'status');
    const allowed = numberAt(status, 'disruptionsAllowed') ?? 0;
    const observed = numberAt(status, 'observedGeneration') ?? 0;
    if (observed < (budget.object.metadata.generation ?? 0)) throw unprocessed(budget);
    if (allowed <= 0) throw blocked(budget, status);
    if (dryRun) return;
    const disrupted = { ...objectAt(status, 'disruptedPods'), [info.name]: formatTime(core.clock.nowMs()) };
    const next = {
      ...budget.object,
      status: { ...status, disruptionsAllowed: allowed - 1, disruptedPods: disrupted },
    };
    const result = await core.objects.put(kind, info.namespace, budget.name, next, budget.revision);
    if (result.ok) return;
    if (attempt === WRITE_ATTEMPTS_MAX) throw blocked(budget, status);
    await core.objects.hub.fresh();
  }
}

function budgetOf({ core, info }: Call, kind: KindInfo, pod: UnknownObject): StoredObject | undefined {
  const budgets: StoredObject[] = [];
  for (const entry of core.objects.cacheOf(kind).range(core.objects.prefixOf(kind, info.namespace))) {
    const query = labelQueryOf(valueAt(entry.object, 'spec.selector'));
    if (query && matchesLabels(query, pod.metadata.labels)) budgets.push(entry);
  }
  if (budgets.length > 1) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  return budgets[0];
}

/** A pod that is not ready is no loss: always, or as long as enough others are (unhealthyPodEvictionPolicy). */
function mayIgnore(budget: UnknownObject, pod: UnknownObject): boolean {
  const conditions = objectsAt(pod['status'], 'conditions');
  if (conditions.some((one) => one['type'] === 'Ready' && one['status'] === 'True')) return false;
  if (valueAt(budget, 'spec.unhealthyPodEvictionPolicy') === 'AlwaysAllow') return true;
  const status = objectAt(budget, 'status');
  const needs = numberAt(status, 'desiredHealthy') ?? 0;
  return needs > 0 && (numberAt(status, 'currentHealthy') ?? 0) >= needs;
}

const REFUSED = "Cannot evict pod as it would violate the pod's disruption budget.";

/** Without Retry-After, as upstream: clients retry at their own pace and say so. */
function blocked(budget: StoredObject, status: object): StatusError {
  const needs = numberAt(status, 'desiredHealthy') ?? 0;
  const has = numberAt(status, 'currentHealthy') ?? 0;
  const message = `The disruption budget ${budget.name} needs ${needs} healthy pods and has ${has} currently`;
  return refused({ reason: 'DisruptionBudget', message });
}

function unprocessed(budget: StoredObject): StatusError {
  const message = `The disruption budget ${budget.name} is still being processed by the server.`;
  return refused({ reason: 'DisruptionBudget', message }, { retryAfterSeconds: 10 });
}

function refused(cause: StatusCause, details: StatusDetails = {}): StatusError {
  return new StatusError(429, 'TooManyRequests', REFUSED, { ...details, causes: [cause] });
}
