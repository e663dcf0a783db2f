import type { Secret } from '../../src/api/kinds/config.ts';
import type { Fields } from '../http/fields.ts';
import type { BasicAuthPolicy } from '../policy.ts';
import { sourceAllowed } from '../relay/decide.ts';
import type { RoutedRequest } from '../relay/context.ts';
import type { RequestRecord } from '../relay/record.ts';
import { type Reply, reply } from '../relay/reply.ts';
import { blockedReply } from './block-list.ts';
import { type Credentials, PasswordVerifier, readBasic, readCredentials } from './basic-auth.ts';
import { clientCertificateReply } from './client-certificate.ts';
import type { ExternalAuth } from './external-auth.ts';
import type { RateLimits } from './rate-limit.ts';

/** What an access check adds: to the upstream request, and to the answer. */
export interface Admission {
  readonly addFields: Fields;
  readonly responseFields: Fields;
}

export type Admitted = Reply | Admission | undefined;

export interface GatekeeperDeps {
  secret(key: string): Secret | undefined;
  readonly limits: Pick<RateLimits, 'check' | 'release'>;
  readonly external: Pick<ExternalAuth, 'check'>;
}

/** Limits and access control of a request, in nginx's order: client certificate, limits, source ranges, logins, external auth. */
export class Gatekeeper {
  readonly #deps: GatekeeperDeps;
  readonly #passwords = new PasswordVerifier();
  readonly #credentials = new WeakMap<Secret, Map<string, Credentials | undefined>>();

  constructor(deps: GatekeeperDeps) {
    this.#deps = deps;
  }

  admit(request: RoutedRequest, record: RequestRecord): Admitted | Promise<Admitted> {
    const { policy } = request.route;
    const blocked = blockedReply(request);
    if (blocked) return blocked;
    if (policy.clientCertificate) {
      const refused = clientCertificateReply(request, policy.clientCertificate, (key) =>
        this.#deps.secret(key),
      );
      if (refused) return refused;
    }
    if (policy.limits) {
      const refused = this.#deps.limits.check(request, policy.limits);
      if (refused) return refused;
    }
    const { basic, external, satisfyAny } = policy.access;
    const source = sourceAllowed(request);
    if (source === false && !satisfyAny) return reply(403, 'source range');
    const login = this.#loginNeeded(request);
    if (!login || (!basic && !external)) return source === false ? reply(403, 'source range') : undefined;
    if (satisfyAny && source === true) return undefined;
    return this.#login(request, record, source === false);
  }

  release(request: RoutedRequest): void {
    this.#deps.limits.release(request);
  }

  /** ACME challenges and the like are never asked for a login. */
  #loginNeeded(request: RoutedRequest): boolean {
    if (request.route.acmeChallenge) return false;
    return !request.settings.noAuthPaths.some(
      (path) => request.route.path !== '/' && request.route.path.startsWith(path),
    );
  }

  #login(
    request: RoutedRequest,
    record: RequestRecord,
    sourceRefused: boolean,
  ): Admitted | Promise<Admitted> {
    const { basic, external, satisfyAny } = request.route.policy.access;
    if (!external) return this.#basic(request, basic!, record);
    if (!basic) return this.#deps.external.check(request, external, record.requestId);
    return (async () => {
      const byPassword = await this.#basic(request, basic, record);
      if (byPassword && !satisfyAny) return byPassword;
      if (!byPassword && satisfyAny && !sourceRefused) return undefined;
      if (!byPassword && satisfyAny) return undefined;
      const byService = await this.#deps.external.check(request, external, record.requestId);
      return byService && 'status' in byService && byPassword ? byPassword : byService;
    })();
  }

  #basic(
    request: RoutedRequest,
    policy: BasicAuthPolicy,
    record: RequestRecord,
  ): Admitted | Promise<Admitted> {
    const secret = this.#deps.secret(policy.secret);
    const credentials = secret && this.#credentialsOf(secret, policy.secretType);
    if (!credentials) return reply(503, `auth-secret ${policy.secret} is missing or unusable`);
    const given = readBasic(request.head.fields.get('authorization'));
    if (!given) return unauthorized(policy);
    const verdict = this.#passwords.verify(credentials, given.user, given.password);
    const answer = (right: boolean): Admitted => {
      if (!right) return unauthorized(policy);
      record.user = given.user;
      return undefined;
    };
    return typeof verdict === 'boolean' ? answer(verdict) : verdict.then(answer);
  }

  #credentialsOf(secret: Secret, type: BasicAuthPolicy['secretType']): Credentials | undefined {
    let byType = this.#credentials.get(secret);
    if (!byType) this.#credentials.set(secret, (byType = new Map<string, Credentials | undefined>()));
    if (!byType.has(type)) byType.set(type, readCredentials(secret, type));
    return byType.get(type);
  }
}

function unauthorized(policy: BasicAuthPolicy): Reply {
  return reply(401, 'basic auth', ['WWW-Authenticate', `Basic realm="${policy.realm}"`]);
}
