import { arrayAt, objectAt, objectsAt, stringAt, valueAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { AdmissionPlugin } from '../admission/admission.ts';
import type { WatchHub } from '../cache/hub.ts';
import type { ResourceCache } from '../cache/resource-cache.ts';
import type { UserInfo } from '../http/request.ts';
import { forbidden } from '../status.ts';
import type { AccessAttributes, Authorizer } from './authorizer.ts';

const PREFIX = 'system:node:';
const GROUP = 'system:nodes';

/** The node a user speaks for; undefined for everybody else. */
export function nodeNameOf(user: UserInfo): string | undefined {
  if (!user.groups.includes(GROUP) || !user.username.startsWith(PREFIX)) return undefined;
  return user.username.slice(PREFIX.length);
}

const ALLOWED = { allowed: true, reason: '' } as const;
const READS: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

/**
 * What a kubelet needs and no more: its own Node, Lease and pods; the Secrets, ConfigMaps, claims and account tokens
 * that pods on its node refer to. The static part comes from the role system:node, which is not bound to anybody.
 */
export function nodeAuthorizer(hub: WatchHub): Authorizer {
  const pods = hub.cache('pods');
  return (attributes) => {
    const node = nodeNameOf(attributes.user);
    if (node === undefined || attributes.path !== undefined) return undefined;
    const decision = decide(pods, node, attributes);
    return decision ? ALLOWED : undefined;
  };
}

function decide(pods: ResourceCache, node: string, a: AccessAttributes): boolean {
  switch (`${a.group}/${a.resource}`) {
    case '/secrets':
    case '/configmaps':
    case '/persistentvolumeclaims':
      if (!READS.has(a.verb) || a.subresource) return false;
      return refersTo(pods, node, a.resource, a.namespace, a.name || nameIn(a.fieldSelector));
    case '/serviceaccounts':
      return (
        a.verb === 'create' &&
        a.subresource === 'token' &&
        refersTo(pods, node, a.resource, a.namespace, a.name)
      );
    case 'coordination.k8s.io/leases':
      return a.namespace === 'kube-node-lease' && (a.verb === 'create' || a.name === node);
    case '/nodes':
      return (
        a.verb === 'create' ||
        READS.has(a.verb) ||
        ((a.verb === 'patch' || a.verb === 'update') && a.name === node)
      );
    case '/pods':
      return (
        READS.has(a.verb) ||
        ['create', 'delete'].includes(a.verb) ||
        (a.subresource === 'status' && ['patch', 'update'].includes(a.verb)) ||
        (a.subresource === 'eviction' && a.verb === 'create')
      );
    case '/services':
    case 'discovery.k8s.io/endpointslices':
    case 'node.k8s.io/runtimeclasses':
    case '/persistentvolumes':
    case 'storage.k8s.io/storageclasses':
      return READS.has(a.verb);
    case '/events':
    case 'events.k8s.io/events':
      return ['create', 'patch', 'update'].includes(a.verb);
    case 'authentication.k8s.io/tokenreviews':
    case 'authorization.k8s.io/subjectaccessreviews':
      return a.verb === 'create';
    case 'certificates.k8s.io/certificatesigningrequests':
      return a.verb === 'create' || READS.has(a.verb);
    default:
      return false;
  }
}

const nameIn = (fieldSelector: string): string => /^metadata\.name==?([^,]+)$/.exec(fieldSelector)?.[1] ?? '';

function refersTo(
  pods: ResourceCache,
  node: string,
  resource: string,
  namespace: string,
  name: string,
): boolean {
  if (!namespace || !name) return false;
  for (const entry of pods.range(`${pods.prefix}${namespace}/`)) {
    const pod = entry.object;
    if (stringAt(pod['spec'], 'nodeName') === node && referencesOf(pod, resource).has(name)) return true;
  }
  return false;
}

/** Names of objects of the resource that the pod uses. */
function referencesOf(pod: UnknownObject, resource: string): Set<string> {
  const spec = objectAt(pod, 'spec');
  const names = new Set<string>();
  const add = (value: unknown): void => {
    if (typeof value === 'string' && value) names.add(value);
  };
  if (resource === 'serviceaccounts') {
    add(spec['serviceAccountName']);
    return names;
  }
  const kind = resource === 'secrets' ? 'secret' : 'configMap';
  const containers = [
    ...objectsAt(spec, 'containers'),
    ...objectsAt(spec, 'initContainers'),
    ...objectsAt(spec, 'ephemeralContainers'),
  ];
  for (const container of resource === 'persistentvolumeclaims' ? [] : containers) {
    for (const env of objectsAt(container, 'env')) add(valueAt(env, `valueFrom.${kind}KeyRef.name`));
    for (const from of objectsAt(container, 'envFrom')) add(valueAt(from, `${kind}Ref.name`));
  }
  for (const volume of objectsAt(spec, 'volumes')) {
    if (resource === 'persistentvolumeclaims') add(valueAt(volume, 'persistentVolumeClaim.claimName'));
    else
      add(resource === 'secrets' ? valueAt(volume, 'secret.secretName') : valueAt(volume, 'configMap.name'));
    for (const source of objectsAt(volume['projected'], 'sources')) add(valueAt(source, `${kind}.name`));
  }
  if (resource === 'secrets') for (const one of arrayAt(spec, 'imagePullSecrets')) add(valueAt(one, 'name'));
  return names;
}

/** NodeRestriction: a kubelet changes its own Node and pods only, and cannot give itself labels that steer workloads. */
export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  validate(request) {
    const node = nodeNameOf(request.user);
    if (node === undefined) return;
    const { kind, operation, object, old, name } = request;
    const refuse = (why: string): never => {
      throw forbidden(kind, name, why);
    };
    if (kind.group === '' && kind.kind === 'Node') {
      if (name && name !== node)
        refuse(`node ${JSON.stringify(node)} is not allowed to modify node ${JSON.stringify(name)}`);
      if (operation === 'DELETE') refuse('nodes may not delete themselves');
      const changed = restrictedLabels(object, old);
      if (changed.length > 0) refuse(`is not allowed to modify labels: ${changed.join(', ')}`);
    }
    if (kind.group === '' && kind.kind === 'Pod') {
      const pod = old ?? object;
      const host = stringAt(pod?.['spec'], 'nodeName');
      if (host !== node)
        refuse(
          `node ${JSON.stringify(node)} can only ${verbOf(operation)} pods with spec.nodeName set to itself`,
        );
      if (operation === 'CREATE' && !pod?.metadata.annotations?.['kubernetes.io/config.mirror']) {
        refuse(
          `pod does not have "kubernetes.io/config.mirror" annotation, node ${JSON.stringify(node)} can only create mirror pods`,
        );
      }
    }
  },
};

const verbOf = (operation: string): string =>
  operation === 'CREATE' ? 'create' : operation === 'DELETE' ? 'delete' : 'update';

function restrictedLabels(object: UnknownObject | undefined, old: UnknownObject | undefined): string[] {
  const [now, before] = [object?.metadata.labels ?? {}, old?.metadata.labels ?? {}];
  const keys = new Set([...Object.keys(now), ...Object.keys(before)]);
  return [...keys].filter(
    (key) => now[key] !== before[key] && key.includes('node-restriction.kubernetes.io/'),
  );
}
