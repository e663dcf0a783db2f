import { createHash, type KeyObject, createPublicKey } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, FlattenedSign, type JWK } from 'jose';
import { type Clock, sleep } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/fault.ts';
import type { AcmeAnswer, AcmeHttp } from './acme-http.ts';

/** RFC 8555 section 7.1.1. */
interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
}

/** RFC 8555 section 7.1.3. */
export interface Order {
  readonly url: string;
  readonly status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid';
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate?: string;
  readonly error?: { readonly detail?: string };
}

/** RFC 8555 sections 7.1.4 and 8. */
export interface Authorization {
  readonly identifier: { readonly type: string; readonly value: string };
  readonly status: 'pending' | 'valid' | 'invalid' | 'deactivated' | 'expired' | 'revoked';
  readonly challenges: readonly {
    readonly type: string;
    readonly url: string;
    readonly token: string;
    readonly error?: { readonly detail?: string };
  }[];
}

const NONCE_TRIES_MAX = 10;
const POLL_MS = 1_000;
const POLLS_MAX = 120;
const RETRY_AFTER_MS_MAX = 60_000;

/** An ACME client (RFC 8555) for one account key: ES256 signatures, nonces, polling. */
export class AcmeClient {
  readonly #http: AcmeHttp;
  readonly #clock: Clock;
  readonly #directoryUrl: string;
  readonly #key: KeyObject;
  #directory: Directory | undefined;
  #nonces: string[] = [];
  #accountUrl: string | undefined;

  constructor(deps: { http: AcmeHttp; clock: Clock }, options: { directoryUrl: string; key: KeyObject }) {
    this.#http = deps.http;
    this.#clock = deps.clock;
    this.#directoryUrl = options.directoryUrl;
    this.#key = options.key;
  }

  /** Opens the account of this key, making it when there is none; the terms are agreed to. Gives its URL. */
  async openAccount(contact: readonly string[]): Promise<string> {
    const { newAccount } = await this.#services();
    const answer = await this.#post(newAccount, { termsOfServiceAgreed: true, contact });
    this.#accountUrl = answer.header('location');
    if (!this.#accountUrl) throw new Fault('ACME_PROTOCOL', 'the server gave no account URL');
    return this.#accountUrl;
  }

  async newOrder(names: readonly string[]): Promise<Order> {
    const { newOrder } = await this.#services();
    const identifiers = names.map((value) => ({ type: 'dns', value }));
    const answer = await this.#post(newOrder, { identifiers });
    return { ...(JSON.parse(answer.body) as Order), url: answer.header('location') ?? '' };
  }

  async order(url: string): Promise<Order> {
    return { ...((await this.#get(url)) as Order), url };
  }

  async authorization(url: string): Promise<Authorization> {
    return (await this.#get(url)) as Authorization;
  }

  /** Tells the server that a challenge can be looked at. */
  async respond(challengeUrl: string): Promise<void> {
    await this.#post(challengeUrl, {});
  }

  async finalize(order: Order, csrDer: Buffer): Promise<void> {
    await this.#post(order.finalize, { csr: csrDer.toString('base64url') });
  }

  /** The certificate chain in PEM, leaf first. */
  async certificate(order: Order): Promise<string> {
    if (!order.certificate) throw new Fault('ACME_PROTOCOL', 'a valid order without a certificate');
    return (await this.#post(order.certificate, undefined)).body;
  }

  /** Asks again until the answer is settled; rejects after POLLS_MAX. */
  async settled<T>(ask: () => Promise<T>, isSettled: (value: T) => boolean, signal: AbortSignal): Promise<T> {
    for (let poll = 0; poll < POLLS_MAX; poll++) {
      const value = await ask();
      if (isSettled(value)) return value;
      await sleep(this.#clock, POLL_MS, signal);
    }
    throw new Fault('ACME_TIMEOUT', `the server did not settle within ${(POLLS_MAX * POLL_MS) / 1000} s`);
  }

  /** `token.thumbprint` (RFC 8555 section 8.1). */
  async keyAuthorization(token: string): Promise<string> {
    return `${token}.${await calculateJwkThumbprint(await this.#jwk(), 'sha256')}`;
  }

  async #get(url: string): Promise<unknown> {
    return JSON.parse((await this.#post(url, undefined)).body) as unknown;
  }

  async #services(): Promise<Directory> {
    if (this.#directory) return this.#directory;
    const answer = await this.#http.send('GET', this.#directoryUrl);
    if (answer.status !== 200)
      throw new Fault('ACME_REFUSED', `${this.#directoryUrl} answered ${answer.status}`);
    this.#directory = JSON.parse(answer.body) as Directory;
    return this.#directory;
  }

  /** A signed POST; an undefined payload is POST-as-GET. A bad nonce is replaced and the request repeated. */
  async #post(url: string, payload: object | undefined): Promise<AcmeAnswer> {
    for (let tries = 1; ; tries++) {
      const answer = await this.#http.send('POST', url, await this.#signed(url, payload));
      const fresh = answer.header('replay-nonce');
      if (fresh) this.#nonces.push(fresh);
      if (answer.status < 400) return answer;
      const problem = problemOf(answer);
      if (problem.type.endsWith(':badNonce') && tries < NONCE_TRIES_MAX) continue;
      if (answer.status === 429 && tries < 3) {
        const waitMs = Number(answer.header('retry-after') ?? '1') * 1000;
        await sleep(this.#clock, Math.min(RETRY_AFTER_MS_MAX, waitMs || POLL_MS));
        continue;
      }
      throw new Fault('ACME_REFUSED', `${problem.type}: ${problem.detail}`);
    }
  }

  async #signed(url: string, payload: object | undefined): Promise<string> {
    const { newNonce } = await this.#services();
    const nonce = this.#nonces.pop() ?? (await this.#http.send('HEAD', newNonce)).header('replay-nonce');
    if (!nonce) throw new Fault('ACME_PROTOCOL', 'the server gave no nonce');
    const bytes = Buffer.from(payload === undefined ? '' : JSON.stringify(payload));
    const who = this.#accountUrl === undefined ? { jwk: await this.#jwk() } : { kid: this.#accountUrl };
    const jws = await new FlattenedSign(bytes)
      .setProtectedHeader({ alg: 'ES256', nonce, url, ...who })
      .sign(this.#key);
    return JSON.stringify(jws);
  }

  async #jwk(): Promise<JWK> {
    const { kty, crv, x, y } = await exportJWK(createPublicKey(this.#key));
    return { kty, crv, x, y } as JWK;
  }
}

function problemOf(answer: AcmeAnswer): { type: string; detail: string } {
  try {
    const { type, detail } = JSON.parse(answer.body) as { type?: string; detail?: string };
    return { type: type ?? `status ${answer.status}`, detail: detail ?? '' };
  } catch {
    return { type: `status ${answer.status}`, detail: answer.body.slice(0, 200) };
  }
}

/** SHA-256 of a key authorization, for TLS-ALPN-01 (RFC 8737 section 3). */
export function challengeDigest(keyAuthorization: string): Buffer {
  return createHash('sha256').update(keyAuthorization).digest();
}
