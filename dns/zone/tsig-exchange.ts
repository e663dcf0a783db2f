import type { Message } from '../wire/message.ts';
import { findTsig, signMessage, TSIG_ERROR, verifyTsig, type TsigKey } from '../wire/tsig.ts';

/** Messages without a signature that a stream may hold in a row (RFC 8945 section 5.3.1). */
const UNSIGNED_MOST = 99;

/** One signed question of ours and the signatures of its answer, which may be a stream. */
export class TsigExchange {
  readonly #key: TsigKey;
  readonly #nowSeconds: () => number;
  #priorMac: Uint8Array;
  readonly question: Uint8Array;
  #first = true;
  /** Messages since the last signature: the next one covers them. */
  #unsigned: Uint8Array[] = [];

  constructor(key: TsigKey, question: Uint8Array, nowSeconds: () => number) {
    this.#key = key;
    this.#nowSeconds = nowSeconds;
    const signed = signMessage(key, question, { timeSeconds: nowSeconds() });
    this.question = signed.bytes;
    this.#priorMac = signed.mac;
  }

  /** Why this message of the answer cannot be believed; undefined when it can so far. */
  check(bytes: Uint8Array, message: Message): string | undefined {
    const found = findTsig(bytes, message);
    if (found.kind === 'malformed') return found.reason;
    if (found.kind === 'none') {
      if (this.#first) return 'the answer is not signed';
      this.#unsigned.push(bytes);
      return this.#unsigned.length > UNSIGNED_MOST ? 'too much of the answer is not signed' : undefined;
    }
    const { record } = found;
    const extent = this.#first ? 'full' : 'timers';
    const unsigned = Uint8Array.from(Buffer.concat([...this.#unsigned, found.unsigned]));
    const options = { timeSeconds: this.#nowSeconds(), priorMac: this.#priorMac, extent } as const;
    const error = verifyTsig(this.#key, { ...found, unsigned }, options) || record.data.error;
    if (error !== TSIG_ERROR.NONE) return `the signature is wrong: ${errorName(error)}`;
    this.#priorMac = record.data.mac;
    this.#unsigned = [];
    this.#first = false;
    return undefined;
  }

  /** False while the last message lacks its signature: the answer may not end here. */
  get complete(): boolean {
    return !this.#first && this.#unsigned.length === 0;
  }
}

function errorName(error: number): string {
  return Object.entries(TSIG_ERROR).find(([, value]) => value === error)?.[0] ?? String(error);
}
