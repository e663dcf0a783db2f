import {
  type AccessAttributes,
  type Decision,
  mastersAuthorizer,
  unionAuthorizer,
} from './authorize/authorizer.ts';
import { impersonation } from './authorize/impersonation.ts';
import { nodeAuthorizer } from './authorize/node.ts';
import { Rbac } from './authorize/rbac.ts';
import { reviewHandlers } from './authorize/reviews.ts';
import type { ApiRequest, UserInfo } from './http/request.ts';
import type { PathHandler } from './handler.ts';
import { jsonReply } from './http/reply.ts';
import type { TokenVerifier } from './identity/authenticator.ts';
import { bootstrapTokens } from './identity/bootstrap-tokens.ts';
import type { Pki } from './identity/pki.ts';
import { TokenAuthority } from './identity/service-account-tokens.ts';
import type { Core } from './verbs/context.ts';
import type { VirtualTable } from './verbs/dispatch.ts';

/** Who is who and who may what. */
export interface Access {
  readonly rbac: Rbac;
  readonly tokens: TokenAuthority;
  readonly verifiers: readonly TokenVerifier[];
  readonly authorize: (attributes: AccessAttributes) => Promise<Decision>;
  /** The same, at once: for expressions. */
  readonly decide: (attributes: AccessAttributes) => Decision;
  readonly impersonate: (request: ApiRequest, user: UserInfo) => Promise<UserInfo>;
  readonly reviews: VirtualTable;
}

export function openAccess(core: Core, pki: Pki, issuer: string): Access {
  const { objects, registry, clock } = core;
  const rbac = new Rbac(objects.hub);
  const decide = unionAuthorizer([mastersAuthorizer, nodeAuthorizer(objects.hub), rbac.authorize]);
  const authorize = async (attributes: AccessAttributes): Promise<Decision> => decide(attributes);
  const tokens = new TokenAuthority({
    clock,
    objects,
    registry,
    key: pki.serviceAccountKey,
    issuer,
    audiences: [issuer],
  });
  const verifiers: TokenVerifier[] = [
    (token) => {
      const user = tokens.verify(token);
      if (!user) return undefined;
      const { audiences: _audiences, ...info } = user;
      return info;
    },
    bootstrapTokens({ objects, registry, clock }),
  ];
  const verifyFor = (token: string, audiences: readonly string[]) => tokens.verify(token, audiences);
  return {
    rbac,
    tokens,
    verifiers,
    authorize,
    decide,
    impersonate: impersonation(authorize),
    reviews: reviewHandlers({ rbac, authorize, verifiers, verifyFor }),
  };
}

/** /openid/v1/jwks and /.well-known/openid-configuration: others can check our tokens. */
export function issuerPaths(tokens: TokenAuthority): PathHandler {
  return (request) => {
    const path = request.path.replace(/\/$/, '');
    if (path === '/openid/v1/jwks') {
      return jsonReply(200, tokens.jwks(), {
        'content-type': 'application/jwk-set+json',
        'cache-control': 'public, max-age=3600',
      });
    }
    if (path === '/.well-known/openid-configuration') {
      return jsonReply(200, tokens.openIdConfiguration(), { 'cache-control': 'public, max-age=3600' });
    }
    return undefined;
  };
}
