import type { ApiRequest, UserInfo } from '../http/request.ts';
import { badRequest, forbidden } from '../status.ts';
import type { AccessAttributes, Decision } from './authorizer.ts';

const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;
const EXTRA_PREFIX = 'impersonate-extra-';

interface Target {
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
}

/** Impersonate-User, -Group, -Uid and -Extra-*: the caller becomes somebody else if it may `impersonate` each part. */
export function impersonation(
  authorize: (attributes: AccessAttributes) => Promise<Decision>,
): (request: ApiRequest, user: UserInfo) => Promise<UserInfo> {
  return async (request, user) => {
    const { headers } = request;
    const username = headers['impersonate-user'];
    const groups = split(headers['impersonate-group']);
    const uid = headers['impersonate-uid'];
    const extra = extraOf(headers);
    if (!username) {
      if (groups.length === 0 && uid === undefined && Object.keys(extra).length === 0) return user;
      throw badRequest('requested impersonation without impersonating a user');
    }
    for (const target of targets(username, groups, uid, extra)) {
      const attributes = {
        ...target,
        user,
        verb: 'impersonate',
        version: 'v1',
        path: undefined,
        fieldSelector: '',
      };
      const decision = await authorize(attributes);
      if (!decision.allowed) throw refusal(target, user);
    }
    return impersonated(username, groups, uid, extra);
  };
}

function refusal(target: Target, user: UserInfo): Error {
  const { group, resource, subresource, name, namespace } = target;
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : 'at the cluster scope';
  const full = subresource ? `${resource}/${subresource}` : resource;
  return forbidden(
    { group, plural: resource },
    name,
    `User ${JSON.stringify(user.username)} cannot impersonate resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${where}`,
  );
}

const split = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean);

function extraOf(headers: Readonly<Record<string, string>>): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const [key, value] of Object.entries(headers)) {
    if (!key.startsWith(EXTRA_PREFIX)) continue;
    try {
      extra[decodeURIComponent(key.slice(EXTRA_PREFIX.length))] = split(value);
    } catch {
      throw badRequest(`the header ${key} is not a valid extra key`);
    }
  }
  return extra;
}

function* targets(
  username: string,
  groups: readonly string[],
  uid: string | undefined,
  extra: Readonly<Record<string, readonly string[]>>,
): Generator<Target> {
  const core = { group: '', subresource: '', namespace: '' };
  const authentication = { ...core, group: 'authentication.k8s.io' };
  const account = SERVICE_ACCOUNT.exec(username);
  if (account) {
    yield { ...core, resource: 'serviceaccounts', namespace: account[1] ?? '', name: account[2] ?? '' };
  } else {
    yield { ...core, resource: 'users', name: username };
  }
  for (const name of groups) yield { ...core, resource: 'groups', name };
  if (uid !== undefined) yield { ...authentication, resource: 'uids', name: uid };
  for (const [subresource, values] of Object.entries(extra)) {
    for (const name of values) yield { ...authentication, resource: 'userextras', subresource, name };
  }
}

function impersonated(
  username: string,
  groups: readonly string[],
  uid: string | undefined,
  extra: Readonly<Record<string, readonly string[]>>,
): UserInfo {
  const account = SERVICE_ACCOUNT.exec(username);
  const implied =
    account && groups.length === 0 ? ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`] : [];
  const anonymous = username === 'system:anonymous';
  const all = [...groups, ...implied, anonymous ? 'system:unauthenticated' : 'system:authenticated'];
  return {
    username,
    ...(uid !== undefined && { uid }),
    groups: [...new Set(all)],
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}
