import { isObject, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { type KindInfo, joinApiVersion } from '../../kinds/registry.ts';
import { apply } from '../apply/apply.ts';
import type { FieldSet } from '../apply/field-set.ts';
import { typedPatchError } from '../apply/typed-error.ts';
import { writerOf } from '../apply/managed-fields.ts';
import { decodeDocument, decodeObject } from '../http/body.ts';
import { goType } from '../../kinds/decode/json-text.ts';
import { parseMediaType } from '../http/content.ts';
import { jsonReply, type Reply } from '../http/reply.ts';
import type { ApiRequest, UserInfo } from '../http/request.ts';
import type { RequestInfo } from '../http/request-info.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { patchError } from '../patch/patch-error.ts';
import { applyStrategicMerge } from '../patch/strategic-merge.ts';
import { badRequest, conflict, unsupportedMediaType } from '../status.ts';
import type { Change, Core } from './context.ts';
import { create } from './create.ts';
import { type Deleted, type DeleteOptions, deletedStatus, parseDeleteOptions, remove } from './delete.ts';
import { selectPage } from './list.ts';
import { parseListOptions } from './list-options.ts';
import { warningHeader, type WriteRequest, writeRequest } from './options.ts';
import { encoderOptions, entryReply, objectReply } from './replies.ts';
import { selectionFor } from './selection.ts';
import { update } from './update.ts';
import { served } from './versions.ts';

export interface Call {
  readonly core: Core;
  readonly kind: KindInfo;
  readonly request: ApiRequest;
  readonly info: RequestInfo;
  readonly user: UserInfo;
  /** Throws 403 unless the user may do this here, too: some requests turn out to be more than their verb. */
  demand(verb: string): Promise<void>;
}

/** POST to a collection. */
export async function post(call: Call): Promise<Reply> {
  const { core, kind, request, info, user } = call;
  const write = writeRequest(request, info, kind, user);
  const object = decodeObject(kind, await request.body(), request.headers['content-type'], write);
  const entry = await create(core, write, object);
  return warned(entryReply(201, replyOptions(call), entry), write);
}

/** The body of a PUT that finds nothing: a known object that is gone is not made again under its old identity. */
function asNew({ kind, info }: Call, object: UnknownObject): UnknownObject {
  const { uid } = object.metadata;
  if (uid)
    throw conflict(kind, info.name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: `);
  delete object.metadata.resourceVersion;
  return object;
}

export async function put(call: Call): Promise<Reply> {
  const { core, kind, request, info, user } = call;
  const write = writeRequest(request, info, kind, user);
  const body = await request.body();
  const decode = (): UnknownObject => decodeObject(kind, body, request.headers['content-type'], write);
  let status = 200;
  const entry = await update(core, write, {
    change: decode,
    replace: true,
    ...(kind.allowCreateOnUpdate &&
      !info.subresource && {
        createMissing: async () => {
          await call.demand('create');
          status = 201;
          return await create(core, write, asNew(call, decode()));
        },
      }),
  });
  return warned(entryReply(status, replyOptions(call), entry), write);
}

export const APPLY_PATCH = 'application/apply-patch+yaml';
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';

export async function patch(call: Call): Promise<Reply> {
  const { core, kind, request, info, user } = call;
  const type = parseMediaType(request.headers['content-type'] ?? '').type;
  if (type === APPLY_PATCH) return await applyPatch(call);
  const write = writeRequest(request, info, kind, user);
  const body = await request.body();
  const patchDocument = patchFunction(kind, type, body);
  const strategic = type === STRATEGIC_PATCH;
  const change: Change = (old) => {
    const patched = patchDocument(old);
    try {
      return retyped(kind, patched, write);
    } catch (error) {
      const shown = strategic ? decodeDocument(body, 'application/json').value : patched;
      throw patchError(error, strategic, shown);
    }
  };
  const entry = await update(core, write, { change, replace: false });
  return warned(entryReply(200, replyOptions(call), entry), write);
}

/** How a patch body changes a document of the kind; throws for bodies that are no patch. */
export function patchFunction(
  kind: KindInfo,
  type: string,
  body: Uint8Array,
): (document: unknown) => unknown {
  const accepted =
    kind.openApiSchema === undefined
      ? [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH]
      : [JSON_PATCH, MERGE_PATCH, APPLY_PATCH];
  if (!accepted.includes(type) || type === APPLY_PATCH) throw unsupportedMediaType(accepted);
  const tell = (why: string): string => (type === STRATEGIC_PATCH ? why : `error decoding patch: ${why}`);
  const document = decodeDocument(body, 'application/json', tell).value;
  if (type === JSON_PATCH) return (old) => applyJsonPatch(old, document);
  if (type === MERGE_PATCH && document === null) throw badRequest('Invalid JSON Patch');
  if (document !== null && !isObject(document)) {
    const why = `json: cannot unmarshal ${goType(document)} into Go value of type map[string]interface {}`;
    throw badRequest(tell(why));
  }
  if (type === MERGE_PATCH) return (old) => applyMergePatch(old, document);
  return (old) => applyStrategicMerge(old, document ?? {}, kind.schema);
}

/** What came out of a patch is read like a body: unknown fields are told or refused. */
function retyped(kind: KindInfo, patched: unknown, write: WriteRequest): UnknownObject {
  return decodeObject(kind, { value: patched, duplicates: [] }, undefined, write);
}

async function applyPatch(call: Call): Promise<Reply> {
  const { core, kind, request, info, user } = call;
  const write = writeRequest(request, info, kind, user, true);
  const body = await request.body();
  const read = (): UnknownObject => decodeConfiguration(call, body, write);
  const options = {
    schema: kind.schema,
    writer: writerOf(core, write),
    force: write.force,
    keeps: (set: FieldSet): FieldSet => keptFields(kind, info.subresource, set),
  };
  let status = 200;
  const change: Change = (old) => {
    const configuration = read();
    const merged = apply(old, configuration, options);
    const { resourceVersion, uid } = configuration.metadata;
    if (resourceVersion) merged.metadata.resourceVersion = resourceVersion;
    if (uid) merged.metadata.uid = uid;
    return retyped(kind, merged, write);
  };
  const entry = await update(core, write, {
    change,
    replace: false,
    applied: true,
    ...(!info.subresource && {
      createMissing: async () => {
        await call.demand('create');
        status = 201;
        const made = retyped(kind, apply(undefined, read(), options), write);
        return await create(core, { ...write, applied: true }, asApplied(call, made));
      },
    }),
  });
  return warned(entryReply(status, replyOptions(call), entry), write);
}

/** What an apply makes: of a version that is not there, but not of an object that was another. */
function asApplied({ kind, info }: Call, object: UnknownObject): UnknownObject {
  const { uid } = object.metadata;
  if (uid) {
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
    throw conflict(kind, info.name, why);
  }
  delete object.metadata.resourceVersion;
  return object;
}

function decodeConfiguration({ kind, info }: Call, body: Uint8Array, write: WriteRequest): UnknownObject {
  const { value: written, duplicates } = decodeDocument(
    body,
    'application/yaml',
    (why) => `error decoding YAML: error converting YAML to JSON: ${why}`,
  );
  const value = written ?? {};
  if (!isObject(value)) {
    const type = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    throw badRequest(
      `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${type} into Go value of type map[string]interface {}`,
    );
  }
  const metadata = isObject(value['metadata']) ? value['metadata'] : {};
  if (metadata['managedFields'] !== undefined && metadata['managedFields'] !== null) {
    throw badRequest('metadata.managedFields must be nil');
  }
  const [apiVersion, name] = [stringAt(value, 'apiVersion'), stringAt(metadata, 'name')];
  if (apiVersion !== joinApiVersion(kind.group, kind.version) || value['kind'] !== kind.kind) {
    const type = apiVersion.includes('/') ? apiVersion : `/${apiVersion}`;
    throw badRequest(`invalid object type: ${type}, Kind=${stringAt(value, 'kind')}`);
  }
  if (name !== '' && name !== info.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${info.name})`);
  const typed = kind.openApiSchema ? undefined : typedPatchError(value as UnknownObject, kind.schema, kind);
  if (typed) throw typed;
  // The typed reading only judges; the merge needs the configuration as it was written, without defaults.
  decodeObject(kind, { value, duplicates }, undefined, write);
  return {
    ...value,
    metadata: { name: info.name, ...(kind.namespaced && { namespace: info.namespace }), ...metadata },
  } as UnknownObject;
}

/** The main resource does not write status, /status writes nothing else. */
function keptFields(kind: KindInfo, subresource: string, set: FieldSet): FieldSet {
  if (subresource === 'status') return set.only(new Set(['f:status']));
  return kind.subresources.some((one) => one.name === 'status') ? set.without('f:status') : set;
}

export async function deleteOne(call: Call): Promise<Reply> {
  const { write, options } = await deleteRequest(call);
  const deleted = await remove(call.core, write, options);
  return warned(deletionReply(call, write, deleted), write);
}

/** Kinds whose DELETE answers with the object itself even when it is gone at once. */
const RETURNS_OBJECT: ReadonlySet<string> = new Set([
  'Pod',
  'Service',
  'ServiceAccount',
  'PersistentVolume',
  'PersistentVolumeClaim',
  'ResourceQuota',
  'PodTemplate',
  'ReplicationController',
]);

function deletionReply(call: Call, write: WriteRequest, deleted: Deleted): Reply {
  const { kind } = call;
  if (!deleted.gone) return entryReply(200, replyOptions(call), deleted.entry);
  if (!RETURNS_OBJECT.has(kind.kind) || kind.openApiSchema !== undefined) {
    return jsonReply(200, deletedStatus(write, deleted.object));
  }
  const metadata = { ...deleted.object.metadata, resourceVersion: String(deleted.revision) };
  return objectReply(200, replyOptions(call), { ...deleted.object, metadata });
}

export async function deleteCollection(call: Call): Promise<Reply> {
  const { core, kind, request, info } = call;
  const { write, options } = await deleteRequest(call);
  const list = parseListOptions(request.query);
  const scope = {
    cache: core.objects.cacheOf(kind),
    prefix: core.objects.prefixOf(kind, kind.namespaced ? info.namespace : ''),
    selection: selectionFor(kind, list.labelSelector, list.fieldSelector, ''),
  };
  const page = await selectPage({ hub: core.objects.hub, store: core.store }, scope, list);
  const items: UnknownObject[] = [];
  for (const entry of await core.conversions.views(kind, page.entries)) {
    const { namespace, name } = entry;
    await remove(core, { ...write, namespace, name }, options).catch(ignoreMissing);
    items.push(served(kind, entry));
  }
  return warned(
    jsonReply(200, {
      kind: kind.listKind,
      apiVersion: joinApiVersion(kind.group, kind.version),
      metadata: { resourceVersion: String(core.objects.hub.revision) },
      items,
    }),
    write,
  );
}

/** Somebody else was faster: that is what was asked for. */
function ignoreMissing(error: unknown): void {
  if ((error as { code?: unknown }).code !== 404) throw error;
}

async function deleteRequest(call: Call): Promise<{ write: WriteRequest; options: DeleteOptions }> {
  const { kind, request, info, user } = call;
  const body = await request.body();
  const document = body.length > 0 ? decodeDocument(body, request.headers['content-type']).value : undefined;
  const options = parseDeleteOptions(document, request.query);
  const write = writeRequest(request, info, kind, user);
  return { write: { ...write, dryRun: write.dryRun || options.dryRun }, options };
}

function replyOptions({ core, kind, request }: Call): ReturnType<typeof encoderOptions> {
  return encoderOptions(kind, request, () => core.clock.nowMs());
}

function warned(reply: Reply, write: WriteRequest): Reply {
  const header = warningHeader(write.warnings);
  return header ? { ...reply, headers: { ...reply.headers, ...header } } : reply;
}
