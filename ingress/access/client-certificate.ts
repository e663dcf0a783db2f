import type { Secret } from '../../src/api/kinds/config.ts';
import { regexMatches } from '../compile/user-regex.ts';
import { secretText } from '../certificates/secrets.ts';
import type { ClientCertificate } from '../http/exchange.ts';
import type { Fields } from '../http/fields.ts';
import type { ClientCertificatePolicy } from '../policy.ts';
import type { RoutedRequest } from '../relay/context.ts';
import { redirect, type Reply, reply } from '../relay/reply.ts';
import { expand } from '../relay/variables.ts';

/** auth-tls-*: what a request without a good client certificate is answered; undefined = it may pass. */
export function clientCertificateReply(
  request: RoutedRequest,
  policy: ClientCertificatePolicy,
  secret: (key: string) => Secret | undefined,
): Reply | undefined {
  if (policy.verify === 'off') return undefined;
  const rules = rulesOf(secret(policy.secret), policy);
  if (rules === undefined) return reply(503, `auth-tls-secret ${policy.secret} is missing or has no ca.crt`);
  if (request.connection.tls === undefined) return reply(403, 'auth-tls: only over TLS');
  const client = presented(request, policy);
  if (!client && policy.verify === 'on' && request.connection.tls.client?.pem)
    return reply(421, 'client certificate was checked for another host');
  if (client?.pem && request.connection.tls.checkedBy !== rules)
    return reply(421, 'client certificate was checked by rules that hold no more');
  const verify = client?.verify ?? 'NONE';
  if (!isAcceptable(client, policy)) {
    if (policy.errorPage !== undefined)
      return redirect(302, expand(policy.errorPage, request), 'auth-tls-error-page');
    return reply(400, verify === 'NONE' ? 'no client certificate' : 'client certificate not trusted');
  }
  if (policy.matchCn && !regexMatches(policy.matchCn, client?.subject ?? ''))
    return reply(403, 'auth-tls-match-cn');
  return undefined;
}

/**
 * The rules a client's certificate is checked by in the handshake, as text. A connection outlives them: its requests are turned
 * away with 421 once they are others, and a new connection is checked anew.
 */
export function checkedBy(authorities: string | undefined, { depthMax }: ClientCertificatePolicy): string {
  return `${depthMax} ${authorities ?? ''}`;
}

/** Texts of checkedBy() by Secret and depth. An object of the cache never changes: another version is another object. */
const rulesBySecret = new WeakMap<Secret, Map<number, string>>();

/** By which rules a certificate must have been checked now; asked at each request. Undefined without authorities. */
function rulesOf(secret: Secret | undefined, policy: ClientCertificatePolicy): string | undefined {
  if (secret === undefined) return undefined;
  const byDepth = rulesBySecret.get(secret) ?? new Map<number, string>();
  rulesBySecret.set(secret, byDepth);
  const known = byDepth.get(policy.depthMax);
  if (known !== undefined) return known;
  const authorities = secretText(secret, 'ca.crt');
  if (!authorities) return undefined;
  const rules = checkedBy(authorities, policy);
  byDepth.set(policy.depthMax, rules);
  return rules;
}

/** What the client has shown, or not shown, is enough for auth-tls-verify-client. */
export function isAcceptable(
  client: ClientCertificate | undefined,
  { verify }: ClientCertificatePolicy,
): boolean {
  const result = client?.verify ?? 'NONE';
  if (result === 'SUCCESS') return true;
  return result === 'NONE' ? verify !== 'on' : verify === 'optional_no_ca';
}

/** A certificate counts only where it was checked against the CA of this host: the Host may differ from the server name. */
function presented(request: RoutedRequest, policy: ClientCertificatePolicy): ClientCertificate | undefined {
  const { tls } = request.connection;
  return tls?.clientAuthority === policy.secret ? tls.client : undefined;
}

/** Tells the backend about the certificate; a client's own ssl-client-* fields never pass. */
export function addClientCertificateFields(
  request: RoutedRequest,
  policy: ClientCertificatePolicy,
  fields: Fields,
): void {
  for (const name of [
    'ssl-client-verify',
    'ssl-client-subject-dn',
    'ssl-client-issuer-dn',
    'ssl-client-cert',
  ])
    fields.remove(name);
  for (const [name, value] of clientCertificateFields(presented(request, policy), policy))
    fields.set(name, value);
}

/** Names and values of what a backend is told. */
export function clientCertificateFields(
  client: ClientCertificate | undefined,
  policy: ClientCertificatePolicy,
): readonly (readonly [name: string, value: string])[] {
  if (!client || client.verify === 'NONE') return [['ssl-client-verify', 'NONE']];
  return [
    ['ssl-client-verify', client.verify],
    ['ssl-client-subject-dn', latin1(client.subject)],
    ['ssl-client-issuer-dn', latin1(client.issuer)],
    ...(policy.passToUpstream ? [['ssl-client-cert', encodeURIComponent(client.pem)] as const] : []),
  ];
}

function latin1(text: string): string {
  return text.replaceAll(/[^\u0020-\u007e]/g, '?');
}
