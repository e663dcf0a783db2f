import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import type { Secret } from '../../src/api/kinds/config.ts';
import { type Clock, sleep } from '../../src/base/clock.ts';
import { hasCode, messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { Counter, type Registry } from '../../src/base/metrics.ts';
import { secretText } from '../certificates/secrets.ts';
import type { AcmeHttp } from './acme-http.ts';
import type { Challenges } from './challenges.ts';
import { Issuer, type IssuerOptions, newKeyPem, type OpenOrder } from './issuer.ts';

/** Where the account, open orders and certificates live. */
export interface SecretStore {
  get(namespace: string, name: string): Promise<Secret | undefined>;
  /** Creates or replaces. */
  put(secret: Secret): Promise<void>;
  remove(namespace: string, name: string): Promise<void>;
}

/** A certificate some Ingress asks for. */
export interface WantedCertificate {
  readonly namespace: string;
  readonly name: string;
  /** DNS names without wildcards. */
  readonly names: readonly string[];
}

export interface RenewalDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly http: AcmeHttp;
  readonly challenges: Challenges;
  readonly store: SecretStore;
}

export interface RenewalOptions extends IssuerOptions {
  /** Namespace of the account and of open orders. */
  readonly namespace: string;
}

const ACCOUNT_SECRET = 'weft-acme-account';
/** A certificate is renewed when a third of its life is left. */
const LIFE_SHARE_USED = 2 / 3;
const RETRY_MS_MIN = 60_000;
const RETRY_MS_MAX = 6 * 3_600_000;
const CHECK_MS_MAX = 3_600_000;

/**
 * Keeps the wanted certificates issued and fresh, one at a time. Account, orders and certificates are Secrets: a
 * process that takes over goes on with the order that was begun. A CA that refuses is asked again later and later.
 */
export class Renewals {
  readonly #deps: RenewalDeps;
  readonly #options: RenewalOptions;
  readonly #orders: Counter<'result'>;
  readonly #failures = new Map<string, { count: number; retryMs: number }>();
  #wanted: readonly WantedCertificate[] = [];
  #wake = Promise.withResolvers<void>();
  #issuer: Issuer | undefined;

