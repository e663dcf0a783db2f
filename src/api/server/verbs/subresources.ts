import { cloneJson, isObject, type JsonObject, valueAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { ScalePaths } from '../../kinds/registry.ts';
import { invalid as fieldInvalid } from '../../kinds/field-error.ts';
import { decodeDocument } from '../http/body.ts';
import { parseMediaType } from '../http/content.ts';
import { jsonReply, type Reply } from '../http/reply.ts';
import { badRequest, conflict, invalid, methodNotAllowed, MODIFIED_MESSAGE, notFound } from '../status.ts';
import type { SubresourceHandler } from './dispatch.ts';
import { writeRequest } from './options.ts';
import { get } from './read.ts';
import { update } from './update.ts';
import { served } from './versions.ts';
import { type Call, patch, patchFunction, put } from './write.ts';

/** …/status: the same verbs; kinds take only the status from what comes. */
export const statusHandler: SubresourceHandler = async (call) => {
  const { core, kind, request, info } = call;
  if (info.verb === 'get') return await get(core, kind, request, info);
  if (info.verb === 'update') return await put(call);
  if (info.verb === 'patch') return await patch(call);
  throw methodNotAllowed();
};

/** …/scale: a Scale made from the object; writes change the replicas of the object itself. */
export const scaleHandler: SubresourceHandler = async (call) => {
  const { core, kind, info } = call;
  const paths = kind.scale;
  if (!paths) throw methodNotAllowed();
  if (info.verb === 'get') {
    await core.objects.hub.fresh();
    const entry = core.objects.get(kind, info.namespace, info.name);
    if (!entry) throw notFound(kind, info.name);
    return jsonReply(200, scaleOf(served(kind, entry), paths));
  }
  if (info.verb !== 'update' && info.verb !== 'patch') throw methodNotAllowed();
  return await writeScale(call, paths);
};

async function writeScale(call: Call, paths: ScalePaths): Promise<Reply> {
  const { core, kind, request, info, user } = call;
  const write = writeRequest(request, info, kind, user);
  const body = await request.body();
  const contentType = request.headers['content-type'];
  const type = parseMediaType(contentType ?? '').type;
  const change =
    info.verb === 'update' ? () => decodeDocument(body, contentType).value : patchFunction(kind, type, body);
  const entry = await update(core, write, {
    replace: false,
    change: (old) => {
      const scale = change(scaleOf(old, paths));
      const revision = valueAt(scale, 'metadata.resourceVersion');
      if (typeof revision === 'string' && revision && revision !== old.metadata.resourceVersion) {
        throw conflict(kind, info.name, MODIFIED_MESSAGE);
      }
      return withReplicas(old, paths, replicasOf(scale, info.name));
    },
  });
  return jsonReply(200, scaleOf(served(kind, entry), paths));
}

function replicasOf(scale: unknown, name: string): number {
  if (!isObject(scale) || !isObject(scale['spec'] ?? {})) throw badRequest('the body is no Scale');
  const replicas = valueAt(scale, 'spec.replicas') ?? 0;
  if (typeof replicas !== 'number' || !Number.isSafeInteger(replicas)) {
    throw badRequest('json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32');
  }
  if (replicas < 0) {
    const error = fieldInvalid('spec.replicas', replicas, 'must be greater than or equal to 0');
    throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, [error]);
  }
  return replicas;
}

function withReplicas(old: UnknownObject, { specReplicas }: ScalePaths, replicas: number): UnknownObject {
  const object = cloneJson(old);
  const path = specReplicas.split('.');
  let at: JsonObject = object;
  for (const field of path.slice(0, -1)) {
    const next = isObject(at[field]) ? at[field] : {};
    at[field] = next;
    at = next;
  }
  at[path.at(-1) ?? 'replicas'] = replicas;
  return object;
}

function scaleOf(object: UnknownObject, paths: ScalePaths): unknown {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.labelSelector ? valueAt(object, paths.labelSelector) : undefined;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: valueAt(object, paths.specReplicas) ?? 0 },
    status: {
      replicas: valueAt(object, paths.statusReplicas) ?? 0,
      ...(selector !== undefined && { selector: selectorText(selector) }),
    },
  };
}

