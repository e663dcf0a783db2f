import { createPublicKey, type KeyObject, randomUUID, sign, verify, createHash } from 'node:crypto';
import { VERIFIED_TOKENS_MAX } from '../limits.ts';
import type { Clock } from '../../../base/clock.ts';
import { isObject, valueAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindRegistry } from '../../kinds/registry.ts';
import type { UserInfo } from '../http/request.ts';
import type { ObjectStore } from '../verbs/object-store.ts';
import { serviceAccountUser } from './service-account-user.ts';

/** What a token is bound to: it dies with the object. */
export interface TokenBinding {
  readonly kind: 'Pod' | 'Secret' | 'Node';
  readonly name: string;
  readonly uid: string;
}

export interface TokenOptions {
  readonly audiences: readonly string[];
  /** Undefined = no end (token Secrets). */
  readonly expirationSeconds: number | undefined;
  readonly bound: TokenBinding | undefined;
  /** Name and uid of the node of a bound pod. */
  readonly node?: { readonly name: string; readonly uid: string } | undefined;
}

export interface TokenAuthorityDeps {
  readonly clock: Clock;
  readonly objects: ObjectStore;
  readonly registry: KindRegistry;
  readonly key: KeyObject;
  /** `iss` of the tokens. */
  readonly issuer: string;
  /** Audiences of the API itself; also what a request without audiences gets. */
  readonly audiences: readonly string[];
}

interface Claims {
  readonly iss?: unknown;
  readonly sub?: unknown;
  readonly aud?: unknown;
  readonly exp?: unknown;
  readonly nbf?: unknown;
  readonly jti?: unknown;
  readonly 'kubernetes.io'?: unknown;
}

const RESOURCES = { Pod: 'pods', Secret: 'secrets', Node: 'nodes' } as const;
const CLOCK_SKEW_SECONDS = 10;

/** Signs and checks ServiceAccount JWTs (RFC 7519, ES256 as in RFC 7518 3.4). */
export class TokenAuthority {
  readonly #deps: TokenAuthorityDeps;
  readonly #publicKey: KeyObject;
  readonly #keyId: string;
  /** Tokens whose signature was good, and what they say. Expiry and what they are bound to are checked each time. */
  readonly #verified = new Map<string, Claims>();

  constructor(deps: TokenAuthorityDeps) {
    this.#deps = deps;
    this.#publicKey = createPublicKey(deps.key);
    const der = this.#publicKey.export({ type: 'spki', format: 'der' });
    this.#keyId = createHash('sha256').update(der).digest('base64url');
  }

  get issuer(): string {
    return this.#deps.issuer;
  }

  get audiences(): readonly string[] {
    return this.#deps.audiences;
  }

  sign(account: UnknownObject, options: TokenOptions): string {
    const { namespace = '', name, uid } = account.metadata;
    const nowSeconds = Math.floor(this.#deps.clock.nowMs() / 1000);
    const { bound, node, expirationSeconds } = options;
    const claims = {
      aud: options.audiences,
      ...(expirationSeconds !== undefined && { exp: nowSeconds + expirationSeconds }),
      iat: nowSeconds,
      iss: this.#deps.issuer,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace,
        ...(node && { node }),
        ...(bound && { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } }),
        serviceaccount: { name, uid },
      },
      nbf: nowSeconds,
      sub: `system:serviceaccount:${namespace}:${name}`,
    };
    const body = `${encode({ alg: 'ES256', kid: this.#keyId })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(body), { key: this.#deps.key, dsaEncoding: 'ieee-p1363' });
    return `${body}.${signature.toString('base64url')}`;
  }

  /** The account behind a token; undefined when it is not ours, expired, for others, or its account is gone. */
  verify(
    token: string,
    audiences: readonly string[] = this.#deps.audiences,
  ): (UserInfo & { audiences: string[] }) | undefined {
    const claims = this.#checkedClaims(token);
    if (!claims) return undefined;
    const given = Array.isArray(claims.aud) ? (claims.aud as unknown[]) : [claims.aud];
    const common = audiences.filter((audience) => given.includes(audience));
    if (common.length === 0) return undefined;
    const user = this.#userOf(claims);
    return user && { ...user, audiences: common };
  }

  /** RFC 7517 key set. */
  jwks(): unknown {
    const jwk = this.#publicKey.export({ format: 'jwk' });
    return {
      keys: [{ use: 'sig', kty: jwk.kty, kid: this.#keyId, alg: 'ES256', crv: jwk.crv, x: jwk.x, y: jwk.y }],
    };
  }

  openIdConfiguration(): unknown {
    return {
      issuer: this.#deps.issuer,
      jwks_uri: `${this.#deps.issuer}/openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    };
  }

