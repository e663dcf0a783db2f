import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../src/base/clock.ts';
import { parseAddress } from '../../src/net/ip.ts';
import type { EdnsOption, Message } from '../wire/message.ts';
import { EDNS_OPTION } from '../wire/numbers.ts';
import { sipHash24 } from './siphash.ts';

/** How old, and how far in the future, a server cookie's time may be (RFC 9018 4.3). */
const MAX_AGE_SECONDS = 3600;
const MAX_AHEAD_SECONDS = 300;
/** Older cookies are valid but replaced. */
const RENEW_AGE_SECONDS = 1800;
const CLIENT_BYTES = 8;
const SERVER_BYTES = 16;

/**
 * Server cookies of RFC 7873 in the interoperable form of RFC 9018: version 1, time, SipHash-2-4 over client cookie,
 * version, time and client address. With the same secret several servers accept each other's.
 */
export class ServerCookies {
  readonly #clock: Clock;
  readonly #secret: Uint8Array;

  constructor(deps: { clock: Clock }, options: { readonly secret?: string } = {}) {
    this.#clock = deps.clock;
    this.#secret =
      options.secret === undefined
        ? randomBytes(16)
        : createHash('sha256').update(options.secret).digest().subarray(0, 16);
  }

  /**
   * What to do about a request's cookie: `none` = it has none; `malformed` = FORMERR; else the option for the reply
   * and whether the client has shown that it receives what we send to its address.
   */
  check(
    request: Message,
    address: string,
  ): { readonly state: 'none' | 'malformed' | 'new' | 'verified'; readonly option?: EdnsOption } {
    const sent = request.edns?.options.find(({ code }) => code === EDNS_OPTION.COOKIE)?.data;
    if (!sent) return { state: 'none' };
    const serverLength = sent.length - CLIENT_BYTES;
    if (serverLength !== 0 && (serverLength < 8 || serverLength > 32)) return { state: 'malformed' };
    const client = sent.subarray(0, CLIENT_BYTES);
    const age = this.#verifiedAge(client, sent.subarray(CLIENT_BYTES), address);
    if (age !== undefined && age < RENEW_AGE_SECONDS) {
      return { state: 'verified', option: { code: EDNS_OPTION.COOKIE, data: sent } };
    }
    const seconds = Math.floor(this.#clock.nowMs() / 1000) >>> 0;
    const server = this.#make(client, seconds, address);
    const data = Uint8Array.of(...client, ...server);
    return { state: age === undefined ? 'new' : 'verified', option: { code: EDNS_OPTION.COOKIE, data } };
  }

  #verifiedAge(client: Uint8Array, server: Uint8Array, address: string): number | undefined {
    if (server.length !== SERVER_BYTES || server[0] !== 1) return undefined;
    const seconds = Buffer.from(server).readUInt32BE(4);
    const age = (Math.floor(this.#clock.nowMs() / 1000) - seconds) | 0;
    if (age > MAX_AGE_SECONDS || age < -MAX_AHEAD_SECONDS) return undefined;
    return timingSafeEqual(this.#make(client, seconds, address), server) ? age : undefined;
  }

  #make(client: Uint8Array, seconds: number, address: string): Uint8Array {
    const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(seconds, 4);
    const input = Buffer.concat([client, head, parseAddress(address) ?? Buffer.from(address)]);
    return Buffer.concat([head, sipHash24(this.#secret, input)]);
  }
}
