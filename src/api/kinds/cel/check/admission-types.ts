import { BOOL, type CelType, DYN, INT, listOf, mapOf, STRING, structOf, TIMESTAMP } from './type.ts';

const struct = (name: string, fields: Readonly<Record<string, CelType>>): CelType =>
  structOf(`kubernetes.${name}`, new Map(Object.entries(fields)));

const TEXTS = listOf(STRING);
const STRINGS = mapOf(STRING, STRING);
const GROUP_VERSION_KIND = struct('GroupVersionKind', { group: STRING, version: STRING, kind: STRING });
const GROUP_VERSION_RESOURCE = struct('GroupVersionResource', {
  group: STRING,
  version: STRING,
  resource: STRING,
});

/** AdmissionRequest without uid, object and oldObject. */
const REQUEST = struct('AdmissionRequest', {
  kind: GROUP_VERSION_KIND,
  resource: GROUP_VERSION_RESOURCE,
  subResource: STRING,
  requestKind: GROUP_VERSION_KIND,
  requestResource: GROUP_VERSION_RESOURCE,
  requestSubResource: STRING,
  name: STRING,
  namespace: STRING,
  operation: STRING,
  userInfo: struct('UserInfo', {
    username: STRING,
    uid: STRING,
    groups: TEXTS,
    extra: mapOf(STRING, TEXTS),
  }),
  dryRun: BOOL,
  options: DYN,
});

const NAMESPACE = struct('Namespace', {
  metadata: struct('NamespaceMetadata', {
    name: STRING,
    generateName: STRING,
    namespace: STRING,
    labels: STRINGS,
    annotations: STRINGS,
    UID: STRING,
    creationTimestamp: TIMESTAMP,
    deletionGracePeriodSeconds: INT,
    deletionTimestamp: TIMESTAMP,
    generation: INT,
    resourceVersion: STRING,
    finalizers: TEXTS,
  }),
  spec: struct('NamespaceSpec', { finalizers: TEXTS }),
  status: struct('NamespaceStatus', {
    conditions: listOf(
      struct('NamespaceCondition', {
        status: STRING,
        type: STRING,
        lastTransitionTime: TIMESTAMP,
        message: STRING,
        reason: STRING,
      }),
    ),
    phase: STRING,
  }),
});

/** Which of the variables of an admission an expression has; the rest it always has. */
export interface AdmissionScope {
  readonly params: boolean;
  readonly authorizer: boolean;
  /** The variables of the policy so far; undefined where there are none to read. */
  readonly variables: ReadonlyMap<string, CelType> | undefined;
}

/** Types of what expressions of admission read (KEP-3488). Objects are known only when they come. */
export function admissionTypes({
  params,
  authorizer,
  variables,
}: AdmissionScope): ReadonlyMap<string, CelType> {
  const types = new Map<string, CelType>([
    ['object', DYN],
    ['oldObject', DYN],
    ['namespaceObject', NAMESPACE],
    ['request', REQUEST],
  ]);
  if (params) types.set('params', DYN);
  if (variables) types.set('variables', structOf('kubernetes.variables', variables));
  if (!authorizer) return types;
  types.set('authorizer', structOf('kubernetes.authorization.Authorizer'));
  return types.set('authorizer.requestResource', structOf('kubernetes.authorization.ResourceCheck'));
}

const PLAIN: ReadonlySet<CelType['kind']> = new Set(['scalar', 'list', 'map', 'null']);

/** The type a variable of a policy has for what reads it: structs and opaque values are told only when they run. */
export function variableType(type: CelType): CelType {
  if (!PLAIN.has(type.kind)) return DYN;
  return type.params.length === 0 ? type : { ...type, params: type.params.map(variableType) };
}