  #checkedClaims(token: string): Claims | undefined {
    const claims = this.#verified.get(token) ?? this.#signedClaims(token);
    if (!claims) return undefined;
    const nowSeconds = this.#deps.clock.nowMs() / 1000;
    if (typeof claims.exp === 'number' && claims.exp < nowSeconds) return undefined;
    if (typeof claims.nbf === 'number' && claims.nbf > nowSeconds + CLOCK_SKEW_SECONDS) return undefined;
    return claims;
  }

  /** The signature is the costly part and can never change: a good one is remembered, the oldest forgotten. */
  #signedClaims(token: string): Claims | undefined {
    const [head, body, signature, ...more] = token.split('.');
    if (!head || !body || !signature || more.length > 0) return undefined;
    const header = decode(head);
    if (header?.['alg'] !== 'ES256' || header['kid'] !== this.#keyId) return undefined;
    const bytes = Buffer.from(signature, 'base64url');
    const key = { key: this.#publicKey, dsaEncoding: 'ieee-p1363' as const };
    if (!verify('sha256', Buffer.from(`${head}.${body}`), key, bytes)) return undefined;
    const claims = decode(body) as Claims | undefined;
    if (!claims || claims.iss !== this.#deps.issuer) return undefined;
    if (this.#verified.size >= VERIFIED_TOKENS_MAX) {
      const oldest = this.#verified.keys().next().value;
      if (oldest !== undefined) this.#verified.delete(oldest);
    }
    this.#verified.set(token, claims);
    return claims;
  }

  #userOf(claims: Claims): UserInfo | undefined {
    const own = claims['kubernetes.io'];
    const namespace = valueAt(own, 'namespace');
    const name = valueAt(own, 'serviceaccount.name');
    const uid = valueAt(own, 'serviceaccount.uid');
    if (typeof namespace !== 'string' || typeof name !== 'string' || typeof uid !== 'string')
      return undefined;
    const account = this.#object('serviceaccounts', namespace, name);
    if (!account || account.metadata.uid !== uid || account.metadata.deletionTimestamp) return undefined;
    if (!this.#boundObjectLives(own, namespace)) return undefined;
    const pod = valueAt(own, 'pod');
    const node = valueAt(own, 'node');
    return {
      ...serviceAccountUser(namespace, name),
      uid,
      extra: {
        ...(typeof claims.jti === 'string' && {
          'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`],
        }),
        ...extraOf('pod', pod),
        ...extraOf('node', node),
      },
    };
  }

  #boundObjectLives(own: unknown, namespace: string): boolean {
    for (const [kind, resource] of Object.entries(RESOURCES)) {
      if (kind === 'Node') continue;
      const bound = valueAt(own, kind.toLowerCase());
      if (!isObject(bound)) continue;
      const object = this.#object(resource, namespace, String(bound['name']));
      if (!object || object.metadata.uid !== bound['uid']) return false;
    }
    return true;
  }

  #object(resource: string, namespace: string, name: string): UnknownObject | undefined {
    const kind = this.#deps.registry.find('', 'v1', resource);
    return kind && this.#deps.objects.get(kind, namespace, name)?.object;
  }
}

function extraOf(kind: 'pod' | 'node', value: unknown): Record<string, string[]> {
  if (!isObject(value)) return {};
  return {
    [`authentication.kubernetes.io/${kind}-name`]: [String(value['name'])],
    [`authentication.kubernetes.io/${kind}-uid`]: [String(value['uid'])],
  };
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
