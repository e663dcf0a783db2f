import type { Clock } from '../../src/base/clock.ts';
import { AUTH_CACHE_ENTRIES_MAX } from '../limits.ts';
import { Fields } from '../http/fields.ts';
import type { ExternalAuthPolicy } from '../policy.ts';
import { plainRequestFields, type RoutedRequest } from '../relay/context.ts';
import { type Reply, reply } from '../relay/reply.ts';
import { expand } from '../relay/variables.ts';
import type { SideRequests } from '../upstream/side-requests.ts';
import type { Admission } from './gatekeeper.ts';

/** What an auth service said. */
interface AuthAnswer {
  readonly status: number;
  readonly fields: Fields;
}

/**
 * auth-url: asks a service, without the body, whether a request may pass. 2xx passes, 401 and 403 are returned,
 * anything else is our 500: an auth service that is down or confused never lets anybody in.
 */
export class ExternalAuth {
  readonly #clock: Clock;
  readonly #requests: SideRequests;
  readonly #fields: (configMap: string) => readonly (readonly [string, string])[];
  readonly #cache = new Map<string, { answer: AuthAnswer; untilMs: number }>();

  constructor(deps: {
    readonly clock: Clock;
    readonly requests: SideRequests;
    /** Fields of an auth-proxy-set-headers ConfigMap. */
    readonly fields: (configMap: string) => readonly (readonly [string, string])[];
  }) {
    this.#clock = deps.clock;
    this.#fields = deps.fields;
    this.#requests = deps.requests;
  }

  async check(
    request: RoutedRequest,
    policy: ExternalAuthPolicy,
    requestId: string,
  ): Promise<Reply | Admission | undefined> {
    const answer = await this.#ask(request, policy, requestId);
    if (answer.status >= 200 && answer.status < 300) return admission(answer, policy);
    if (answer.status === 401 && policy.signin !== undefined) return signinReply(request, policy, answer);
    if (answer.status === 401 || answer.status === 403) {
      const refused = reply(answer.status, 'auth-url refused');
      copyFields(answer.fields, refused.fields, ['www-authenticate', 'set-cookie']);
      return refused;
    }
    return reply(500, `auth-url answered ${answer.status}`);
  }

  async #ask(request: RoutedRequest, policy: ExternalAuthPolicy, requestId: string): Promise<AuthAnswer> {
    const key =
      policy.cacheKey === undefined || policy.cacheDurations.size === 0
        ? undefined
        : `${request.route.ingress.namespace}/${request.route.ingress.name} ${expand(policy.cacheKey, request)}`;
    const nowMs = this.#clock.monotonicMs();
    const kept = key === undefined ? undefined : this.#cache.get(key);
    if (kept && kept.untilMs > nowMs) return kept.answer;
    const answer = await this.#requests.send({
      method: policy.method ?? 'GET',
      url: expand(policy.url, request),
      fields: this.#subrequestFields(request, policy, requestId),
      body: undefined,
      timeoutMs: request.route.policy.proxy.readMs,
    });
    const durationMs = key === undefined ? undefined : policy.cacheDurations.get(answer.status);
    if (key !== undefined && durationMs !== undefined) {
      if (this.#cache.size >= AUTH_CACHE_ENTRIES_MAX) this.#cache.clear();
      this.#cache.set(key, { answer, untilMs: nowMs + durationMs });
    }
    return answer;
  }

  #subrequestFields(request: RoutedRequest, policy: ExternalAuthPolicy, requestId: string): Fields {
    const fields = plainRequestFields(request);
    fields.remove('content-length');
    fields.remove('content-type');
    fields.remove('expect');
    const original = `${request.scheme}://${request.head.authority}${request.head.target}`;
    fields.set('X-Request-ID', requestId);
    fields.set('X-Original-URL', original);
    fields.set('X-Original-Method', request.head.method);
    // auth services know their caller by this name
    fields.set('X-Sent-From', 'nginx-ingress-controller');
    fields.set('X-Real-IP', request.clientAddress);
    fields.set('X-Forwarded-For', request.clientAddress);
    fields.set('X-Forwarded-Host', request.host);
    fields.set('X-Forwarded-Proto', request.scheme);
    const redirect =
      policy.requestRedirect === undefined ? request.head.target : expand(policy.requestRedirect, request);
    fields.set('X-Auth-Request-Redirect', redirect);
    if (policy.proxySetHeaders !== undefined)
      for (const [name, value] of this.#fields(policy.proxySetHeaders)) fields.set(name, value);
    return fields;
  }
}

function admission(answer: AuthAnswer, policy: ExternalAuthPolicy): Admission | undefined {
  const added = new Fields();
  for (const name of policy.responseHeaders) {
    const value = answer.fields.joined(name.toLowerCase());
    if (value !== undefined) added.add(name, value);
  }
  const cookies = new Fields();
  copyFields(answer.fields, cookies, ['set-cookie']);
  return { addFields: added, responseFields: cookies };
}

/** 302 to the login page, which is told where to come back to. */
function signinReply(request: RoutedRequest, policy: ExternalAuthPolicy, answer: AuthAnswer): Reply {
  const url = expand(policy.signin!, request);
  const parameter = policy.signinRedirectParam;
  const query = url.indexOf('?');
  const has = query >= 0 && new URLSearchParams(url.slice(query + 1)).has(parameter);
  const back = `${request.scheme}://${request.host}${encodeURIComponent(request.head.target)}`;
  const location = has ? url : `${url}${query < 0 ? '?' : '&'}${parameter}=${back}`;
  const signin = reply(302, 'auth-signin', ['Location', location]);
  copyFields(answer.fields, signin.fields, ['set-cookie']);
  return signin;
}

function copyFields(from: Fields, to: Fields, names: readonly string[]): void {
  for (let i = 0; i < from.length; i++)
    if (names.includes(from.names[i]!.lower)) to.push(from.names[i]!, from.values[i]!);
}
