import type { Clock } from '../../src/base/clock.ts';
import type { CookieAnswers } from '../cluster/table/raw-question.ts';
import { sipHash24 } from './siphash.ts';

/** How old, and how far in the future, a server cookie's time may be (RFC 9018 4.3). */
const MAX_AGE_SECONDS = 3600;
const MAX_AHEAD_SECONDS = 300;
/** Older cookies are valid but replaced. */
const RENEW_AGE_SECONDS = 1800;
const VERSION = 1;
const CLIENT_BYTES = 8;
const HEAD_BYTES = 8;
const HASH_BYTES = 8;
const WHOLE_BYTES = CLIENT_BYTES + HEAD_BYTES + HASH_BYTES;
const ADDRESS_BYTES_MAX = 64;

/**
 * Server cookies of RFC 7873 in the interoperable form of RFC 9018: version 1, time, SipHash-2-4 over client cookie,
 * version, time and client address. Allocates nothing; one user, one thread.
 */
export class CookieMaker implements CookieAnswers {
  readonly #clock: Clock;
  readonly #secret: Uint8Array;
  readonly #input = new Uint8Array(CLIENT_BYTES + HEAD_BYTES + ADDRESS_BYTES_MAX);
  readonly #hash = new Uint8Array(HASH_BYTES);

  constructor(deps: { clock: Clock }, secret: Uint8Array) {
    this.#clock = deps.clock;
    this.#secret = secret;
  }

  /**
   * Writes the 24 bytes that answer the cookie in bytes[at, at + length) of a client: its own again while that is
   * good and young, else a new one. True when the client has shown that it receives what we send to its address.
   */
  answer(
    bytes: Uint8Array,
    at: number,
    length: number,
    client: Uint8Array,
    clientBytes: number,
    out: Uint8Array,
    outAt: number,
  ): boolean {
    const seconds = Math.floor(this.#clock.nowMs() / 1000) >>> 0;
    const age = this.#verifiedAge(bytes, at, length, client, clientBytes, seconds);
    if (age < RENEW_AGE_SECONDS) {
      for (let i = 0; i < WHOLE_BYTES; i++) out[outAt + i] = bytes[at + i]!;
      return true;
    }
    this.#make(bytes, at, seconds, client, clientBytes);
    for (let i = 0; i < CLIENT_BYTES + HEAD_BYTES; i++) out[outAt + i] = this.#input[i]!;
    out.set(this.#hash, outAt + CLIENT_BYTES + HEAD_BYTES);
    return age !== Infinity;
  }

  /** Infinity when the cookie is none of ours, or too old or from the future. */
  #verifiedAge(
    bytes: Uint8Array,
    at: number,
    length: number,
    client: Uint8Array,
    clientBytes: number,
    now: number,
  ): number {
    const head = at + CLIENT_BYTES;
    if (length !== WHOLE_BYTES || bytes[head] !== VERSION) return Infinity;
    const made =
      ((bytes[head + 4]! << 24) | (bytes[head + 5]! << 16) | (bytes[head + 6]! << 8) | bytes[head + 7]!) >>>
      0;
    const age = (now - made) | 0; // serial number arithmetic
    if (age > MAX_AGE_SECONDS || age < -MAX_AHEAD_SECONDS) return Infinity;
    this.#make(bytes, at, made, client, clientBytes);
    let different = 0; // no early end: time must not tell how much was right
    for (let i = 0; i < HEAD_BYTES; i++) different |= bytes[head + i]! ^ this.#input[CLIENT_BYTES + i]!;
    for (let i = 0; i < HASH_BYTES; i++) different |= bytes[head + HEAD_BYTES + i]! ^ this.#hash[i]!;
    return different === 0 ? age : Infinity;
  }

  /** The client's cookie and our head into the input, the hash of both and the address into the hash. */
  #make(bytes: Uint8Array, at: number, seconds: number, client: Uint8Array, clientBytes: number): void {
    const input = this.#input;
    for (let i = 0; i < CLIENT_BYTES; i++) input[i] = bytes[at + i]!;
    input[8] = VERSION;
    input[9] = input[10] = input[11] = 0;
    for (let i = 0; i < 4; i++) input[12 + i] = seconds >>> (24 - 8 * i);
    const size = Math.min(clientBytes, ADDRESS_BYTES_MAX);
    for (let i = 0; i < size; i++) input[CLIENT_BYTES + HEAD_BYTES + i] = client[i]!;
    sipHash24(this.#secret, input, CLIENT_BYTES + HEAD_BYTES + size, this.#hash, 0);
  }
}
