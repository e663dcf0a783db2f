import { forbidden as fieldForbidden, invalid as fieldInvalid } from '../../kinds/field-error.ts';
import { cloneJson, equalJson, isObject } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { AdmissionRequest } from '../admission/admission.ts';
import { trackUpdate } from '../apply/managed-fields.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { WRITE_ATTEMPTS_MAX } from '../limits.ts';
import { badRequest, conflict, invalid, MODIFIED_MESSAGE, notFound } from '../status.ts';
import type { Change, Core, WriteContext } from './context.ts';
import { checkNamespace } from './create.ts';
import { served } from './versions.ts';

export interface UpdateOptions {
  /** Gives the new object from a frozen old one; runs again when somebody else wrote in between. */
  readonly change: Change;
  /** PUT: the body must carry a resourceVersion unless the kind allows unconditional updates. */
  readonly replace: boolean;
  /** Called for a missing object; absent = 404. */
  readonly createMissing?: () => Promise<StoredObject>;
  /** Managed fields are already right (server-side apply). */
  readonly applied?: boolean;
}

/** PUT, PATCH and the subresources that write through the object. Compare-and-swap against the revision read. */
export async function update(
  core: Core,
  context: WriteContext,
  options: UpdateOptions,
): Promise<StoredObject> {
  const { kind, namespace, name } = context;
  await core.objects.hub.fresh();
  let entry = core.objects.get(kind, namespace, name);
  for (let attempt = 1; ; attempt++) {
    if (!entry) {
      if (options.createMissing) return await options.createMissing();
      throw notFound(kind, name);
    }
    const outcome = await updateOnce(core, context, options, entry);
    if (outcome.done) return await core.conversions.view(kind, outcome.entry);
    entry = outcome.current;
    if (outcome.conditional || attempt === WRITE_ATTEMPTS_MAX) throw conflict(kind, name, MODIFIED_MESSAGE);
  }
}

type Outcome =
  | { readonly done: true; readonly entry: StoredObject }
  | { readonly done: false; readonly current: StoredObject | undefined; readonly conditional: boolean };

async function updateOnce(
  core: Core,
  context: WriteContext,
  options: UpdateOptions,
  entry: StoredObject,
): Promise<Outcome> {
  const { kind } = context;
  const old = served(kind, await core.conversions.view(kind, entry));
  const object = await options.change(old);
  const conditional = checkPreconditions(context, options, object, old);
  restoreMetadata(object, old);
  kind.defaults(object);
  const request: AdmissionRequest = { ...context, operation: 'UPDATE', object, old };
  await core.admission.admit(request);
  prepare(context, object, old);
  if (!options.applied) trackUpdate(core, context, old, object);
  const main = !context.subresource || context.subresource === 'scale';
  const errors = main ? kind.validateUpdate(object, old) : kind.validateStatus(object, old);
  errors.push(...finalizerErrors(object, old));
  if (errors.length > 0) throw invalid(kind, context.name, errors);
  await core.admission.validate(request);
  if (equalJson(object, old)) return { done: true, entry };
  const reservation = await core.admission.reserve(request);
  try {
    const outcome = await write(core, context, object, entry);
    if (outcome.ok && !context.dryRun) reservation.commit();
    else await reservation.rollback();
    if (!outcome.ok) return { done: false, current: outcome.current, conditional };
    if (main) for (const text of kind.warnings(object, old)) context.warn(text);
    return { done: true, entry: outcome.entry };
  } catch (error) {
    await reservation.rollback();
    throw error;
  }
}

function prepare({ kind, subresource }: WriteContext, object: UnknownObject, old: UnknownObject): void {
  if (subresource === 'status') kind.prepareStatus(object, old);
  else if (!subresource || subresource === 'scale') kind.prepareUpdate(object, old);
}

async function write(
  core: Core,
  { kind, namespace, name, dryRun }: WriteContext,
  object: UnknownObject,
  entry: StoredObject,
): Promise<{ ok: true; entry: StoredObject } | { ok: false; current: StoredObject | undefined }> {
  if (dryRun) return { ok: true, entry: core.objects.preview(kind, object) };
  if (!isGone(object)) return await core.objects.put(kind, namespace, name, object, entry.revision);
  const removed = await core.objects.remove(kind, entry);
  return removed.ok ? { ok: true, entry: core.objects.preview(kind, object, removed.revision) } : removed;
}

/** Marked for deletion and held by nothing any more. */
export function isGone(object: UnknownObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (!deletionTimestamp || (deletionGracePeriodSeconds ?? 0) > 0 || (finalizers?.length ?? 0) > 0)
    return false;
  const spec = object['spec'];
  const held = object.kind === 'Namespace' && isObject(spec) ? spec['finalizers'] : undefined;
  return !Array.isArray(held) || held.length === 0;
}

/** True when the client named the revision it changes. */
function checkPreconditions(
  context: WriteContext,
  options: UpdateOptions,
  object: UnknownObject,
  old: UnknownObject,
): boolean {
  const { kind, name, namespace } = context;
  const metadata = object.metadata;
  if (metadata.name !== undefined && metadata.name !== '' && metadata.name !== name) {
    throw badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  checkNamespace(kind.namespaced, namespace, metadata.namespace);
  if (metadata.uid && metadata.uid !== old.metadata.uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
  const revision = metadata.resourceVersion;
  if (!revision || revision === '0') {
    if (options.replace && !kind.allowUnconditionalUpdate) {
      const error = fieldInvalid('metadata.resourceVersion', 0, 'must be specified for an update');
      throw invalid(kind, name, [{ ...error, message: error.message.replace('value: 0', 'value: 0x0') }]);
    }
    return false;
  }
  if (revision !== old.metadata.resourceVersion) throw conflict(kind, name, MODIFIED_MESSAGE);
  return options.replace;
}

/** What only the server writes is taken from the old object. */
function restoreMetadata(object: UnknownObject, old: UnknownObject): void {
  const { metadata } = object;
  const was = old.metadata;
  metadata.name = was.name;
  assign(metadata, 'namespace', was.namespace);
  assign(metadata, 'uid', was.uid);
  assign(metadata, 'generateName', was.generateName);
  assign(metadata, 'creationTimestamp', was.creationTimestamp);
  assign(metadata, 'deletionTimestamp', was.deletionTimestamp);
  assign(metadata, 'deletionGracePeriodSeconds', was.deletionGracePeriodSeconds);
  assign(metadata, 'generation', was.generation);
  assign(metadata, 'resourceVersion', was.resourceVersion);
  if (metadata.managedFields === undefined && was.managedFields) {
    metadata.managedFields = cloneJson(was.managedFields);
  }
}

function assign<T extends object, K extends keyof T>(target: T, key: K, value: T[K] | undefined): void {
  if (value === undefined) delete target[key];
  else target[key] = value;
}

/** Once an object is being deleted, finalizers may only go away. */
function finalizerErrors(object: UnknownObject, old: UnknownObject): ReturnType<typeof fieldForbidden>[] {
  if (!old.metadata.deletionTimestamp) return [];
  const before = new Set(old.metadata.finalizers);
  const added = (object.metadata.finalizers ?? []).filter((one) => !before.has(one));
  if (added.length === 0) return [];
  const text = added.map((one) => JSON.stringify(one)).join(', ');
  return [
    fieldForbidden(
      'metadata.finalizers',
      `no new finalizers can be added if the object is being deleted, found new finalizers []string{${text}}`,
    ),
  ];
}
