import { arrayAt, isObject, type JsonObject, objectAt, stringAt } from '../../kinds/json-value.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import { decodeObject } from '../http/body.ts';
import { jsonReply, type Reply } from '../http/reply.ts';
import type { UserInfo } from '../http/request.ts';
import { authenticateToken, type TokenVerifier } from '../identity/authenticator.ts';
import { badRequest } from '../status.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import { writeRequest } from '../verbs/options.ts';
import type { Call } from '../verbs/write.ts';
import type { AccessAttributes, Decision } from './authorizer.ts';
import { MASTERS } from './authorizer.ts';
import type { Rbac } from './rbac.ts';
import type { PolicyRule } from './rules.ts';

export interface ReviewDeps {
  readonly rbac: Rbac;
  readonly authorize: (attributes: AccessAttributes) => Promise<Decision>;
  readonly verifiers: readonly TokenVerifier[];
  /** Tokens for other audiences than the API's. */
  readonly verifyFor: (
    token: string,
    audiences: readonly string[],
  ) => (UserInfo & { audiences: string[] }) | undefined;
}

/** Questions answered from what was asked, never stored (authorization.k8s.io and authentication.k8s.io). */
export function reviewHandlers(deps: ReviewDeps): Map<string, SubresourceHandler> {
  return new Map<string, SubresourceHandler>([
    ['authorization.k8s.io/SelfSubjectAccessReview', (call) => accessReview(deps, call, true)],
    ['authorization.k8s.io/SubjectAccessReview', (call) => accessReview(deps, call, false)],
    ['authorization.k8s.io/LocalSubjectAccessReview', (call) => accessReview(deps, call, false)],
    ['authorization.k8s.io/SelfSubjectRulesReview', (call) => rulesReview(deps, call)],
    ['authentication.k8s.io/SelfSubjectReview', selfReview],
    ['authentication.k8s.io/TokenReview', (call) => tokenReview(deps, call)],
  ]);
}

async function bodyOf(call: Call): Promise<JsonObject> {
  const { kind, request, info, user } = call;
  const write = writeRequest(request, info, kind, user);
  return decodeObject(kind, await request.body(), request.headers['content-type'], write);
}

const answer = (review: JsonObject, status: unknown): Reply => jsonReply(201, { ...review, status });

async function accessReview(deps: ReviewDeps, call: Call, self: boolean): Promise<Reply> {
  const review = await bodyOf(call);
  const spec = objectAt(review, 'spec');
  const resource = spec['resourceAttributes'];
  const path = spec['nonResourceAttributes'];
  if (isObject(resource) === isObject(path)) {
    throw badRequest('exactly one of nonResourceAttributes or resourceAttributes must be specified');
  }
  const local = call.kind.namespaced ? call.info.namespace : undefined;
  if (local !== undefined && (!isObject(resource) || stringAt(resource, 'namespace') !== local)) {
    throw badRequest('spec.resourceAttributes.namespace must match the namespace of the request');
  }
  const user = self ? call.user : subjectOf(spec);
  const decision = await deps.authorize({
    user,
    verb: stringAt(resource, 'verb') || stringAt(path, 'verb'),
    group: stringAt(resource, 'group'),
    version: stringAt(resource, 'version'),
    resource: stringAt(resource, 'resource'),
    subresource: stringAt(resource, 'subresource'),
    namespace: stringAt(resource, 'namespace'),
    name: stringAt(resource, 'name'),
    path: isObject(path) ? stringAt(path, 'path') : undefined,
    fieldSelector: '',
  });
  return answer(review, { allowed: decision.allowed, ...(decision.reason && { reason: decision.reason }) });
}

function subjectOf(spec: JsonObject): UserInfo {
  const username = stringAt(spec, 'user');
  const groups = arrayAt(spec, 'groups').map(String);
  if (!username && groups.length === 0) throw badRequest('at least one of user or group must be specified');
  return { username, groups };
}

async function rulesReview(deps: ReviewDeps, call: Call): Promise<Reply> {
  const review = await bodyOf(call);
  const namespace = stringAt(review['spec'], 'namespace');
  if (!namespace) throw badRequest('no namespace on request');
  const all: PolicyRule[] = [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'], resourceNames: [], nonResourceURLs: [] },
    { verbs: ['*'], apiGroups: [], resources: [], resourceNames: [], nonResourceURLs: ['*'] },
  ];
  const bound = deps.rbac.rulesFor(call.user, namespace);
  // Masters may everything without a binding; what bindings say again is not told twice.
  const rules = call.user.groups.includes(MASTERS)
    ? [...all, ...bound.filter((rule) => !rule.verbs.includes('*'))]
    : bound;
  return answer(review, {
    resourceRules: rules
      .filter((rule) => rule.resources.length > 0)
      .map(({ verbs, apiGroups, resources, resourceNames }) => ({
        verbs,
        apiGroups,
        resources,
        ...(resourceNames.length > 0 && { resourceNames }),
      })),
    nonResourceRules: rules
      .filter((rule) => rule.nonResourceURLs.length > 0)
      .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: false,
  });
}

const selfReview: SubresourceHandler = async (call) => {
  const review = await bodyOf(call);
  const creationTimestamp = formatTime(call.core.clock.nowMs());
  const metadata = { ...objectAt(review, 'metadata'), creationTimestamp };
  return answer({ ...review, metadata }, { userInfo: userJson(call.user) });
};

function userJson(user: UserInfo): JsonObject {
  return {
    username: user.username,
    ...(user.uid && { uid: user.uid }),
    groups: user.groups,
    ...(user.extra && { extra: user.extra }),
  };
}

async function tokenReview(deps: ReviewDeps, call: Call): Promise<Reply> {
  const review = await bodyOf(call);
  const spec = objectAt(review, 'spec');
  const token = stringAt(spec, 'token');
  const audiences = arrayAt(spec, 'audiences').map(String);
  if (!token) throw badRequest('token is required for TokenReview in authentication');
  if (audiences.length > 0) {
    const user = deps.verifyFor(token, audiences);
    if (!user) return answer(review, { user: {}, error: 'the token is not valid for these audiences' });
    const { audiences: common, ...rest } = user;
    return answer(review, { authenticated: true, user: userJson(authenticated(rest)), audiences: common });
  }
  const user = await authenticateToken(token, deps.verifiers);
  if (!user) return answer(review, { user: {}, error: 'invalid bearer token' });
  return answer(review, { authenticated: true, user: userJson(user) });
}

const authenticated = (user: UserInfo): UserInfo => ({
  ...user,
  groups: [...user.groups, 'system:authenticated'],
});
