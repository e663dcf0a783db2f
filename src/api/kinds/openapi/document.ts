import { isObject, type JsonObject } from '../json-value.ts';
import type { GroupVersionKind, KindInfo, Subresource } from '../registry.ts';
import { Components } from './components.ts';
import type { Descriptions } from './descriptions.ts';
import { bodyType, componentName, customComponentName } from './names.ts';

const REFERENCE = '#/components/schemas/';
const REPLY_TYPES = ['application/json', 'application/yaml'];
const PATCH_TYPES = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
];
const STRATEGIC = 'application/strategic-merge-patch+json';

/** Actions of a path by HTTP method, as x-kubernetes-action names them. */
const COLLECTION_ACTIONS = { get: 'list', post: 'post', delete: 'deletecollection' } as const;
const ITEM_ACTIONS = { get: 'get', put: 'put', patch: 'patch', delete: 'delete' } as const;
const VERB_OF: Readonly<Record<string, string>> = {
  list: 'list',
  post: 'create',
  deletecollection: 'deletecollection',
  get: 'get',
  put: 'update',
  patch: 'patch',
  delete: 'delete',
};

/**
 * The OpenAPI v3 document of one group-version: what kubectl needs to create, apply and explain its kinds.
 * `kinds` are all of one group and version.
 */
export function openApiV3(kinds: readonly KindInfo[], descriptions: Descriptions): JsonObject {
  const components = new Components(descriptions, REFERENCE);
  const paths: Record<string, JsonObject> = {};
  for (const kind of kinds) {
    const name = addKind(components, kind);
    const base = basePath(kind);
    const collection = operations(kind, COLLECTION_ACTIONS, kind.verbs, name, kind);
    if (Object.keys(collection).length > 0) paths[base] = collection;
    const item = operations(kind, ITEM_ACTIONS, kind.verbs, name, kind);
    if (Object.keys(item).length > 0) paths[`${base}/{name}`] = item;
    for (const subresource of kind.subresources) {
      const added = subresourceOperations(components, kind, subresource, name);
      if (added) paths[`${base}/{name}/${subresource.name}`] = added;
    }
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'unversioned' },
    paths,
    components: { schemas: components.schemas },
  };
}

const REFERENCE_V2 = '#/definitions/';

/** The OpenAPI v2 document of everything served: definitions, and paths with what clients look up there. */
export function openApiV2(kinds: readonly KindInfo[], descriptions: Descriptions): JsonObject {
  const components = new Components(descriptions, REFERENCE_V2);
  const paths: Record<string, JsonObject> = {};
  for (const kind of kinds) {
    const name = addKind(components, kind);
    const base = basePath(kind);
    const collection = operationsV2(kind, COLLECTION_ACTIONS, name);
    if (Object.keys(collection).length > 0) paths[base] = collection;
    const item = operationsV2(kind, ITEM_ACTIONS, name);
    if (Object.keys(item).length > 0) paths[`${base}/{name}`] = item;
  }
  const definitions = Object.fromEntries(
    Object.entries(components.schemas).map(([name, schema]) => [name, plainReferences(schema)]),
  );
  return { swagger: '2.0', info: { title: 'Kubernetes', version: 'unversioned' }, paths, definitions };
}

function operationsV2(
  kind: KindInfo,
  actions: Readonly<Record<string, string>>,
  component: string,
): Record<string, JsonObject> {
  const gvk = { group: kind.group, version: kind.version, kind: kind.kind };
  const made: Record<string, JsonObject> = {};
  for (const [method, action] of Object.entries(actions)) {
    if (!kind.verbs.some((verb) => verb === VERB_OF[action])) continue;
    const query = parameters(action).map(({ name }) => ({ name, in: 'query', type: 'string' }));
    const hasBody = action === 'post' || action === 'put' || action === 'patch';
    const body = { name: 'body', in: 'body', schema: { $ref: REFERENCE_V2 + component } };
    made[method] = {
      consumes: action === 'patch' ? patchTypes(kind) : ['*/*'],
      parameters: [...(hasBody ? [body] : []), ...query],
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': gvk,
    };
  }
  return made;
}

/** v2 allows siblings of $ref: allOf around one is not needed, and old clients do not look inside. */
function plainReferences(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainReferences);
  if (!isObject(value)) return value;
  const { allOf, ...rest } = value;
  const only: unknown = Array.isArray(allOf) && allOf.length === 1 ? allOf[0] : undefined;
  const source = isObject(only) && '$ref' in only ? { ...rest, ...only } : value;
  return Object.fromEntries(Object.entries(source).map(([name, one]) => [name, plainReferences(one)]));
}

