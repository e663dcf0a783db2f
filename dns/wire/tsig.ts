import { createHmac, timingSafeEqual } from 'node:crypto';
import { encodeRdata } from './encode.ts';
import type { Message, TypedRecord } from './message.ts';
import { foldName, nameToWire } from './name.ts';
import { typeNumber } from './numbers.ts';
import { WireReader } from './wire-reader.ts';

/** Transaction signatures (RFC 8945): a hash over a message and a shared secret, in a last record of its own. */
export interface TsigKey {
  /** Absolute and folded. */
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Uint8Array;
}

/** RFC 8945 section 6, by the names on the wire. */
const ALGORITHMS = {
  'hmac-md5.sig-alg.reg.int.': { hash: 'md5', macBytes: 16 },
  'hmac-sha1.': { hash: 'sha1', macBytes: 20 },
  'hmac-sha224.': { hash: 'sha224', macBytes: 28 },
  'hmac-sha256.': { hash: 'sha256', macBytes: 32 },
  'hmac-sha384.': { hash: 'sha384', macBytes: 48 },
  'hmac-sha512.': { hash: 'sha512', macBytes: 64 },
} as const;
export type TsigAlgorithm = keyof typeof ALGORITHMS;

/** Values of the error field (RFC 8945 section 5.2). */
export const TSIG_ERROR = { NONE: 0, BADSIG: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22 } as const;
/** How far clocks may differ (RFC 8945 section 10). */
export const FUDGE_SECONDS = 300;
const CLASS_ANY = 255;

export type TsigRecord = TypedRecord<'TSIG'>;
type TsigData = TsigRecord['data'];

/** `hmac-sha256`, with or without its dot, in any case; `hmac-md5` too. */
export function parseTsigAlgorithm(text: string): TsigAlgorithm | undefined {
  const bare = foldName(text).replace(/\.$/, '');
  const name = bare === 'hmac-md5' ? 'hmac-md5.sig-alg.reg.int.' : `${bare}.`;
  return Object.hasOwn(ALGORITHMS, name) ? (name as TsigAlgorithm) : undefined;
}

export type FoundTsig =
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'signed'; readonly record: TsigRecord; readonly unsigned: Uint8Array };

/** The signature of a message that decoded, and the bytes it was made over: without itself, with its original id. */
export function findTsig(bytes: Uint8Array, message: Message): FoundTsig {
  const isTsig = ({ type }: { type: string }): boolean => type === 'TSIG';
  const last = message.additionals.at(-1);
  const count = [...message.answers, ...message.authorities, ...message.additionals].filter(isTsig).length;
  if (count === 0) return { kind: 'none' };
  const at = lastRecordAt(bytes);
  if (count > 1 || at < 0 || last?.type !== 'TSIG' || !('algorithm' in last.data)) {
    return { kind: 'malformed', reason: 'TSIG is not the last record, or there are several' };
  }
  if (last.class !== 'ANY' || last.ttl !== 0) {
    return { kind: 'malformed', reason: 'the class of TSIG is ANY and its ttl 0' };
  }
  const unsigned = bytes.slice(0, at);
  const additionals = ((bytes[10]! << 8) | bytes[11]!) - 1;
  unsigned.set([last.data.originalId >> 8, last.data.originalId & 0xff], 0);
  unsigned.set([additionals >> 8, additionals & 0xff], 10);
  return { kind: 'signed', record: last, unsigned };
}

/** Where the last record of a message that decoded starts, if it is a TSIG; else -1 (an OPT may stand behind it). */
function lastRecordAt(bytes: Uint8Array): number {
  const reader = new WireReader(bytes, 4);
  const questions = reader.u16();
  const records = reader.u16() + reader.u16() + reader.u16();
  for (let i = 0; i < questions; i++) {
    reader.name();
    reader.take(4);
  }
  let at = -1;
  for (let i = 0; i < records; i++) {
    const start = reader.at;
    reader.name();
    at = reader.u16() === typeNumber('TSIG') ? start : -1;
    reader.take(6);
    reader.take(reader.u16());
  }
  return at;
}

/** Which fields of the signature itself are hashed: all, or for the later messages of a stream the times only. */
export type TsigExtent = 'full' | 'timers';

