import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../src/base/clock.ts';
import { parseAddress } from '../../src/net/ip.ts';
import type { EdnsOption, Message } from '../wire/message.ts';
import { EDNS_OPTION } from '../wire/numbers.ts';
import { CookieMaker } from './cookie-maker.ts';

const CLIENT_BYTES = 8;
const SERVER_MIN_BYTES = 8;
const SERVER_MAX_BYTES = 32;
const OURS_BYTES = 24;

/** The cookies of one server: with the same secret several servers accept each other's. */
export class ServerCookies {
  /** For other threads, which make cookies of their own. */
  readonly secret: Uint8Array;
  readonly #maker: CookieMaker;

  constructor(deps: { clock: Clock }, options: { readonly secret?: string } = {}) {
    this.secret =
      options.secret === undefined
        ? randomBytes(16)
        : createHash('sha256').update(options.secret).digest().subarray(0, 16);
    this.#maker = new CookieMaker(deps, this.secret);
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
    if (serverLength !== 0 && (serverLength < SERVER_MIN_BYTES || serverLength > SERVER_MAX_BYTES)) {
      return { state: 'malformed' };
    }
    const client = parseAddress(address) ?? Uint8Array.from(Buffer.from(address));
    const data = new Uint8Array(OURS_BYTES);
    const verified = this.#maker.answer(sent, 0, sent.length, client, client.length, data, 0);
    return { state: verified ? 'verified' : 'new', option: { code: EDNS_OPTION.COOKIE, data } };
  }
}