function patchTypes(kind: KindInfo): string[] {
  return kind.schema.definition ? PATCH_TYPES : PATCH_TYPES.filter((type) => type !== STRATEGIC);
}

function addKind(components: Components, kind: KindInfo): string {
  const gvk = { group: kind.group, version: kind.version, kind: kind.kind };
  const { definition } = kind.schema;
  let name: string;
  if (definition) name = components.add(definition);
  else {
    name = customComponentName(gvk);
    components.schemas[name] = customSchema(components, kind.openApiSchema);
  }
  const schema = components.schemas[name];
  if (schema) schema['x-kubernetes-group-version-kind'] = [gvk];
  return name;
}

/** A custom resource's own schema with the fields every object has. */
function customSchema(components: Components, openApiSchema: unknown): JsonObject {
  const source = isObject(openApiSchema) ? openApiSchema : {};
  const own = isObject(source['properties']) ? source['properties'] : {};
  const describe = (description: string): JsonObject => ({ type: 'string', description });
  return {
    ...source,
    type: 'object',
    properties: {
      ...own,
      apiVersion: describe('APIVersion defines the versioned schema of this representation of an object.'),
      kind: describe('Kind is a string value representing the REST resource this object represents.'),
      metadata: {
        allOf: [components.reference('meta/v1.ObjectMeta')],
        description: "Standard object's metadata.",
      },
    },
  };
}

function basePath(kind: KindInfo): string {
  const root = kind.group ? `/apis/${kind.group}/${kind.version}` : `/api/${kind.version}`;
  return kind.namespaced ? `${root}/namespaces/{namespace}/${kind.plural}` : `${root}/${kind.plural}`;
}

function subresourceOperations(
  components: Components,
  kind: KindInfo,
  subresource: Subresource,
  parent: string,
): JsonObject | undefined {
  const own = subresource.kind.kind === kind.kind && subresource.kind.group === kind.group;
  const type = bodyType(subresource.kind);
  if (!own && !type) return undefined;
  const name = type ? componentName(type) : parent;
  if (type) components.add(type);
  const actions = subresource.verbs.includes('create') ? { post: 'post' } : ITEM_ACTIONS;
  return operations(kind, actions, subresource.verbs, name, subresource.kind);
}

function operations(
  kind: KindInfo,
  actions: Readonly<Record<string, string>>,
  verbs: readonly string[],
  component: string,
  gvk: GroupVersionKind,
): JsonObject {
  const made: JsonObject = {};
  for (const [method, action] of Object.entries(actions)) {
    if (verbs.includes(VERB_OF[action] ?? '')) made[method] = operation(kind, action, component, gvk);
  }
  return made;
}

function operation(kind: KindInfo, action: string, component: string, gvk: GroupVersionKind): JsonObject {
  const schema = { $ref: REFERENCE + component };
  const body = requestBody(kind, action, schema);
  return {
    tags: [`${kind.group || 'core'}_${kind.version}`],
    parameters: parameters(action),
    ...(body && { requestBody: body }),
    responses: {
      '200': { description: 'OK', content: content(REPLY_TYPES, schema) },
      '401': { description: 'Unauthorized' },
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group: gvk.group, version: gvk.version, kind: gvk.kind },
  };
}

/** Custom resources have no strategic merge: its absence makes kubectl send merge patches. */
function requestBody(kind: KindInfo, action: string, schema: JsonObject): JsonObject | undefined {
  if (action === 'post' || action === 'put') return { content: content(REPLY_TYPES, schema), required: true };
  if (action !== 'patch') return undefined;
  return { content: content(patchTypes(kind), { type: 'object' }), required: true };
}

function parameters(action: string): JsonObject[] {
  const write = action === 'post' || action === 'put' || action === 'patch';
  const names = write ? ['dryRun', 'fieldManager', 'fieldValidation'] : [];
  if (action === 'list') names.push('labelSelector', 'fieldSelector', 'limit', 'continue', 'watch');
  const made = names.map((name) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } }));
  if (action !== 'patch') return made;
  return [...made, { name: 'force', in: 'query', schema: { type: 'boolean', uniqueItems: true } }];
}

function content(types: readonly string[], schema: JsonObject): JsonObject {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}
