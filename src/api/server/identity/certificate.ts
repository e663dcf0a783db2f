import { Buffer } from 'node:buffer';
import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
  type X509Certificate,
} from 'node:crypto';
import { formatAddress, parseAddress } from '../../../net/ip.ts';
import * as der from './der.ts';

export interface Subject {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

export interface KeyAndCertificate {
  readonly keyPem: string;
  readonly certificatePem: string;
}

export interface CertificateRequest {
  readonly subject: Subject;
  readonly publicKey: KeyObject;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly usage: 'ca' | 'server' | 'client' | 'serverAndClient';
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface Issuer {
  readonly key: KeyObject;
  /** Undefined = self-signed. */
  readonly certificate: X509Certificate | undefined;
}

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  rsaWithSha256: '1.2.840.113549.1.1.11',
  extensionRequest: '1.2.840.113549.1.9.14',
} as const;

export function generateKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

export function keyToPem(key: KeyObject): string {
  return String(key.export({ type: 'pkcs8', format: 'pem' }));
}

/** Signs an X.509 v3 certificate (RFC 5280) with ECDSA or RSA and SHA-256; returns PEM. */
export function issueCertificate(request: CertificateRequest, issuer: Issuer): string {
  const subject = nameOf(request.subject);
  const algorithm = signatureAlgorithm(issuer.key);
  const tbs = der.sequence(
    der.encode(0xa0, der.integer(Buffer.from([2]))),
    der.integer(serialNumber()),
    algorithm,
    issuer.certificate ? subjectDer(issuer.certificate) : subject,
    der.sequence(der.time(request.notBeforeMs), der.time(request.notAfterMs)),
    subject,
    request.publicKey.export({ type: 'spki', format: 'der' }),
    der.encode(0xa3, der.sequence(...extensions(request, issuer))),
  );
  const signature = sign('sha256', tbs, issuer.key);
  return toPem('CERTIFICATE', der.sequence(tbs, algorithm, der.bits(signature)));
}

function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes;
}

function signatureAlgorithm(key: KeyObject): Buffer {
  return key.asymmetricKeyType === 'rsa'
    ? der.sequence(der.oid(OID.rsaWithSha256), der.encode(0x05))
    : der.sequence(der.oid(OID.ecdsaWithSha256));
}

function nameOf(subject: Subject): Buffer {
  const attribute = (type: string, value: string): Buffer =>
    der.set(der.sequence(der.oid(type), der.utf8(value)));
  return der.sequence(
    ...subject.organizations.map((organization) => attribute(OID.organization, organization)),
    attribute(OID.commonName, subject.commonName),
  );
}

function extensions(request: CertificateRequest, issuer: Issuer): Buffer[] {
  const isCa = request.usage === 'ca';
  const keyId = keyIdentifier(request.publicKey);
  const list = [
    extension(OID.keyUsage, true, isCa ? der.bits(Buffer.from([0x06]), 1) : der.bits(Buffer.from([0xa0]), 5)),
    extension(OID.basicConstraints, true, der.sequence(...(isCa ? [der.boolean(true)] : []))),
    extension(OID.subjectKeyId, false, der.octets(keyId)),
  ];
  if (issuer.certificate) {
    const authority = keyIdentifier(issuer.certificate.publicKey);
    list.push(extension(OID.authorityKeyId, false, der.sequence(der.encode(0x80, authority))));
  }
  if (!isCa) list.push(extension(OID.extendedKeyUsage, false, der.sequence(...usages(request.usage))));
  const names = alternativeNames(request);
  if (names.length > 0) list.push(extension(OID.subjectAltName, false, der.sequence(...names)));
  return list;
}

function usages(usage: CertificateRequest['usage']): Buffer[] {
  const server = der.oid(OID.serverAuth);
  const client = der.oid(OID.clientAuth);
  return usage === 'server' ? [server] : usage === 'client' ? [client] : [server, client];
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octets(value));
}

function keyIdentifier(key: KeyObject): Buffer {
  const spki = key.export({ type: 'spki', format: 'der' });
  return Buffer.from(spki.subarray(-20));
}

function alternativeNames(request: CertificateRequest): Buffer[] {
  return [
    ...request.dnsNames.map((name) => der.encode(0x82, Buffer.from(name, 'latin1'))),
    ...request.ipAddresses.map((address) => der.encode(0x87, parseAddress(address) ?? Buffer.alloc(0))),
  ];
}

function toPem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The subject's Name as it stands in the certificate, byte for byte. */
function subjectDer(certificate: X509Certificate): Buffer {
  const tbs = der.children(
    der.children(der.decode(certificate.raw)?.content ?? Buffer.alloc(0))?.[0]?.content ?? Buffer.alloc(0),
  );
  const offset = tbs?.[0]?.tag === 0xa0 ? 5 : 4;
  return tbs?.[offset]?.whole ?? der.sequence();
}

export interface SigningRequest {
  readonly subject: Subject;
  readonly publicKey: KeyObject;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Reads and verifies a PKCS#10 request (RFC 2986) in PEM; undefined when anything about it is wrong. */
export function parseSigningRequest(pem: string): SigningRequest | undefined {
  const match = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([\s\S]+?)-----END/.exec(pem);
  const whole = match?.[1] && der.decode(Buffer.from(match[1], 'base64'));
  const [info, algorithm, signature] = (whole && der.children(whole.content)) || [];
  if (!info || !algorithm || !signature) return undefined;
  const [, subject, spki, attributes] = der.children(info.content) ?? [];
  if (!subject || !spki) return undefined;
  try {
    const publicKey = createPublicKey({ key: spki.whole, format: 'der', type: 'spki' });
    const digest = publicKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
    if (!verify(digest, info.whole, publicKey, signature.content.subarray(1))) return undefined;
    return { subject: parseName(subject.content), publicKey, ...requestedNames(attributes) };
  } catch {
    return undefined;
  }
}

function parseName(content: Buffer): Subject {
  let commonName = '';
  const organizations: string[] = [];
  for (const relative of der.children(content) ?? []) {
    for (const attribute of der.children(relative.content) ?? []) {
      const [type, value] = der.children(attribute.content) ?? [];
      if (!type || !value) continue;
      const id = der.decodeOid(type.content);
      if (id === OID.commonName) commonName = value.content.toString('utf8');
      if (id === OID.organization) organizations.push(value.content.toString('utf8'));
    }
  }
  return { commonName, organizations };
}

function requestedNames(attributes: der.Node | undefined): { dnsNames: string[]; ipAddresses: string[] } {
  const dnsNames: string[] = [];
  const ipAddresses: string[] = [];
  for (const name of requestedAlternativeNames(attributes)) {
    if (name.tag === 0x82) dnsNames.push(name.content.toString('latin1'));
    if (name.tag === 0x87) ipAddresses.push(formatAddress(name.content));
  }
  return { dnsNames, ipAddresses };
}

function requestedAlternativeNames(attributes: der.Node | undefined): der.Node[] {
  for (const attribute of (attributes && der.children(attributes.content)) ?? []) {
    const [type, values] = der.children(attribute.content) ?? [];
    if (!type || !values || der.decodeOid(type.content) !== OID.extensionRequest) continue;
    const list = der.decode(values.content);
    for (const one of (list && der.children(list.content)) ?? []) {
      const parts = der.children(one.content) ?? [];
      const value = parts.at(-1);
      if (!parts[0] || !value || der.decodeOid(parts[0].content) !== OID.subjectAltName) continue;
      const inner = der.decode(value.content);
      return (inner && der.children(inner.content)) ?? [];
    }
  }
  return [];
}
