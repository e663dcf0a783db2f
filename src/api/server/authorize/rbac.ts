import { type JsonObject, objectAt, objectsAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { parseFieldSelector } from '../../kinds/selector.ts';
import type { WatchHub } from '../cache/hub.ts';
import type { ResourceCache } from '../cache/resource-cache.ts';
import type { UserInfo } from '../http/request.ts';
import type { AccessAttributes, Authorizer, Decision } from './authorizer.ts';
import { allowsPath, allowsResource, type PolicyRule, rulesOf } from './rules.ts';

const GROUP = 'rbac.authorization.k8s.io';
/** Users whose rules are kept resolved. */
const RESOLVED_USERS_MAX = 1_024;

/** What one binding gives a user, and the answer to what its rules allow. */
interface Grant {
  readonly rules: readonly PolicyRule[];
  readonly decision: Decision;
}

interface Resolved {
  readonly cluster: readonly Grant[];
  readonly byNamespace: ReadonlyMap<string, readonly Grant[]>;
}

/** Roles and bindings as they are in the cache; what a user may do is resolved once until one of them changes. */
export class Rbac {
  readonly #roles: ResourceCache;
  readonly #clusterRoles: ResourceCache;
  readonly #roleBindings: ResourceCache;
  readonly #clusterRoleBindings: ResourceCache;
  readonly #resolved = new Map<string, Resolved>();
  #stamp = '';

  constructor(hub: WatchHub) {
    this.#roles = hub.cache(`${GROUP}/roles`);
    this.#clusterRoles = hub.cache(`${GROUP}/clusterroles`);
    this.#roleBindings = hub.cache(`${GROUP}/rolebindings`);
    this.#clusterRoleBindings = hub.cache(`${GROUP}/clusterrolebindings`);
  }

  readonly authorize: Authorizer = (attributes) => {
    const { cluster, byNamespace } = this.#resolve(attributes.user);
    const allowing = ({ rules }: Grant): boolean => rules.some((rule) => allows(rule, attributes));
    const own = attributes.namespace ? byNamespace.get(attributes.namespace) : undefined;
    return (cluster.find(allowing) ?? own?.find(allowing))?.decision;
  };

  /** Everything the user holds in a namespace; '' = only what holds everywhere. */
  rulesFor(user: UserInfo, namespace: string): readonly PolicyRule[] {
    const { cluster, byNamespace } = this.#resolve(user);
    const own = namespace ? (byNamespace.get(namespace) ?? []) : [];
    return [...cluster, ...own].flatMap(({ rules }) => rules);
  }

  /** The rules a roleRef stands for; undefined when the role is missing. */
  rulesOfRef(roleRef: unknown, namespace: string): PolicyRule[] | undefined {
    const name = stringAt(roleRef, 'name');
    const entry =
      stringAt(roleRef, 'kind') === 'ClusterRole'
        ? this.#clusterRoles.get(`${this.#clusterRoles.prefix}${name}`)
        : this.#roles.get(`${this.#roles.prefix}${namespace}/${name}`);
    return entry && rulesOf(entry.object);
  }

  #resolve(user: UserInfo): Resolved {
    const caches = [this.#roles, this.#clusterRoles, this.#roleBindings, this.#clusterRoleBindings];
    const stamp = caches.map((cache) => `${cache.lastChange}/${cache.size}`).join();
    if (stamp !== this.#stamp) {
      this.#stamp = stamp;
      this.#resolved.clear();
    }
    const key = `${user.username}\n${user.groups.join('\n')}`;
    let resolved = this.#resolved.get(key);
    if (!resolved) {
      if (this.#resolved.size >= RESOLVED_USERS_MAX) this.#resolved.clear();
      resolved = this.#resolveNow(user);
      this.#resolved.set(key, resolved);
    }
    return resolved;
  }

  #resolveNow(user: UserInfo): Resolved {
    const cluster: Grant[] = [];
    for (const entry of this.#clusterRoleBindings.range(this.#clusterRoleBindings.prefix)) {
      cluster.push(...this.#grantOf(entry.object, user, ''));
    }
    const byNamespace = new Map<string, Grant[]>();
    for (const entry of this.#roleBindings.range(this.#roleBindings.prefix)) {
      const found = this.#grantOf(entry.object, user, entry.namespace);
      if (found.length === 0) continue;
      byNamespace.set(entry.namespace, [...(byNamespace.get(entry.namespace) ?? []), ...found]);
    }
    return { cluster, byNamespace };
  }

  /** One, or none when the binding is not for this user or its role is missing. */
  #grantOf(binding: UnknownObject, user: UserInfo, namespace: string): Grant[] {
    const subject = objectsAt(binding, 'subjects').find((one) => isMeant(one, user, namespace));
    const rules = subject && this.rulesOfRef(binding['roleRef'], namespace);
    if (!rules) return [];
    return [{ rules, decision: { allowed: true, reason: reasonOf(binding, subject, namespace) } }];
  }
}

/** `RBAC: allowed by RoleBinding "b/ns" of Role "r" to User "u"`, as upstream says. */
function reasonOf(binding: UnknownObject, subject: JsonObject, namespace: string): string {
  const { name } = binding.metadata;
  const bound = namespace ? `RoleBinding "${name}/${namespace}"` : `ClusterRoleBinding "${name}"`;
  const role = objectAt(binding, 'roleRef');
  const account = subject['kind'] === 'ServiceAccount';
  const who = stringAt(subject, 'name') + (account ? `/${stringAt(subject, 'namespace') || namespace}` : '');
  const of = `${stringAt(role, 'kind')} "${stringAt(role, 'name')}"`;
  return `RBAC: allowed by ${bound} of ${of} to ${stringAt(subject, 'kind')} "${who}"`;
}

function isMeant(subject: JsonObject, user: UserInfo, namespace: string): boolean {
  const name = stringAt(subject, 'name');
  switch (subject['kind']) {
    case 'User':
      return user.username === name;
    case 'Group':
      return user.groups.includes(name);
    case 'ServiceAccount':
      return user.username === `system:serviceaccount:${stringAt(subject, 'namespace') || namespace}:${name}`;
    default:
      return false;
  }
}

function allows(rule: PolicyRule, attributes: AccessAttributes): boolean {
  if (attributes.path !== undefined) return allowsPath(rule, attributes.verb, attributes.path);
  return allowsResource(rule, { ...attributes, name: attributes.name || selectedName(attributes) });
}

/** A list or watch narrowed to one name counts as access to that name. */
function selectedName({ fieldSelector }: AccessAttributes): string {
  if (!fieldSelector.includes('metadata.name')) return '';
  const parsed = parseFieldSelector(fieldSelector);
  if (!parsed.ok) return '';
  return parsed.query.find((one) => one.field === 'metadata.name' && one.equal)?.value ?? '';
}
