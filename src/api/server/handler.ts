import { randomUUID } from 'node:crypto';
import type { Drain } from '../../base/drain.ts';
import type { Auditor, AuditTrail } from './audit/audit.ts';
import { type AccessAttributes, attributesOf, type Decision, denied } from './authorize/authorizer.ts';
import { withDeadline } from './deadline.ts';
import { errorReply, type Reply, statusOf } from './http/reply.ts';
import type { ApiRequest, UserInfo } from './http/request.ts';
import { parseRequestInfo, READ_VERBS, type RequestInfo } from './http/request-info.ts';
import { unknownPath } from './http/unknown-path.ts';
import { authenticate, type TokenVerifier } from './identity/authenticator.ts';
import { PLACE_KEPT_ABOVE_BYTES } from './limits.ts';
import { badRequest, type StatusError } from './status.ts';
import { dispatch, type Routes } from './verbs/dispatch.ts';

/** Answers a path outside the resources (discovery, health, OpenAPI ...); undefined = not mine. */
export type PathHandler = (
  request: ApiRequest,
  user: UserInfo,
) => Promise<Reply | undefined> | Reply | undefined;

export interface HandlerDeps {
  readonly routes: Routes;
  readonly verifiers: readonly TokenVerifier[];
  readonly authorize: (attributes: AccessAttributes) => Promise<Decision>;
  readonly paths: readonly PathHandler[];
  readonly drain: Drain;
  /** Another user the request wants to be (Impersonate-* headers); checks the right to be it. */
  readonly impersonate: (request: ApiRequest, user: UserInfo) => Promise<UserInfo>;
  /** Absent = no audit log. */
  readonly audit?: Auditor;
  /** Called once a request, when the reply is known. */
  readonly observe: (observation: Observation) => void;
  /** Waits for a place; released when the reply is known, of a long list when it has been sent. */
  readonly admitRequest: (user: UserInfo) => Promise<Disposable>;
  /** Waits for the user's turn to go on. */
  readonly nextSlice: (user: UserInfo) => Promise<void>;
}

export interface Observation {
  readonly auditId: string;
  readonly request: ApiRequest;
  readonly info: RequestInfo | undefined;
  readonly user: UserInfo | undefined;
  readonly impersonated: UserInfo | undefined;
  readonly status: number;
  readonly reason: string;
  readonly startedMs: number;
}

/** The way of every request: who, what, may he, wait for a place, do it; errors become Status objects. */
export function createHandler(
  deps: HandlerDeps,
  nowMs: () => number,
): (request: ApiRequest) => Promise<Reply | undefined> {
  return async (raw) => {
    const startedMs = nowMs();
    const auditId = auditIdOf(raw);
    const trail = deps.audit?.(auditId, raw);
    const request = trail?.request ?? raw;
    const seen: { info?: RequestInfo; user?: UserInfo; impersonated?: UserInfo } = {};
    let reply: Reply | undefined;
    let failure: StatusError | undefined;
    try {
      reply = await serve(deps, request, seen, trail);
    } catch (error) {
      failure = statusOf(error);
      reply = errorReply(failure);
    }
    trail?.answered(reply, failure);
    deps.observe({
      auditId,
      request,
      info: seen.info,
      user: seen.user,
      impersonated: seen.impersonated,
      status: reply?.status ?? 101,
      reason: failure?.message ?? '',
      startedMs,
    });
    if (!reply) return undefined;
    const headers = { 'audit-id': auditId, 'cache-control': 'no-cache, private', ...reply.headers };
    return { ...reply, headers };
  };
}

function auditIdOf(request: ApiRequest): string {
  const given = request.headers['audit-id'];
  return given && /^[\w-]{1,64}$/.test(given) ? given : randomUUID();
}

async function serve(
  deps: HandlerDeps,
  request: ApiRequest,
  seen: { info?: RequestInfo; user?: UserInfo; impersonated?: UserInfo },
  trail: AuditTrail | undefined,
): Promise<Reply | undefined> {
  const info = parseRequestInfo(request.method, request.path, request.query);
  if (!info) throw badRequest('the path is not valid');
  seen.info = info;
  const authenticated = await authenticate(request, deps.verifiers);
  seen.user = authenticated;
  const user = await deps.impersonate(request, authenticated);
  if (user !== authenticated) seen.impersonated = user;
  trail?.identified(info, authenticated, seen.impersonated);
  const attributes = attributesOf(user, info, request.query);
  const decision = await deps.authorize(attributes);
  request.annotate?.('authorization.k8s.io/decision', decision.allowed ? 'allow' : 'forbid');
  request.annotate?.('authorization.k8s.io/reason', decision.reason);
  if (!decision.allowed) throw denied(attributes, decision);
  const demand = async (verb: string): Promise<void> => {
    const more = { ...attributes, verb };
    const answer = await deps.authorize(more);
    if (!answer.allowed) throw denied(more, answer);
  };
  if (opensStream(info)) await demand('create');
  using held = new DisposableStack();
  held.use(await deps.admitRequest(user));
  if (info.isResource) {
    const { clock } = deps.routes.core;
    const reply = await withDeadline(clock, request, info, () =>
      dispatch(deps.routes, request, info, user, demand),
    );
    // One commit answers many writes at once: their replies take turns, too.
    if (!READ_VERBS.has(info.verb)) await deps.nextSlice(user);
    if (!reply || !isLongList(info, reply)) return reply;
    const place = held.move();
    return { ...reply, done: () => place.dispose(), nextSlice: () => deps.nextSlice(user) };
  }
  for (const path of deps.paths) {
    const reply = await path(request, user);
    if (reply) return reply;
  }
  return unknownPath(deps.routes.core.registry, request.path);
}

/** Megabytes that a client may leave unread. Watches are counted by their own slots. */
function isLongList(info: RequestInfo, { body }: Reply): boolean {
  return info.verb === 'list' && !(body instanceof Uint8Array && body.length <= PLACE_KEPT_ABOVE_BYTES);
}

const STREAMS: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward']);

/** A WebSocket opens with GET: the right to read all of pods is no right to run commands in them. */
function opensStream({ group, resource, subresource, verb }: RequestInfo): boolean {
  return group === '' && resource === 'pods' && STREAMS.has(subresource) && verb !== 'create';
}
