import { stringAt } from '../../kinds/json-value.ts';
import type { WatchHub } from '../cache/hub.ts';
import type { ResourceCache } from '../cache/resource-cache.ts';
import type { UserInfo } from '../http/request.ts';
import type { AccessAttributes, Authorizer } from './authorizer.ts';
import { type Referred, referencesOf } from './pod-references.ts';

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
      return refersTo(pods, node, a.resource as Referred, a.namespace, a.name || nameIn(a.fieldSelector));
    case '/serviceaccounts':
      return (
        a.verb === 'create' &&
        a.subresource === 'token' &&
        refersTo(pods, node, 'serviceaccounts', a.namespace, a.name)
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
  resource: Referred,
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
