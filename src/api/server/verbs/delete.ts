import { formatTime } from '../../kinds/decode/time.ts';
import { cloneJson, isObject } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { WRITE_ATTEMPTS_MAX } from '../limits.ts';
import { badRequest, conflict, MODIFIED_MESSAGE, notFound, type Status } from '../status.ts';
import type { Core, WriteContext } from './context.ts';
import { isGone } from './update.ts';
import { served } from './versions.ts';

export interface DeleteOptions {
  readonly gracePeriodSeconds: number | undefined;
  readonly propagationPolicy: 'Background' | 'Foreground' | 'Orphan' | undefined;
  readonly preconditions: { readonly uid?: string; readonly resourceVersion?: string };
}

export type Deleted =
  | { readonly gone: false; readonly entry: StoredObject }
  | { readonly gone: true; readonly object: UnknownObject; readonly revision: number };

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';
const POLICIES: ReadonlySet<string> = new Set(['Background', 'Foreground', 'Orphan']);

/** Reads meta/v1 DeleteOptions from body and query; the query wins where both speak. */
export function parseDeleteOptions(
  body: unknown,
  query: URLSearchParams,
): DeleteOptions & { readonly dryRun: boolean } {
  const given = isObject(body) ? body : {};
  const preconditions = isObject(given['preconditions']) ? given['preconditions'] : {};
  const dryRun = given['dryRun'];
  return {
    gracePeriodSeconds: graceOf(query.get('gracePeriodSeconds') ?? given['gracePeriodSeconds']),
    propagationPolicy: policyOf(
      query.get('propagationPolicy') ?? given['propagationPolicy'],
      query.get('orphanDependents') ?? given['orphanDependents'],
    ),
    preconditions,
    dryRun: query.getAll('dryRun').includes('All') || (Array.isArray(dryRun) && dryRun.includes('All')),
  };
}

function graceOf(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const seconds = Number(value);
  if (!Number.isSafeInteger(seconds)) throw badRequest('gracePeriodSeconds must be a number');
  if (seconds < 0) throw badRequest('gracePeriodSeconds must not be negative');
  return seconds;
}

/** The older orphanDependents counts only without a policy. */
function policyOf(policy: unknown, orphan: unknown): DeleteOptions['propagationPolicy'] {
  if (policy === undefined || policy === null || policy === '') {
    if (orphan === undefined || orphan === null) return undefined;
    return orphan === true || orphan === 'true' ? 'Orphan' : 'Background';
  }
  if (typeof policy !== 'string' || !POLICIES.has(policy)) {
    throw badRequest(
      `invalid DeleteOptions: propagationPolicy: Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan"`,
    );
  }
  return policy as DeleteOptions['propagationPolicy'];
}

/** DELETE of one object: marks it while grace or finalizers hold it, removes it otherwise. */
export async function remove(core: Core, context: WriteContext, options: DeleteOptions): Promise<Deleted> {
  const { kind, namespace, name } = context;
  await core.objects.hub.fresh();
  let entry = core.objects.get(kind, namespace, name);
  for (let attempt = 1; attempt <= WRITE_ATTEMPTS_MAX; attempt++) {
    if (!entry) throw notFound(kind, name);
    const old = served(kind, await core.conversions.view(kind, entry));
    checkPreconditions(context, options, old);
    const request = { ...context, operation: 'DELETE' as const, object: undefined, old };
    await core.admission.admit(request);
    await core.admission.validate(request);
    const marked = mark(core, context, options, old);
    if (!marked) return { gone: false, entry: await core.conversions.view(kind, entry) };
    const outcome = await commit(core, context, marked, entry);
    if (outcome.done) {
      if (outcome.deleted.gone && !context.dryRun) (await core.admission.reserve(request)).commit();
      const { deleted } = outcome;
      return deleted.gone
        ? deleted
        : { gone: false, entry: await core.conversions.view(kind, deleted.entry) };
    }
    entry = outcome.current;
  }
  throw conflict(kind, name, MODIFIED_MESSAGE);
}

