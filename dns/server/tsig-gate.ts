import type { Clock } from '../../src/base/clock.ts';
import type { TsigSecret } from '../block-settings.ts';
import type { SignedQuestion } from '../query.ts';
import type { Message } from '../wire/message.ts';
import { foldName } from '../wire/name.ts';
import {
  findTsig,
  FUDGE_SECONDS,
  parseTsigAlgorithm,
  signMessage,
  TSIG_ERROR,
  tsigBytes,
  verifyTsig,
  withTsig,
  type FoundTsig,
  type TsigKey,
  type TsigRecord,
} from '../wire/tsig.ts';

/** Of keys that name none, for what we sign first. */
const ALGORITHM = 'hmac-sha256.';
/** Not taken from clients unless the key asks for it (RFC 8945 section 6). */
const WEAK = 'hmac-md5.sig-alg.reg.int.';

export type TsigVerdict =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'malformed'; readonly reason: string }
  /** Answer NOTAUTH, put through `seal`. */
  | { readonly kind: 'refused'; readonly reason: string; readonly seal: (reply: Uint8Array) => Uint8Array }
  | { readonly kind: 'signed'; readonly request: Message; readonly signed: SignedQuestion };

/** The keys of a server: says whose a signed question is, and signs what goes back (RFC 8945). */
export class TsigGate {
  readonly #clock: Clock;
  readonly #secrets: ReadonlyMap<string, TsigSecret>;

  constructor(deps: { readonly clock: Clock }, secrets: readonly TsigSecret[]) {
    this.#clock = deps.clock;
    this.#secrets = new Map(secrets.map((secret) => [secret.name, secret]));
  }

  /** For questions of our own. */
  key(name: string): TsigKey | undefined {
    const secret = this.#secrets.get(foldName(name));
    return secret && { ...secret, algorithm: secret.algorithm ?? ALGORITHM };
  }

  /** A server without keys knows nothing of signatures, as CoreDNS without `tsig`. */
  check(bytes: Uint8Array, request: Message): TsigVerdict {
    if (this.#secrets.size === 0) return { kind: 'unsigned' };
    const found = findTsig(bytes, request);
    if (found.kind === 'none') return { kind: 'unsigned' };
    if (found.kind === 'malformed') return found;
    const key = this.#keyOf(found.record);
    if (!key) return unsignedRefusal(found.record, TSIG_ERROR.BADKEY);
    const timeSeconds = this.#seconds();
    const error = verifyTsig(key, found, { timeSeconds });
    if (error === TSIG_ERROR.NONE) return this.#signed(request, found, key);
    if (error === TSIG_ERROR.BADSIG) return unsignedRefusal(found.record, error);
    return {
      kind: 'refused',
      reason: reasonOf(error),
      seal: sealError(key, found.record, error, timeSeconds),
    };
  }

  #signed(request: Message, { record }: Extract<FoundTsig, { kind: 'signed' }>, key: TsigKey): TsigVerdict {
    let priorMac = record.data.mac;
    let first = true;
    const sign = (reply: Uint8Array): Uint8Array => {
      // Of several messages the first is signed in full, the others go on from it (RFC 8945 section 5.3.1).
      const extent = first ? 'full' : 'timers';
      const sealed = signMessage(key, reply, { timeSeconds: this.#seconds(), priorMac, extent });
      priorMac = sealed.mac;
      first = false;
      return sealed.bytes;
    };
    const signed = { keyName: key.name, reserveBytes: tsigBytes(key), sign };
    return { kind: 'signed', request: { ...request, additionals: request.additionals.slice(0, -1) }, signed };
  }

  #keyOf(record: TsigRecord): TsigKey | undefined {
    const secret = this.#secrets.get(foldName(record.name));
    const algorithm = parseTsigAlgorithm(record.data.algorithm);
    if (!secret || !algorithm || (secret.algorithm ?? algorithm) !== algorithm) return undefined;
    return algorithm === WEAK && secret.algorithm === undefined ? undefined : { ...secret, algorithm };
  }

  #seconds(): number {
    return Math.floor(this.#clock.nowMs() / 1000);
  }
}

/** RFC 8945 section 5.2.1 and 5.2.2: who cannot be told apart from a stranger gets an answer without signature. */
function unsignedRefusal({ name, data }: TsigRecord, error: number): TsigVerdict {
  const nothing = new Uint8Array(0);
  const { timeSigned, algorithm } = data;
  const rest = { timeSigned, fudge: FUDGE_SECONDS, error, mac: nothing, otherData: nothing };
  return {
    kind: 'refused',
    reason: reasonOf(error),
    seal: (reply) => withTsig(reply, { name, algorithm }, rest),
  };
}

/** RFC 8945 section 5.2.3: the client's time in front, ours in the other data. */
function sealError(
  key: TsigKey,
  { data }: TsigRecord,
  error: number,
  nowSeconds: number,
): (reply: Uint8Array) => Uint8Array {
  const late = error === TSIG_ERROR.BADTIME;
  const ours = Buffer.alloc(6);
  ours.writeUIntBE(nowSeconds, 0, 6);
  const options = {
    timeSeconds: late ? data.timeSigned : nowSeconds,
    priorMac: data.mac,
    error,
    otherData: late ? Uint8Array.from(ours) : new Uint8Array(0),
  };
  return (reply) => signMessage(key, reply, options).bytes;
}

function reasonOf(error: number): string {
  const name = Object.entries(TSIG_ERROR).find(([, value]) => value === error)?.[0] ?? String(error);
  return `signature refused: ${name}`;
}
