import type { Secret } from '../../src/api/kinds/config.ts';
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
  if (!secretText(secret(policy.secret), 'ca.crt'))
    return reply(503, `auth-tls-secret ${policy.secret} is missing or has no ca.crt`);
  if (request.connection.tls === undefined) return reply(403, 'auth-tls: only over TLS');
  const client = presented(request, policy);
  if (!client && policy.verify === 'on' && request.connection.tls.client?.pem)
    return reply(421, 'client certificate was checked for another host');
  const verify = client?.verify ?? 'NONE';
  const acceptable =
    verify === 'SUCCESS' || (verify === 'NONE' ? policy.verify !== 'on' : policy.verify === 'optional_no_ca');
  if (!acceptable) {
    if (policy.errorPage !== undefined)
      return redirect(302, expand(policy.errorPage, request), 'auth-tls-error-page');
    return reply(400, verify === 'NONE' ? 'no client certificate' : 'client certificate not trusted');
  }
  if (policy.matchCn && !policy.matchCn.test(client?.subject ?? '')) return reply(403, 'auth-tls-match-cn');
  return undefined;
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
  const client = presented(request, policy);
  fields.set('ssl-client-verify', client?.verify ?? 'NONE');
  if (!client || client.verify === 'NONE') return;
  fields.set('ssl-client-subject-dn', latin1(client.subject));
  fields.set('ssl-client-issuer-dn', latin1(client.issuer));
  if (policy.passToUpstream) fields.set('ssl-client-cert', encodeURIComponent(client.pem));
}

function latin1(text: string): string {
  return text.replaceAll(/[^\u0020-\u007e]/g, '?');
}