type Commit = { done: true; deleted: Deleted } | { done: false; current: StoredObject | undefined };

async function commit(
  core: Core,
  context: WriteContext,
  marked: UnknownObject,
  entry: StoredObject,
): Promise<Commit> {
  const { kind, namespace, name } = context;
  if (!isGone(marked)) {
    if (context.dryRun)
      return { done: true, deleted: { gone: false, entry: core.objects.preview(kind, marked) } };
    const result = await core.objects.put(kind, namespace, name, marked, entry.revision);
    return result.ok
      ? { done: true, deleted: { gone: false, entry: result.entry } }
      : { done: false, current: result.current };
  }
  if (context.dryRun)
    return { done: true, deleted: { gone: true, object: marked, revision: entry.revision } };
  const removed = await core.objects.remove(kind, entry);
  if (!removed.ok) return { done: false, current: removed.current };
  return { done: true, deleted: { gone: true, object: marked, revision: removed.revision } };
}

function checkPreconditions({ kind, name }: WriteContext, options: DeleteOptions, old: UnknownObject): void {
  const { uid, resourceVersion } = options.preconditions;
  if (uid && uid !== old.metadata.uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(
      kind,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${old.metadata.resourceVersion}`,
    );
  }
}

/** The object as the deletion leaves it; undefined when nothing changes. */
function mark(
  core: Core,
  { kind }: WriteContext,
  options: DeleteOptions,
  old: UnknownObject,
): UnknownObject | undefined {
  const graceSeconds = kind.graceSeconds(old, options.gracePeriodSeconds);
  const finalizers = propagationFinalizers(old.metadata.finalizers ?? [], options.propagationPolicy);
  if (!old.metadata.deletionTimestamp) {
    for (const one of kind.deletionFinalizers ?? []) if (!finalizers.includes(one)) finalizers.push(one);
  }
  const was = old.metadata.deletionGracePeriodSeconds ?? 0;
  if (old.metadata.deletionTimestamp) {
    const shorter = graceSeconds < was;
    const sameFinalizers = finalizers.join() === (old.metadata.finalizers ?? []).join();
    const held = finalizers.length > 0 || !isGone(old);
    if (!shorter && sameFinalizers && held) return undefined;
  }
  const object = cloneJson(old);
  const { metadata } = object;
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
  const grace = old.metadata.deletionTimestamp ? Math.min(graceSeconds, was) : graceSeconds;
  if (!old.metadata.deletionTimestamp && kind.generation && metadata.generation !== undefined)
    metadata.generation++;
  metadata.deletionTimestamp = deletionTime(core, old, grace, was);
  metadata.deletionGracePeriodSeconds = grace;
  if (object.kind === 'Namespace')
    object['status'] = { ...(object['status'] as object), phase: 'Terminating' };
  return object;
}

/** The moment the grace is over: now plus grace, moved forward when the grace was shortened. */
function deletionTime(core: Core, old: UnknownObject, grace: number, was: number): string {
  const { deletionTimestamp } = old.metadata;
  if (!deletionTimestamp) return formatTime(core.clock.nowMs() + grace * 1000);
  return formatTime(Date.parse(deletionTimestamp) - (was - grace) * 1000);
}

function propagationFinalizers(
  finalizers: readonly string[],
  policy: DeleteOptions['propagationPolicy'],
): string[] {
  if (policy === undefined) return [...finalizers];
  const others = finalizers.filter((one) => one !== FOREGROUND && one !== ORPHAN);
  if (policy === 'Foreground') others.push(FOREGROUND);
  if (policy === 'Orphan') others.push(ORPHAN);
  return others;
}

/** The reply of a deletion that took effect at once. */
export function deletedStatus({ kind, name }: WriteContext, object: UnknownObject): Omit<Status, 'code'> {
  const { uid } = object.metadata;
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name,
      ...(kind.group && { group: kind.group }),
      kind: kind.plural,
      ...(uid && { uid }),
    },
  };
}
