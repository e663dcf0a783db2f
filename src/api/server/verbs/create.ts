import { randomInt, randomUUID } from 'node:crypto';
import { required } from '../../kinds/field-error.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { AdmissionRequest } from '../admission/admission.ts';
import { trackUpdate } from '../apply/managed-fields.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { GENERATE_NAME_ATTEMPTS_MAX } from '../limits.ts';
import { alreadyExists, badRequest, invalid, StatusError } from '../status.ts';
import type { Core, WriteContext } from './context.ts';

const NAME_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const NAME_SUFFIX_LENGTH = 5;
const GENERATED_NAME_MAX_LENGTH = 63;

/**
 * POST: fills what the server owns, defaults, admits, validates, stores. `object` is private.
 * A taken generated name is tried again with another suffix.
 */
export async function create(
  core: Core,
  context: WriteContext,
  object: UnknownObject,
): Promise<StoredObject> {
  const { kind } = context;
  if (kind.openApiSchema !== undefined) refuseWhileTerminating(core, context);
  ownMetadata(core, context, object);
  const generate = !object.metadata.name && object.metadata.generateName;
  for (let attempt = 1; ; attempt++) {
    const candidate = attempt === 1 ? object : structuredClone(object);
    if (generate) candidate.metadata.name = generatedName(generate);
    const stored = await createOnce(core, context, candidate);
    if (stored) return await core.conversions.view(kind, stored);
    if (!generate || attempt === GENERATE_NAME_ATTEMPTS_MAX)
      throw alreadyExists(kind, candidate.metadata.name);
  }
}

/** A definition that is going away only loses objects. */
function refuseWhileTerminating(core: Core, { kind }: WriteContext): void {
  const definitions = core.registry.find('apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
  const entry = definitions && core.objects.get(definitions, '', `${kind.plural}.${kind.group}`);
  if (!entry?.object.metadata.deletionTimestamp) return;
  throw new StatusError(
    405,
    'MethodNotAllowed',
    'create not allowed while custom resource definition is terminating',
    { group: kind.group, kind: kind.plural },
  );
}

function generatedName(base: string): string {
  let suffix = '';
  while (suffix.length < NAME_SUFFIX_LENGTH) suffix += NAME_ALPHABET[randomInt(NAME_ALPHABET.length)];
  return base.slice(0, GENERATED_NAME_MAX_LENGTH - NAME_SUFFIX_LENGTH) + suffix;
}

function ownMetadata(core: Core, { kind, namespace }: WriteContext, object: UnknownObject): void {
  const metadata = object.metadata;
  if (metadata.resourceVersion)
    throw badRequest('resourceVersion should not be set on objects to be created');
  checkNamespace(kind.namespaced, namespace, metadata.namespace);
  if (kind.namespaced) metadata.namespace = namespace;
  else delete metadata.namespace;
  if (!metadata.name && !metadata.generateName) {
    throw invalid(kind, '', [required('metadata.name', 'name or generateName is required')]);
  }
  metadata.uid = randomUUID();
  metadata.creationTimestamp = formatTime(core.clock.nowMs());
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.generation;
  delete metadata.resourceVersion;
  delete (metadata as { selfLink?: string }).selfLink;
}

export function checkNamespace(namespaced: boolean, expected: string, given: string | undefined): void {
  if (!namespaced) return;
  if (given && given !== expected) {
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
  }
}

/** Undefined when the name is taken. */
async function createOnce(
  core: Core,
  context: WriteContext,
  object: UnknownObject,
): Promise<StoredObject | undefined> {
  const { kind } = context;
  const { name } = object.metadata;
  const request: AdmissionRequest = { ...context, operation: 'CREATE', name, object, old: undefined };
  kind.defaults(object);
  if (!context.applied) trackCreate(core, context, object);
  await core.admission.admit(request);
  kind.prepareCreate(object);
  const errors = kind.validate(object);
  if (errors.length > 0) throw invalid(kind, name, errors);
  await core.admission.validate(request);
  const reservation = await core.admission.reserve(request);
  try {
    const stored = await insert(core, context, object);
    if (stored && !context.dryRun) reservation.commit();
    else await reservation.rollback();
    if (stored) for (const text of kind.warnings(object)) context.warn(text);
    return stored;
  } catch (error) {
    await reservation.rollback();
    throw error;
  }
}

/** The writer owns what it sent and its defaults, not what admission adds (as upstream), nor a status. */
function trackCreate(core: Core, context: WriteContext, object: UnknownObject): void {
  const hasStatus = context.kind.subresources.some(({ name }) => name === 'status');
  const { status: _, ...main } = object;
  trackUpdate(core, context, undefined, hasStatus ? main : object);
}

async function insert(
  core: Core,
  { kind, namespace, dryRun }: WriteContext,
  object: UnknownObject,
): Promise<StoredObject | undefined> {
  const { name } = object.metadata;
  if (dryRun) return core.objects.get(kind, namespace, name) ? undefined : core.objects.preview(kind, object);
  const result = await core.objects.put(kind, namespace, name, object, 0);
  return result.ok ? result.entry : undefined;
}
