import { createHash } from 'node:crypto';
import type { Counter, Gauge } from '../../../src/base/metrics.ts';
import type { PluginDeps } from '../../plugin.ts';
import { sharedCounter, sharedGauge } from '../../plugin-metrics.ts';
import type { ResourceRecord } from '../../wire/message.ts';
import type { SigningKey } from './key.ts';
import { canonicalSet, signSet, type Validity } from './sign-set.ts';

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;
/** Clocks that are behind ours must take our signatures too. */
const INCEPTION_BEFORE_SECONDS = 3 * HOUR_SECONDS;
const VALID_SECONDS = 8 * DAY_SECONDS;
/** A kept signature is made anew when it has less than this to live. */
const RENEW_BEFORE_SECONDS = 2 * DAY_SECONDS;

export interface SignerOptions {
  readonly keys: readonly SigningKey[];
  /** Signatures kept; the one kept longest makes room. */
  readonly capacity: number;
}

/** Signs RRsets and keeps the signatures. */
export class Signer {
  readonly #deps: PluginDeps;
  readonly #options: SignerOptions;
  readonly #kept = new Map<
    string,
    { readonly signatures: readonly ResourceRecord[]; readonly expiration: number }
  >();
  readonly #hits: Counter<'server'>;
  readonly #misses: Counter<'server'>;
  readonly #entries: Gauge<'server' | 'type'>;

  constructor(deps: PluginDeps, options: SignerOptions) {
    this.#deps = deps;
    this.#options = options;
    const labelNames = ['server'] as const;
    this.#hits = sharedCounter(deps, {
      name: 'coredns_dnssec_cache_hits_total',
      help: 'The count of cache hits.',
      labelNames,
    });
    this.#misses = sharedCounter(deps, {
      name: 'coredns_dnssec_cache_misses_total',
      help: 'The count of cache misses.',
      labelNames,
    });
    this.#entries = sharedGauge(deps, {
      name: 'coredns_dnssec_cache_entries',
      help: 'The number of elements in the dnssec cache.',
      labelNames: ['server', 'type'],
    });
  }

  /** The signatures of a set by every key that signs its type. */
  sign(set: readonly ResourceRecord[], zone: string): readonly ResourceRecord[] {
    const keys = this.#keysFor(zone, set[0]!.type);
    if (keys.length === 0) return [];
    const server = this.#deps.listener;
    const now = Math.floor(this.#deps.clock.nowMs() / 1000);
    const id = fingerprint(set);
    const kept = this.#kept.get(id);
    if (kept && kept.expiration - RENEW_BEFORE_SECONDS > now) {
      this.#hits.inc({ server });
      return named(kept.signatures, set[0]!.name);
    }
    this.#misses.inc({ server });
    const validity: Validity = { inception: now - INCEPTION_BEFORE_SECONDS, expiration: now + VALID_SECONDS };
    const signatures = keys.map((key) => signSet(set, zone, key, validity));
    this.#keep(id, signatures, validity.expiration);
    this.#entries.set({ server, type: 'signature' }, this.#kept.size);
    return signatures;
  }

  /** With both kinds of key, DNSKEY is signed by the entry points and the rest by the others (RFC 6781 3.1). */
  #keysFor(zone: string, type: string): readonly SigningKey[] {
    const own = this.#options.keys.filter((key) => key.zone === zone);
    const wanted = own.filter((key) => key.isKsk === (type === 'DNSKEY'));
    return wanted.length > 0 ? wanted : own;
  }

  #keep(id: string, signatures: readonly ResourceRecord[], expiration: number): void {
    this.#kept.delete(id);
    this.#kept.set(id, { signatures, expiration });
    if (this.#kept.size <= this.#options.capacity) return;
    const oldest = this.#kept.keys().next().value;
    if (oldest !== undefined) this.#kept.delete(oldest);
  }
}

function fingerprint(set: readonly ResourceRecord[]): string {
  const hash = createHash('sha256');
  for (const octets of canonicalSet(set)) hash.update(octets);
  return hash.digest('base64');
}

/** Owner names in the case of the set they go with. */
function named(signatures: readonly ResourceRecord[], name: string): readonly ResourceRecord[] {
  return signatures.map((signature) => (signature.name === name ? signature : { ...signature, name }));
}