  constructor(deps: RenewalDeps, options: RenewalOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#orders = new Counter({
      name: 'weft_ingress_acme_orders_total',
      help: 'ACME orders by their end: issued, failed',
      labelNames: ['result'],
      registers: [deps.metrics],
    });
  }

  /** The certificates asked for from now on. */
  want(wanted: readonly WantedCertificate[]): void {
    if (JSON.stringify(wanted) === JSON.stringify(this.#wanted)) return;
    this.#wanted = wanted;
    this.#wake.resolve();
  }

  /** Works until the signal aborts: by one process at a time. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      let nextMs = CHECK_MS_MAX;
      for (const wanted of this.#wanted) {
        if (signal.aborted) return;
        nextMs = Math.min(nextMs, await this.#look(wanted, signal));
      }
      const rest = new AbortController();
      const stopped = AbortSignal.any([signal, rest.signal]);
      await Promise.race([sleep(this.#deps.clock, nextMs, stopped).catch(() => {}), this.#wake.promise]);
      rest.abort();
    }
  }

  /** Issues what is due; in how many milliseconds to look again. */
  async #look(wanted: WantedCertificate, signal: AbortSignal): Promise<number> {
    const key = `${wanted.namespace}/${wanted.name}`;
    const failed = this.#failures.get(key);
    const waitMs = (failed?.retryMs ?? 0) - this.#deps.clock.monotonicMs();
    if (failed && waitMs > 0) return waitMs;
    try {
      const present = await this.#deps.store.get(wanted.namespace, wanted.name);
      const dueInMs = dueIn(present, wanted.names, this.#deps.clock.nowMs());
      if (dueInMs > 0) return dueInMs;
      await this.#issue(wanted, present, signal);
      this.#failures.delete(key);
      this.#orders.inc({ result: 'issued' });
      return 0;
    } catch (error) {
      if (signal.aborted) return 0;
      const count = (failed?.count ?? 0) + 1;
      const retryInMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (count - 1));
      this.#failures.set(key, { count, retryMs: this.#deps.clock.monotonicMs() + retryInMs });
      this.#orders.inc({ result: 'failed' });
      this.#deps.log.error('certificate not issued', {
        secret: key,
        names: wanted.names,
        reason: messageOf(error),
      });
      return retryInMs;
    }
  }

  async #issue(wanted: WantedCertificate, present: Secret | undefined, signal: AbortSignal): Promise<void> {
    const { store, log } = this.#deps;
    const { namespace } = this.#options;
    const issuer = await this.#openIssuer();
    const orderName = orderSecretName(wanted);
    let open = readOrder(await store.get(namespace, orderName), wanted.names);
    if (!open) {
      open = await issuer.begin(wanted.names);
      await store.put(orderSecret(namespace, orderName, open));
    }
    try {
      const pair = await issuer.finish(open, signal);
      await store.put({
        ...present,
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata: { ...present?.metadata, namespace: wanted.namespace, name: wanted.name },
        data: { 'tls.crt': base64(pair.cert), 'tls.key': base64(pair.key) },
      });
      log.info('certificate issued', { secret: `${wanted.namespace}/${wanted.name}`, names: wanted.names });
    } catch (error) {
      // refused or unknown to the CA: a new try needs a new order
      if (hasCode(error, 'ACME_REFUSED')) await store.remove(namespace, orderName);
      throw error;
    }
    await store.remove(namespace, orderName);
  }

  async #openIssuer(): Promise<Issuer> {
    if (this.#issuer) return this.#issuer;
    const { store } = this.#deps;
    const { namespace, directoryUrl, contact } = this.#options;
    const kept = await store.get(namespace, ACCOUNT_SECRET);
    // an account belongs to one CA
    const usable =
      kept && secretText(kept, 'directory') === directoryUrl ? secretText(kept, 'key.pem') : undefined;
    const key = usable ?? newKeyPem();
    const issuer = new Issuer(this.#deps, this.#options, createPrivateKey(key));
    const url = await issuer.account();
    if (usable === undefined) {
      await store.put({
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'Opaque',
        metadata: { ...kept?.metadata, namespace, name: ACCOUNT_SECRET },
        data: {
          'key.pem': base64(key),
          directory: base64(directoryUrl),
          account: base64(url),
          contact: base64(contact.join(',')),
        },
      });
    }
    this.#issuer = issuer;
    return issuer;
  }
}

/** Milliseconds until a new certificate is due; 0 = now. */
function dueIn(secret: Secret | undefined, names: readonly string[], nowMs: number): number {
  const pem = secretText(secret, 'tls.crt');
  if (!pem || !secretText(secret, 'tls.key')) return 0;
  try {
    const certificate = new X509Certificate(pem);
    if (!names.every((name) => certificate.checkHost(name) !== undefined)) return 0;
    const fromMs = Date.parse(certificate.validFrom);
    const lifeMs = Date.parse(certificate.validTo) - fromMs;
    return Math.max(0, fromMs + lifeMs * LIFE_SHARE_USED - nowMs);
  } catch {
    return 0; // no certificate: it is replaced
  }
}

function orderSecretName({ namespace, name }: WantedCertificate): string {
  const digest = createHash('sha256').update(`${namespace}/${name}`).digest('hex');
  return `weft-acme-order-${digest.slice(0, 16)}`;
}

function orderSecret(namespace: string, name: string, { url, names, key }: OpenOrder): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: { namespace, name },
    data: { url: base64(url), names: base64(names.join(',')), 'tls.key': base64(key) },
  };
}

/** An order that was begun for the same names. */
function readOrder(secret: Secret | undefined, names: readonly string[]): OpenOrder | undefined {
  const url = secretText(secret, 'url');
  const key = secretText(secret, 'tls.key');
  if (!url || !key || secretText(secret, 'names') !== names.join(',')) return undefined;
  return { url, names, key };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
