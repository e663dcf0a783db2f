import { X509Certificate } from 'node:crypto';
import { request } from 'undici';
import type { Clock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Certificate } from './certificate-store.ts';
import { ocspRequest, readOcspAnswer } from './ocsp-messages.ts';

const ANSWER_BYTES_MAX = 64 * 1024;
const TIMEOUT_MS = 10_000;
/** An answer is asked for anew after half of its life, after an hour when it names no end. */
const REFRESH_MS_DEFAULT = 3_600_000;
const REFRESH_MS_MIN = 60_000;
const RETRY_MS = 300_000;

/** An OCSP response, and the wall clock's time when it ends. */
export interface OcspAnswer {
  readonly bytes: Uint8Array;
  readonly untilMs: number;
}

interface Staple {
  answer: OcspAnswer | undefined;
  askAgainMs: number;
  asking: boolean;
}

/**
 * OCSP answers for the certificates that are served (RFC 6066 section 8): asked for in the background when a
 * certificate is first shown, kept until they end. A responder that does not answer costs the staple, never the
 * handshake.
 */
export class OcspStapler {
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #staples = new WeakMap<Certificate, Staple>();

  constructor(deps: { clock: Clock; log: Logger }) {
    this.#deps = deps;
  }

  /** What may be shown now. */
  staple(certificate: Certificate): OcspAnswer | undefined {
    const nowMs = this.#deps.clock.nowMs();
    let staple = this.#staples.get(certificate);
    if (!staple) {
      staple = { answer: undefined, askAgainMs: 0, asking: false };
      this.#staples.set(certificate, staple);
    }
    if (!staple.asking && nowMs >= staple.askAgainMs) void this.#ask(certificate, staple);
    return staple.answer && nowMs < staple.answer.untilMs ? staple.answer : undefined;
  }

  async #ask(certificate: Certificate, staple: Staple): Promise<void> {
    staple.asking = true;
    const { clock, log } = this.#deps;
    try {
      const bytes = await fetchAnswer(certificate);
      if (bytes === undefined) {
        staple.askAgainMs = Number.POSITIVE_INFINITY; // it names no responder
        return;
      }
      const read = readOcspAnswer(bytes);
      if (typeof read === 'string') throw new Error(read);
      const nowMs = clock.nowMs();
      const lifeMs = (read.nextUpdateMs ?? nowMs + 2 * REFRESH_MS_DEFAULT) - nowMs;
      staple.answer = { bytes, untilMs: nowMs + lifeMs };
      staple.askAgainMs = nowMs + Math.max(REFRESH_MS_MIN, lifeMs / 2);
    } catch (error) {
      staple.askAgainMs = clock.nowMs() + RETRY_MS;
      log.warn('no OCSP answer', { certificate: certificate.name, reason: messageOf(error) });
    } finally {
      staple.asking = false;
    }
  }
}

/** Undefined when the certificate names no responder, or comes without its issuer. */
async function fetchAnswer({ x509, pair }: Certificate): Promise<Buffer | undefined> {
  const url = /^OCSP - URI:(http:\/\/\S+)$/m.exec(x509.infoAccess ?? '')?.[1];
  const chain = pair.cert.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (url === undefined || chain.length < 2) return undefined;
  const body = ocspRequest(x509, new X509Certificate(chain[1]!));
  if (!body) return undefined;
  const answer = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request' },
    body,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });
  const bytes = Buffer.from(await answer.body.arrayBuffer());
  if (answer.statusCode !== 200) throw new Error(`the responder answered ${answer.statusCode}`);
  if (bytes.length > ANSWER_BYTES_MAX) throw new Error('the answer is too long');
  return bytes;
}
