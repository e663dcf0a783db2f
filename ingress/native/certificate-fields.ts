import { clientCertificateFields, isAcceptable } from '../access/client-certificate.ts';
import { regexMatches, type UserRegex } from '../compile/user-regex.ts';
import { NO_CERTIFICATE } from '../certificates/client-facts.ts';
import type { ClientCertificate, TlsFacts } from '../http/exchange.ts';
import type { ClientCertificatePolicy } from '../policy.ts';
import { CERTIFICATE_FIELDS_BYTES_MAX } from './limits.ts';

/** Made once a connection; without the certificate itself, and with it. */
interface Made {
  told?: Uint8Array;
  passed?: Uint8Array;
}

const made = new WeakMap<ClientCertificate, Made>();
const named = new WeakMap<ClientCertificate, { readonly pattern: UserRegex; readonly fits: boolean }>();

/**
 * The lines that tell a backend who the client is, where its certificate lets it in; undefined = for the portable engine,
 * which refuses with the right page, or knows a better reason: a certificate counts only where it was checked against the
 * authority of this host, by the rules of now: `checkedBy`.
 */
export function certificateFields(
  tls: TlsFacts | undefined,
  policy: ClientCertificatePolicy,
  checkedBy: string | undefined,
): Uint8Array | undefined {
  if (tls?.client?.pem && tls.checkedBy !== checkedBy) return undefined;
  if (!tls || tls.clientAuthority !== policy.secret) return undefined;
  if (policy.verify !== 'off' && !(isAcceptable(tls.client, policy) && hasName(tls.client, policy)))
    return undefined;
  const client = tls.client ?? NO_CERTIFICATE;
  let known = made.get(client);
  if (!known) made.set(client, (known = {}));
  const name = policy.passToUpstream ? 'passed' : 'told';
  const lines = (known[name] ??= linesOf(client, policy));
  return lines.length <= CERTIFICATE_FIELDS_BYTES_MAX ? lines : undefined;
}

/** auth-tls-match-cn, decided once for a certificate and a pattern. */
function hasName(client: ClientCertificate | undefined, { matchCn }: ClientCertificatePolicy): boolean {
  if (!matchCn) return true;
  if (!client) return regexMatches(matchCn, '');
  let decided = named.get(client);
  if (decided?.pattern !== matchCn)
    named.set(client, (decided = { pattern: matchCn, fits: regexMatches(matchCn, client.subject) }));
  return decided.fits;
}

function linesOf(client: ClientCertificate, policy: ClientCertificatePolicy): Uint8Array {
  const lines = clientCertificateFields(client, policy).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(lines.join(''), 'latin1');
}
