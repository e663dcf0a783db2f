import { formatTime } from '../../kinds/decode/time.ts';
import { type FieldError, invalid as fieldInvalid, notSupported } from '../../kinds/field-error.ts';
import { arrayAt, cloneJson, isObject, textOf } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { WRITE_ATTEMPTS_MAX } from '../limits.ts';
import { badRequest, conflict, invalid, MODIFIED_MESSAGE, notFound, type Status } from '../status.ts';
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
const POLICIES: ReadonlySet<string> = new Set(['Foreground', 'Background', 'Orphan']);

/** Reads meta/v1 DeleteOptions from body and query; the query wins where both speak. */
export function parseDeleteOptions(
  body: unknown,
  query: URLSearchParams,
): DeleteOptions & { readonly dryRun: boolean } {
  const given = isObject(body) ? body : {};
  const preconditions = isObject(given['preconditions']) ? given['preconditions'] : {};
  const dryRun = [...query.getAll('dryRun'), ...arrayAt(given, 'dryRun')].filter((one) => one !== '');
  const errors: FieldError[] = [];
  if (dryRun.some((one) => one !== 'All')) errors.push(notSupported('dryRun', dryRun, ['All']));
  const [policy, orphan] = ['propagationPolicy', 'orphanDependents'].map(
    (name) => query.get(name) ?? given[name] ?? undefined,
  );
  if (policy !== undefined && policy !== '' && !(typeof policy === 'string' && POLICIES.has(policy)))
    errors.push(notSupported('propagationPolicy', policy, [...POLICIES, 'nil']));
  else if (policy !== undefined && policy !== '' && orphan !== undefined) {
    const text = 'orphanDependents and deletionPropagation cannot be both set';
    errors.push(fieldInvalid('propagationPolicy', policy, text));
  }
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors);
  return {
    gracePeriodSeconds: graceOf(query.get('gracePeriodSeconds') ?? given['gracePeriodSeconds']),
    propagationPolicy: policyOf(policy, orphan),
    preconditions,
    dryRun: dryRun.length > 0,
  };
}

function graceOf(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const seconds = Number(value);
  if (!Number.isSafeInteger(seconds))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(textOf(value))}: invalid syntax`);
  // A negative grace is the shortest there is.
  return seconds < 0 ? 1 : seconds;
}

/** The older orphanDependents counts only without a policy. */
function policyOf(policy: unknown, orphan: unknown): DeleteOptions['propagationPolicy'] {
  if (policy === undefined || policy === null || policy === '') {
    if (orphan === undefined || orphan === null) return undefined;
    return orphan === true || orphan === 'true' ? 'Orphan' : 'Background';
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
      `the UID in the precondition (${uid}) does not match the UID in record (${old.metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(
      kind,
      name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${old.metadata.resourceVersion}). The object might have been modified`,
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