/** RFC 8945 section 4.3. `priorMac` is that of the question, or of the message before in a stream. */
export function tsigMac(
  key: Pick<TsigKey, 'name' | 'algorithm' | 'secret'>,
  unsigned: Uint8Array,
  data: Omit<TsigData, 'mac' | 'algorithm' | 'originalId'>,
  priorMac: Uint8Array | undefined,
  extent: TsigExtent = 'full',
): Uint8Array {
  const hmac = createHmac(ALGORITHMS[key.algorithm].hash, key.secret);
  if (priorMac) hmac.update(u16(priorMac.length)).update(priorMac);
  hmac.update(unsigned);
  const { timeSigned, fudge, error, otherData } = data;
  const timers = [u16(Math.floor(timeSigned / 2 ** 32)), u32(timeSigned % 2 ** 32), u16(fudge)];
  if (extent === 'full') {
    hmac.update(wireName(key.name)).update(u16(CLASS_ANY)).update(u32(0)).update(wireName(key.algorithm));
    for (const part of timers) hmac.update(part);
    hmac.update(u16(error)).update(u16(otherData.length)).update(otherData);
  } else for (const part of timers) hmac.update(part);
  return new Uint8Array(hmac.digest());
}

export interface SignOptions {
  readonly timeSeconds: number;
  readonly priorMac?: Uint8Array | undefined;
  readonly extent?: TsigExtent;
  readonly error?: number;
  readonly otherData?: Uint8Array;
}

/** The message with its signature behind it, and the MAC that the next one builds on. */
export function signMessage(
  key: TsigKey,
  bytes: Uint8Array,
  options: SignOptions,
): { readonly bytes: Uint8Array; readonly mac: Uint8Array } {
  const { timeSeconds, priorMac, extent, error = TSIG_ERROR.NONE, otherData = new Uint8Array(0) } = options;
  const data = { timeSigned: timeSeconds, fudge: FUDGE_SECONDS, error, otherData };
  const mac = tsigMac(key, bytes, data, priorMac, extent);
  return { bytes: withTsig(bytes, key, { ...data, mac }), mac };
}

/** Adds a TSIG record as the last; `mac` empty for errors that cannot be signed (RFC 8945 section 5.3.2). */
export function withTsig(
  bytes: Uint8Array,
  { name, algorithm }: { readonly name: string; readonly algorithm: string },
  data: Omit<TsigData, 'algorithm' | 'originalId'>,
): Uint8Array {
  const originalId = (bytes[0]! << 8) | bytes[1]!;
  const rdata = encodeRdata({
    name,
    class: 'ANY',
    ttl: 0,
    type: 'TSIG',
    data: { ...data, algorithm, originalId },
  });
  const head = [wireName(name), u16(typeNumber('TSIG')), u16(CLASS_ANY), u32(0), u16(rdata.length)];
  const signed = Uint8Array.from(Buffer.concat([bytes, ...head, rdata]));
  signed.set(u16(((bytes[10]! << 8) | bytes[11]!) + 1), 10);
  return signed;
}

/** Octets that a signature by this key adds at most. */
export function tsigBytes({ name, algorithm }: Pick<TsigKey, 'name' | 'algorithm'>): number {
  const fixed = 10 + 16 + TIME_BYTES;
  return wireName(name).length + fixed + wireName(algorithm).length + ALGORITHMS[algorithm].macBytes;
}

/** Other data of BADTIME: the server's time. */
const TIME_BYTES = 6;

/** RFC 8945 section 5.2: the key first, then the hash, then the time. One of TSIG_ERROR. */
export function verifyTsig(
  key: TsigKey,
  { record, unsigned }: Extract<FoundTsig, { kind: 'signed' }>,
  options: Pick<SignOptions, 'timeSeconds' | 'priorMac' | 'extent'>,
): number {
  const { data } = record;
  const ours = foldName(record.name) === key.name && foldName(data.algorithm) === key.algorithm;
  if (!ours) return TSIG_ERROR.BADKEY;
  const wanted = tsigMac(key, unsigned, data, options.priorMac, options.extent);
  // Hashes that were cut are refused by policy; cut below ten octets or the half they are no signatures at all.
  if (data.mac.length < wanted.length && data.mac.length >= Math.max(10, wanted.length / 2)) {
    return TSIG_ERROR.BADTRUNC;
  }
  if (data.mac.length !== wanted.length || !timingSafeEqual(data.mac, wanted)) return TSIG_ERROR.BADSIG;
  const skew = Math.abs(options.timeSeconds - data.timeSigned);
  return skew > data.fudge ? TSIG_ERROR.BADTIME : TSIG_ERROR.NONE;
}

function wireName(name: string): Uint8Array {
  return nameToWire(foldName(name)) ?? new Uint8Array(1);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

function u32(value: number): Uint8Array {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
}
