import type { X509Certificate } from 'node:crypto';
import type { ClientCertificate } from '../http/exchange.ts';

/** Of clients that show none, or are not asked. */
export const NO_CERTIFICATE: ClientCertificate = { verify: 'NONE', subject: '', issuer: '', pem: '' };

/** What is told of a client's certificate. `refusal`: why it is not trusted, in the words of node:tls; undefined = it is. */
export function clientFacts(
  certificate: X509Certificate | undefined,
  refusal: string | undefined,
): ClientCertificate {
  if (!certificate) return NO_CERTIFICATE;
  return {
    verify: refusal === undefined ? 'SUCCESS' : `FAILED:${refusal}`,
    subject: rfc2253(certificate.subject),
    issuer: rfc2253(certificate.issuer),
    pem: certificate.toString(),
  };
}

/** Node gives one attribute a line, outermost first; nginx writes RFC 2253, reversed with commas. */
function rfc2253(name: string): string {
  return name.split('\n').toReversed().join(',');
}
