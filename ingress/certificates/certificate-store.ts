import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import type { Secret } from '../../src/api/kinds/config.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { PemPair } from '../../src/net/self-signed.ts';
import { secretText } from './secrets.ts';

/** A certificate that can be served, made from one version of one Secret. */
export interface Certificate {
  /** `namespace/name`, or `default`. */
  readonly name: string;
  readonly pair: PemPair;
  /** DNS names of the certificate, lower case. */
  readonly dnsNames: readonly string[];
  readonly notAfterMs: number;
  readonly serial: string;
  readonly issuer: string;
  readonly x509: X509Certificate;
}

/** Parses the pair of a kubernetes.io/tls Secret; a string says why it cannot be served. */
export function parseCertificate(name: string, secret: Secret): Certificate | string {
  const cert = secretText(secret, 'tls.crt');
  const key = secretText(secret, 'tls.key');
  if (!cert || !key) return 'tls.crt or tls.key is missing';
  return certificateOf(name, { cert, key });
}

export function certificateOf(name: string, pair: PemPair): Certificate | string {
  try {
    tls.createSecureContext(pair);
    const x509 = new X509Certificate(pair.cert);
    return {
      name,
      pair,
      dnsNames: dnsNamesOf(x509),
      notAfterMs: Date.parse(x509.validTo),
      serial: x509.serialNumber,
      issuer: x509.issuer,
      x509,
    };
  } catch (error) {
    return messageOf(error);
  }
}

function dnsNamesOf(certificate: X509Certificate): string[] {
  const names = (certificate.subjectAltName ?? '')
    .split(/,\s*/)
    .filter((entry) => entry.startsWith('DNS:'))
    .map((entry) => entry.slice(4).toLowerCase());
  const common = /^CN=(.+)$/m.exec(certificate.subject)?.[1];
  return names.length > 0 || !common ? names : [common.toLowerCase()];
}

/** True when one of the names covers the host: equal, or a wildcard for exactly one label. */
export function coversHost(names: readonly string[], host: string): boolean {
  const wildcard = `*${host.slice(host.indexOf('.'))}`;
  return names.includes(host) || (host.includes('.') && names.includes(wildcard));
}

/** Certificates by Secret, parsed when first asked for and again when the Secret changed. Only referenced Secrets are ever read. */
export class CertificateStore {
  readonly #log: Logger;
  readonly #secret: (key: string) => Secret | undefined;
  readonly #parsed = new Map<string, { secret: Secret; result: Certificate | string }>();

  constructor(deps: { log: Logger; secret: (key: string) => Secret | undefined }) {
    this.#log = deps.log;
    this.#secret = deps.secret;
  }

  get(key: string): Certificate | undefined {
    const secret = this.#secret(key);
    if (!secret) {
      this.#parsed.delete(key);
      return undefined;
    }
    let known = this.#parsed.get(key);
    if (known?.secret !== secret) {
      known = { secret, result: parseCertificate(key, secret) };
      this.#parsed.set(key, known);
      if (typeof known.result === 'string')
        this.#log.warn('certificate unusable', { secret: key, reason: known.result });
    }
    return typeof known.result === 'string' ? undefined : known.result;
  }

  *all(): Generator<Certificate> {
    for (const { result } of this.#parsed.values()) if (typeof result !== 'string') yield result;
  }
}
