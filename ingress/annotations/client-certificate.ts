import type { ClientCertificatePolicy } from '../policy.ts';
import type { AnnotationReader } from './reader.ts';

/** Row 19: auth-tls-*. */
export function readClientCertificate(read: AnnotationReader): ClientCertificatePolicy | undefined {
  const secret = read.reference('auth-tls-secret');
  const verify = read.oneOf('auth-tls-verify-client', ['on', 'off', 'optional', 'optional_no_ca']) ?? 'on';
  read.integer('auth-tls-verify-depth', 0, 100);
  read.differs('auth-tls-verify-depth', "chains are verified to OpenSSL's own limit");
  const passToUpstream = read.bool('auth-tls-pass-certificate-to-upstream') ?? false;
  const match = read.text('auth-tls-match-cn');
  const matchCn = match === undefined ? undefined : read.regex('auth-tls-match-cn', { ignoreCase: false });
  const errorPage = read.location('auth-tls-error-page');
  if (secret === undefined) return undefined;
  return { secret, verify, passToUpstream, matchCn, errorPage };
}
