import type { ApiRequest, UserInfo } from '../http/request.ts';
import { unauthorized } from '../status.ts';

/** Undefined = not a token of this kind; a StatusError = one of ours, but not good any more. */
export type TokenVerifier = (token: string) => Promise<UserInfo | undefined> | UserInfo | undefined;

export const AUTHENTICATED = 'system:authenticated';
export const ANONYMOUS: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'] };

const BROWSER_TOKEN_PROTOCOL = 'base64url.bearer.authorization.k8s.io.';

/** Who sent the request: in-process identity, client certificate, bearer token, else anonymous. Throws 401. */
export async function authenticate(
  request: ApiRequest,
  verifiers: readonly TokenVerifier[],
): Promise<UserInfo> {
  if (request.trusted) return withAuthenticated(request.trusted);
  if (request.peer.certificate) return withAuthenticated(request.peer.certificate);
  const token = bearerToken(request.headers);
  if (token === undefined) {
    if (request.peer.rejectedCertificate) throw unauthorized();
    return ANONYMOUS;
  }
  const user = await authenticateToken(token, verifiers);
  if (!user) throw unauthorized();
  return user;
}

/** The user a bearer token stands for; undefined when no verifier knows it. */
export async function authenticateToken(
  token: string,
  verifiers: readonly TokenVerifier[],
): Promise<UserInfo | undefined> {
  for (const verify of verifiers) {
    const user = await verify(token);
    if (user) return withAuthenticated(user);
  }
  return undefined;
}

function bearerToken(headers: Readonly<Record<string, string>>): string | undefined {
  const match = /^bearer\s+(\S+)\s*$/i.exec(headers['authorization'] ?? '');
  if (match) return match[1];
  if (headers['authorization'] !== undefined) throw unauthorized();
  for (const protocol of (headers['sec-websocket-protocol'] ?? '').split(',')) {
    const name = protocol.trim();
    if (name.startsWith(BROWSER_TOKEN_PROTOCOL)) {
      return Buffer.from(name.slice(BROWSER_TOKEN_PROTOCOL.length), 'base64url').toString('utf8');
    }
  }
  return undefined;
}

function withAuthenticated(user: UserInfo): UserInfo {
  return user.groups.includes(AUTHENTICATED) ? user : { ...user, groups: [...user.groups, AUTHENTICATED] };
}