/** The string form of a LabelSelector or of a plain map of labels. */
export function selectorText(selector: unknown): string {
  if (typeof selector === 'string') return selector;
  if (!isObject(selector)) return '';
  const { matchLabels, matchExpressions, ...plain } = selector;
  const labels = isObject(matchLabels) ? matchLabels : matchExpressions === undefined ? plain : {};
  const parts = Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`);
  for (const one of Array.isArray(matchExpressions) ? (matchExpressions as unknown[]) : []) {
    if (!isObject(one)) continue;
    const values = Array.isArray(one['values']) ? (one['values'] as unknown[]).join(',') : '';
    const key = String(one['key']);
    const operator = String(one['operator']);
    if (operator === 'Exists') parts.push(key);
    else if (operator === 'DoesNotExist') parts.push(`!${key}`);
    else parts.push(`${key} ${operator === 'In' ? 'in' : 'notin'} (${values})`);
  }
  return parts.sort().join(',');
}

/** namespaces/NAME/finalize: the only way to change spec.finalizers of a Namespace. */
export const finalizeHandler: SubresourceHandler = async (call) => {
  const { core, kind, request, info, user } = call;
  if (info.verb !== 'update') throw methodNotAllowed();
  const write = writeRequest(request, info, kind, user);
  const body = await request.body();
  const entry = await update(core, write, {
    replace: false,
    change: (old) => {
      const { value } = decodeDocument(body, request.headers['content-type']);
      const finalizers = valueAt(value, 'spec.finalizers');
      const object = cloneJson(old);
      object['spec'] = {
        ...(object['spec'] as object),
        finalizers: Array.isArray(finalizers) ? finalizers : [],
      };
      const revision = valueAt(value, 'metadata.resourceVersion');
      if (typeof revision === 'string') object.metadata.resourceVersion = revision;
      return object;
    },
  });
  return jsonReply(200, served(kind, entry));
};

/** pods/NAME/binding (and the older collection `bindings`): assigns a pod to a node, once. */
export const bindingHandler: SubresourceHandler = async (call) => {
  const { core, kind, request, info, user } = call;
  if (info.verb !== 'create') throw methodNotAllowed();
  const write = writeRequest(request, info, kind, user);
  const { value } = decodeDocument(await request.body(), request.headers['content-type']);
  const node = valueAt(value, 'target.name');
  if (typeof node !== 'string' || !node) throw badRequest('binding needs target.name');
  await update(core, write, {
    replace: false,
    change: (old) => bound(old, node, value, call),
  });
  return jsonReply(201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
};

/** POST to the older collection `bindings`: the pod is the one the binding is named after. */
export const collectionBinding: SubresourceHandler = async (call) => {
  const { core, info, request } = call;
  const kind = core.registry.find('', 'v1', 'pods');
  const { value } = decodeDocument(await request.body(), request.headers['content-type']);
  const name = valueAt(value, 'metadata.name');
  if (!kind || typeof name !== 'string' || !name) throw badRequest('a binding is named after its pod');
  return await bindingHandler({ ...call, kind, info: { ...info, name, subresource: 'binding' } });
};

function bound(
  old: UnknownObject,
  node: string,
  binding: unknown,
  { kind, info, core }: Call,
): UnknownObject {
  const object = cloneJson(old);
  const spec = object['spec'] as JsonObject;
  if (typeof spec['nodeName'] === 'string' && spec['nodeName']) {
    throw conflict(
      kind,
      info.name,
      `pod ${info.name} is already assigned to node ${JSON.stringify(spec['nodeName'])}`,
    );
  }
  if (old.metadata.deletionTimestamp)
    throw conflict(kind, info.name, `pod ${info.name} is being deleted, cannot be assigned to a host`);
  spec['nodeName'] = node;
  const annotations = valueAt(binding, 'metadata.annotations');
  if (isObject(annotations))
    object.metadata.annotations = {
      ...object.metadata.annotations,
      ...(annotations as Record<string, string>),
    };
  const status = isObject(object['status']) ? object['status'] : {};
  const others = (Array.isArray(status['conditions']) ? (status['conditions'] as JsonObject[]) : []).filter(
    (one) => one['type'] !== 'PodScheduled',
  );
  const lastTransitionTime = `${new Date(core.clock.nowMs()).toISOString().slice(0, 19)}Z`;
  status['conditions'] = [...others, { type: 'PodScheduled', status: 'True', lastTransitionTime }];
  object['status'] = status;
  return object;
}
