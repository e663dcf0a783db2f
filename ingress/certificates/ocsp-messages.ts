import { createHash, type X509Certificate } from 'node:crypto';
import {
  der,
  ENUMERATED,
  INTEGER,
  NULL,
  OCTET_STRING,
  OID,
  readAll,
  readTime,
  readTlv,
  SEQUENCE,
  type Tlv,
} from './der.ts';

const SHA1_OID = Buffer.from('2b0e03021a', 'hex');
const SUCCESSFUL = 0;
const GOOD = 0x80;
const EXPLICIT_0 = 0xa0;

/** An OCSP request for one certificate (RFC 6960 section 4.1.1); undefined when the certificates cannot be read. */
export function ocspRequest(leaf: X509Certificate, issuer: X509Certificate): Buffer | undefined {
  const name = subjectDer(issuer);
  const key = readAll(
    readTlv(issuer.publicKey.export({ type: 'spki', format: 'der' }))?.body ?? Buffer.alloc(0),
  );
  const bits = key?.[1]?.body.subarray(1); // the first byte counts unused bits
  if (!name || !bits) return undefined;
  const sha1 = (bytes: Uint8Array): Buffer => createHash('sha1').update(bytes).digest();
  const serial = Buffer.from(
    leaf.serialNumber.padStart(leaf.serialNumber.length + (leaf.serialNumber.length % 2), '0'),
    'hex',
  );
  const positive = serial[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), serial]) : serial;
  const id = der(
    SEQUENCE,
    der(SEQUENCE, der(OID, SHA1_OID), der(NULL)),
    der(OCTET_STRING, sha1(name)),
    der(OCTET_STRING, sha1(bits)),
    der(INTEGER, positive),
  );
  return der(SEQUENCE, der(SEQUENCE, der(SEQUENCE, der(SEQUENCE, id))));
}

/** The subject of a certificate, whole value (RFC 5280 section 4.1). */
function subjectDer(certificate: X509Certificate): Buffer | undefined {
  const whole = readTlv(certificate.raw);
  const tbs = whole && readTlv(whole.body);
  const fields = tbs && readAll(tbs.body);
  if (!fields) return undefined;
  // version is optional; then serial, signature, issuer, validity, subject
  const subject = fields[fields[0]?.tag === EXPLICIT_0 ? 5 : 4];
  return subject && der(subject.tag, subject.body);
}

export interface OcspAnswer {
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number | undefined;
}

/**
 * Says until when an answer of a responder may be shown; a string says why it may not: it is none, or the certificate
 * is not good. The signature is the client's to check.
 */
export function readOcspAnswer(bytes: Buffer): OcspAnswer | string {
  const [status, content] = readAll(readTlv(bytes)?.body ?? Buffer.alloc(0)) ?? [];
  if (status?.tag !== ENUMERATED) return 'no OCSP answer';
  if (status.body[0] !== SUCCESSFUL) return `the responder answered status ${status.body[0]}`;
  const [, state, thisUpdate, next] = content ? firstResponse(content) : [];
  const thisUpdateMs = readTime(thisUpdate);
  if (!state || thisUpdateMs === undefined) return 'the answer cannot be read';
  if (state.tag !== GOOD) return 'the certificate is revoked or unknown';
  const nextUpdateMs = next?.tag === EXPLICIT_0 ? readTime(readTlv(next.body)) : undefined;
  return { thisUpdateMs, nextUpdateMs };
}

/** The values of the first SingleResponse: certID, certStatus, thisUpdate, nextUpdate. */
function firstResponse(content: Tlv): Tlv[] {
  const empty = Buffer.alloc(0);
  const bytes = readTlv(content.body)?.body ?? empty;
  const octets = readAll(bytes)?.[1]?.body ?? empty;
  const data = readTlv(readTlv(octets)?.body ?? empty)?.body ?? empty;
  const list = readAll(data)?.findLast(({ tag }) => tag === SEQUENCE)?.body ?? empty;
  return readAll(readTlv(list)?.body ?? empty) ?? [];
}
