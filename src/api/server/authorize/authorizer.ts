import type { UserInfo } from '../http/request.ts';
import type { RequestInfo } from '../http/request-info.ts';
import { StatusError } from '../status.ts';

/** What is asked for, in SubjectAccessReview's words. */
export interface AccessAttributes {
  readonly user: UserInfo;
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Set for requests outside /api and /apis. */
  readonly path: string | undefined;
  /** Field selector of list, watch and deletecollection, for selectors by name. */
  readonly fieldSelector: string;
}

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

/** Undefined = no opinion; the next one is asked. */
export type Authorizer = (attributes: AccessAttributes) => Decision | undefined;

export const MASTERS = 'system:masters';

/** Members of system:masters may do everything, whatever the roles say. */
export const mastersAuthorizer: Authorizer = ({ user }) =>
  user.groups.includes(MASTERS) ? { allowed: true, reason: '' } : undefined;

/** The first opinion counts; none is a no. */
export function unionAuthorizer(
  authorizers: readonly Authorizer[],
): (attributes: AccessAttributes) => Decision {
  return (attributes) => {
    for (const authorizer of authorizers) {
      const decision = authorizer(attributes);
      if (decision) return decision;
    }
    return { allowed: false, reason: '' };
  };
}

export function attributesOf(user: UserInfo, info: RequestInfo, query: URLSearchParams): AccessAttributes {
  const selects = info.verb === 'list' || info.verb === 'watch' || info.verb === 'deletecollection';
  return {
    user,
    verb: info.verb,
    group: info.group,
    version: info.version,
    resource: info.resource,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name,
    path: info.isResource ? undefined : info.path,
    fieldSelector: selects ? (query.get('fieldSelector') ?? '') : '',
  };
}

/** `pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"`. */
export function denied(attributes: AccessAttributes, decision: Decision): StatusError {
  const { user, verb, group, resource, subresource, namespace, name, path } = attributes;
  const who = `User ${JSON.stringify(user.username)} cannot ${verb}`;
  if (path !== undefined) {
    const message = `forbidden: ${who} path ${JSON.stringify(path)}`;
    return new StatusError(403, 'Forbidden', withReason(message, decision), {});
  }
  const full = subresource ? `${resource}/${subresource}` : resource;
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : 'at the cluster scope';
  const qualified = group ? `${resource}.${group}` : resource;
  const subject = name ? `${qualified} ${JSON.stringify(name)}` : qualified;
  const message = `${subject} is forbidden: ${who} resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${where}`;
  return new StatusError(403, 'Forbidden', withReason(message, decision), {
    ...(name && { name }),
    ...(group && { group }),
    kind: resource,
  });
}

const withReason = (message: string, { reason }: Decision): string =>
  reason ? `${message}: ${reason}` : message;
