import 'reflect-metadata';
import { createPrivateKey, generateKeyPairSync, type KeyObject, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Clock } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/fault.ts';
import type { PemPair } from '../../src/net/self-signed.ts';
import { AcmeClient, type Authorization, type Order } from './acme-client.ts';
import type { AcmeHttp } from './acme-http.ts';
import type { Challenges } from './challenges.ts';

export type ChallengeType = 'http-01' | 'tls-alpn-01';

export interface IssuerOptions {
  readonly directoryUrl: string;
  readonly contact: readonly string[];
  /** Tried in this order, as the CA offers them. */
  readonly challenges: readonly ChallengeType[];
}

/** An order that may have to be taken up again by another process: kept in a Secret until it is done. */
export interface OpenOrder {
  readonly url: string;
  readonly names: readonly string[];
  /** PEM of the key the certificate will have. */
  readonly key: string;
}

export interface IssuerDeps {
  readonly http: AcmeHttp;
  readonly clock: Clock;
  readonly challenges: Challenges;
}

/** Gets certificates from an ACME CA: proves each name, sends the request, fetches the chain. */
export class Issuer {
  readonly #deps: IssuerDeps;
  readonly #options: IssuerOptions;
  readonly #client: AcmeClient;
  #account: Promise<string> | undefined;

  constructor(deps: IssuerDeps, options: IssuerOptions, accountKey: KeyObject) {
    this.#deps = deps;
    this.#options = options;
    this.#client = new AcmeClient(deps, { directoryUrl: options.directoryUrl, key: accountKey });
  }

  /** The account's URL; opens the account the first time. */
  async account(): Promise<string> {
    this.#account ??= this.#client.openAccount(this.#options.contact);
    try {
      return await this.#account;
    } catch (error) {
      this.#account = undefined;
      throw error;
    }
  }

  async begin(names: readonly string[]): Promise<OpenOrder> {
    await this.account();
    const { url } = await this.#client.newOrder(names);
    return { url, names, key: newKeyPem() };
  }

  /** Brings an order to its end. Rejects with ACME_REFUSED when the CA does not believe us. */
  async finish(open: OpenOrder, signal: AbortSignal): Promise<PemPair> {
    await this.account();
    let order = await this.#client.order(open.url);
    if (order.status === 'pending') await this.#prove(order, signal);
    order = await this.#orderWhen(open.url, ['ready', 'valid', 'invalid'], signal);
    if (order.status === 'ready') {
      await this.#client.finalize(order, await requestFor(open));
      order = await this.#orderWhen(open.url, ['valid', 'invalid'], signal);
    }
    if (order.status !== 'valid')
      throw new Fault('ACME_REFUSED', order.error?.detail ?? `the order became ${order.status}`);
    return { cert: await this.#client.certificate(order), key: open.key };
  }

  async #orderWhen(url: string, states: readonly Order['status'][], signal: AbortSignal): Promise<Order> {
    return await this.#client.settled(
      () => this.#client.order(url),
      ({ status }) => states.includes(status),
      signal,
    );
  }

  async #prove(order: Order, signal: AbortSignal): Promise<void> {
    for (const url of order.authorizations) {
      const authorization = await this.#client.authorization(url);
      if (authorization.status === 'pending') await this.#answer(url, authorization, signal);
    }
  }

  async #answer(url: string, authorization: Authorization, signal: AbortSignal): Promise<void> {
    const { identifier, challenges } = authorization;
    const chosen = this.#options.challenges
      .map((type) => challenges.find((each) => each.type === type))
      .find((each) => each !== undefined);
    if (!chosen)
      throw new Fault('ACME_REFUSED', `${identifier.value}: the CA offers no challenge we are told to use`);
    const keyAuthorization = await this.#client.keyAuthorization(chosen.token);
    const { challenges: shown, clock } = this.#deps;
    using _ =
      chosen.type === 'http-01'
        ? shown.addToken(chosen.token, keyAuthorization)
        : await shown.addName(identifier.value, keyAuthorization, clock.nowMs());
    await this.#client.respond(chosen.url);
    const ended = await this.#client.settled(
      () => this.#client.authorization(url),
      ({ status }) => status !== 'pending',
      signal,
    );
    if (ended.status === 'valid') return;
    const detail = ended.challenges.find((each) => each.error)?.error?.detail ?? ended.status;
    throw new Fault('ACME_REFUSED', `${identifier.value}: ${detail}`);
  }
}

/** A new ECDSA P-256 key in PEM. */
export function newKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** The certificate signing request of an order, DER. */
async function requestFor({ names, key }: OpenOrder): Promise<Buffer> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const secret = createPrivateKey(key);
  const der = secret.export({ type: 'pkcs8', format: 'der' });
  const jwk = secret.export({ format: 'jwk' });
  const { subtle } = webcrypto;
  const privateKey = await subtle.importKey('pkcs8', der, algorithm, true, ['sign']);
  const { d: _, ...open } = jwk;
  const publicKey = await subtle.importKey('jwk', open, algorithm, true, ['verify']);
  x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: { privateKey, publicKey },
    signingAlgorithm: algorithm,
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value }))),
    ],
  });
  return Buffer.from(request.rawData);
}
