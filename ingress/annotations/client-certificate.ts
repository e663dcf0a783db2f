import type { ClientCertificatePolicy } from '../policy.ts';
import type { AnnotationReader } from './reader.ts';

/** ingress-nginx's default of auth-tls-verify-depth. */
const DEPTH_MAX = 1;
const PORTABLE_DEPTH =
  "the portable engine keeps to 0; beyond that it verifies chains to OpenSSL's own limit, as node:tls does not show them";

/** Row 19: auth-tls-*. */
export function readClientCertificate(read: AnnotationReader): ClientCertificatePolicy | undefined {
  const secret = read.reference('auth-tls-secret');
  const verify = read.oneOf('auth-tls-verify-client', ['on', 'off', 'optional', 'optional_no_ca']) ?? 'on';
  read.differs('auth-tls-verify-depth', PORTABLE_DEPTH);
  const depthMax = read.integer('auth-tls-verify-depth', 0, 100) ?? DEPTH_MAX;
  const passToUpstream = read.bool('auth-tls-pass-certificate-to-upstream') ?? false;
  const match = read.text('auth-tls-match-cn');
  const matchCn = match === undefined ? undefined : read.regex('auth-tls-match-cn', { ignoreCase: false });
  const errorPage = read.location('auth-tls-error-page');
  if (secret === undefined) return undefined;
  return { secret, verify, depthMax, passToUpstream, matchCn, errorPage };
}
