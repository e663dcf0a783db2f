import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { type Certificate, certificateOf } from '../certificates/certificate-store.ts';
import { selfSignedCertificate } from '../../src/net/self-signed.ts';
import type { ServerTls } from '../certificates/server-names.ts';
import { Fields } from '../http/fields.ts';
import type { RequestHead } from '../http/message.ts';
import type { Reply } from '../relay/reply.ts';
import { challengeDigest } from './acme-client.ts';

/** The protocol of TLS-ALPN-01 (RFC 8737 section 6.2). */
export const ACME_PROTOCOL = 'acme-tls/1';
const PATH = '/.well-known/acme-challenge/';
/** id-pe-acmeIdentifier (RFC 8737 section 6.1). */
const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31';

/** What is answered to the CA while names are being proved. Empty most of the time. */
export class Challenges {
  readonly #tokens = new Map<string, string>();
  readonly #names = new Map<string, ServerTls>();

  /** HTTP-01: the token is answered with its key authorization until disposal. */
  addToken(token: string, keyAuthorization: string): Disposable {
    this.#tokens.set(token, keyAuthorization);
    return { [Symbol.dispose]: () => void this.#tokens.delete(token) };
  }

  /** TLS-ALPN-01: the name is answered with a certificate that holds the digest, until disposal. */
  async addName(name: string, keyAuthorization: string, nowMs: number): Promise<Disposable> {
    const digest = challengeDigest(keyAuthorization);
    const octets = Buffer.concat([Buffer.from([0x04, digest.length]), digest]);
    const proof = new x509.Extension(ACME_IDENTIFIER, true, octets);
    const pair = await selfSignedCertificate(name, [name], nowMs, [proof]);
    const certificate: Certificate | string = certificateOf(`acme ${name}`, pair);
    if (typeof certificate === 'string') throw new Error(certificate);
    this.#names.set(name, {
      certificate,
      options: { cert: pair.cert, key: pair.key, ALPNProtocols: [ACME_PROTOCOL], minVersion: 'TLSv1.2' },
      clientCertificate: undefined,
      clientCa: undefined,
    });
    return { [Symbol.dispose]: () => void this.#names.delete(name) };
  }

  /** The answer to a request for a token of ours. */
  reply({ method, target }: RequestHead): Reply | undefined {
    if (this.#tokens.size === 0 || !target.startsWith(PATH)) return undefined;
    const known = this.#tokens.get(target.slice(PATH.length));
    if (known === undefined || (method !== 'GET' && method !== 'HEAD')) return undefined;
    const fields = Fields.of(['Content-Type', 'application/octet-stream']);
    return { status: 200, fields, body: known, why: 'ACME http-01 challenge' };
  }

  serverTls(serverName: string | undefined, alpn: readonly string[]): ServerTls | undefined {
    return alpn.includes(ACME_PROTOCOL) ? this.#names.get(serverName ?? '') : undefined;
  }
}
