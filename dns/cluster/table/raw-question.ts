import { UDP_PAYLOAD_BYTES, UDP_PLAIN_BYTES } from '../../limits.ts';
import { EDNS_OPTION } from '../../wire/numbers.ts';
import { equalFolded } from './layout.ts';

export const HEADER_BYTES = 12;

export const TYPE = { A: 1, PTR: 12, AAAA: 28, SRV: 33 } as const;

/** Types that the slow path knows more about: NS, SOA, TXT, CNAME, OPT, DS, transfers, ANY. */
const SLOW_TYPES = new Set([0, 2, 5, 6, 16, 41, 43, 250, 251, 252, 253, 254, 255]);
const MAX_LABELS = 128;
const CLASS_IN = 1;
const OPT_BYTES = 11;
const OPTION_HEAD_BYTES = 4;
const CLIENT_COOKIE_BYTES = 8;
/** A server cookie has 8 to 32 bytes (RFC 7873 4); with the client's in front of it. */
const COOKIE_MIN_BYTES = 16;
const COOKIE_MAX_BYTES = 40;
/** Of our own: the client's and 16 bytes (RFC 9018). */
const OUR_COOKIE_BYTES = 24;

/** Who asks, as the engine knows it: read only where it matters. */
export interface AskingClient {
  /** IPv6, and not an IPv4 client of a dual-stack socket. */
  readonly six: boolean;
  readonly port: number;
  /** Writes the address (4 or 16 bytes); returns its length. */
  writeAddress(into: Uint8Array): number;
}

/** What a reader says to EDNS options besides the size. */
export interface EdnsAnswers {
  /** To those who ask which server this is (RFC 5001); undefined = nothing. */
  readonly nsid: Uint8Array | undefined;
  /** Answers the cookie in bytes[at, at + length) with 24 bytes (RFC 9018); absent = the slow path does. */
  readonly cookies?: CookieAnswers | undefined;
}

export interface CookieAnswers {
  answer(
    bytes: Uint8Array,
    at: number,
    length: number,
    client: Uint8Array,
    clientBytes: number,
    out: Uint8Array,
    outAt: number,
  ): void;
}

/** A question read in place. Reused for every packet: nothing of it outlives the next `read`. */
export class RawQuestion {
  type = 0;
  labels = 0;
  /** Behind the root label. */
  nameEnd = 0;
  questionEnd = 0;
  hasOpt = false;
  optSize = 0;
  dnssecOk = false;
  /** What our OPT will take. */
  optBytes = 0;
  /** Where each label starts (its length byte). */
  readonly starts = new Uint16Array(MAX_LABELS);
  readonly #edns: EdnsAnswers;
  readonly #client = new Uint8Array(16);
  #clientBytes = 0;
  #cookieAt = 0;
  #cookieBytes = 0;
  #wantsNsid = false;

  constructor(edns: EdnsAnswers) {
    this.#edns = edns;
  }

  /** False for everything but a plain question: class IN, one question, at most an OPT of version 0. */
  read(bytes: Uint8Array, length: number, client: AskingClient | undefined): boolean {
    if (length < HEADER_BYTES + 5) return false;
    // A query with opcode 0; its TC, Z and the answer counts are zero, ARCOUNT 0 or 1.
    if ((bytes[2]! & 0xfa) !== 0 || (bytes[3]! & 0x4f) !== 0) return false;
    if (bytes[4] !== 0 || bytes[5] !== 1 || bytes[6] !== 0 || bytes[7] !== 0) return false;
    if (bytes[8] !== 0 || bytes[9] !== 0 || bytes[10] !== 0 || bytes[11]! > 1) return false;
    if (!this.#readName(bytes, length)) return false;
    const at = this.nameEnd;
    this.questionEnd = at + 4;
    if (this.questionEnd > length) return false;
    this.type = (bytes[at]! << 8) | bytes[at + 1]!;
    if (bytes[at + 2] !== 0 || bytes[at + 3] !== CLASS_IN || SLOW_TYPES.has(this.type)) return false;
    this.hasOpt = bytes[11] === 1;
    this.dnssecOk = false;
    this.optBytes = 0;
    return this.hasOpt ? this.#readOpt(bytes, length, client) : this.questionEnd === length;
  }

  /** True when the name is `zone` (folded wire form) or lies below it. */
  isWithin(bytes: Uint8Array, zone: Uint8Array): boolean {
    const start = this.nameEnd - zone.length;
    if (start < HEADER_BYTES || !equalFolded(bytes, start, zone, 0, zone.length)) return false;
    if (zone.length === 1) return true;
    // the end of a label may look like one
    for (let i = this.labels - 1; i >= 0 && this.starts[i]! >= start; i--)
      if (this.starts[i] === start) return true;
    return false;
  }

  /** Header and question of the answer: AA set, RD and CD copied. Returns the end; 0 = out is too small. */
  writeHead(bytes: Uint8Array, out: Uint8Array, rcode: number): number {
    const end = this.questionEnd;
    if (end > out.length) return 0;
    for (let i = 0; i < end; i++) out[i] = bytes[i]!;
    out[2] = 0x84 | (bytes[2]! & 1);
    out[3] = (bytes[3]! & 0x10) | rcode;
    out[11] = 0;
    return end;
  }

  /** Our OPT if the question had one; counts it. Returns the end; 0 = out is too small. */
  writeOpt(bytes: Uint8Array, out: Uint8Array, at: number, { strict }: { readonly strict: boolean }): number {
    if (!this.hasOpt) return at;
    if (at + this.optBytes > out.length) return 0;
    const size = strict ? this.optSize : UDP_PAYLOAD_BYTES;
    const options = this.optBytes - OPT_BYTES;
    out[at] = 0;
    out[at + 1] = 0;
    out[at + 2] = 41;
    out[at + 3] = size >> 8;
    out[at + 4] = size & 0xff;
    out[at + 5] = 0;
    out[at + 6] = 0;
    out[at + 7] = this.dnssecOk ? 0x80 : 0;
    out[at + 8] = 0;
    out[at + 9] = options >> 8;
    out[at + 10] = options & 0xff;
    const count = ((out[10]! << 8) | out[11]!) + 1;
    out[10] = count >> 8;
    out[11] = count & 0xff;
    if (options > 0) this.#writeOptions(bytes, out, at + OPT_BYTES);
    return at + this.optBytes;
  }

  /** The most bytes an answer over UDP may have, our OPT not counted. */
  replyLimit({ strict }: { readonly strict: boolean }): number {
    const taken = this.hasOpt ? Math.max(this.optSize, UDP_PLAIN_BYTES) : UDP_PLAIN_BYTES;
    return (strict ? taken : Math.min(taken, UDP_PAYLOAD_BYTES)) - this.optBytes;
  }

  #readName(bytes: Uint8Array, length: number): boolean {
    let at = HEADER_BYTES;
    let labels = 0;
    for (;;) {
      const size = bytes[at]!;
      if (size === 0) break;
      if (size > 63 || labels === MAX_LABELS) return false;
      this.starts[labels++] = at;
      at += size + 1;
      if (at >= length || at - HEADER_BYTES > 254) return false;
    }
    this.labels = labels;
    this.nameEnd = at + 1;
    return true;
  }

  #readOpt(bytes: Uint8Array, length: number, client: AskingClient | undefined): boolean {
    const at = this.questionEnd;
    if (at + OPT_BYTES > length) return false;
    // Root owner, type OPT, extended rcode 0, version 0.
    if (bytes[at] !== 0 || bytes[at + 1] !== 0 || bytes[at + 2] !== 41) return false;
    if (bytes[at + 5] !== 0 || bytes[at + 6] !== 0) return false;
    this.optSize = (bytes[at + 3]! << 8) | bytes[at + 4]!;
    this.dnssecOk = (bytes[at + 7]! & 0x80) !== 0;
    this.optBytes = OPT_BYTES;
    const options = (bytes[at + 9]! << 8) | bytes[at + 10]!;
    if (at + OPT_BYTES + options !== length) return false;
    return options === 0 ? this.#noOptions() : this.#readOptions(bytes, at + OPT_BYTES, length, client);
  }

  #noOptions(): true {
    this.#cookieBytes = 0;
    this.#wantsNsid = false;
    return true;
  }

  /** False where an option reaches past the end or a cookie is malformed: the slow path says FORMERR. */
  #readOptions(bytes: Uint8Array, start: number, end: number, client: AskingClient | undefined): boolean {
    this.#noOptions();
    for (let at = start; at < end;) {
      if (at + OPTION_HEAD_BYTES > end) return false;
      const code = (bytes[at]! << 8) | bytes[at + 1]!;
      const size = (bytes[at + 2]! << 8) | bytes[at + 3]!;
      at += OPTION_HEAD_BYTES;
      if (at + size > end) return false;
      if (code === EDNS_OPTION.NSID) this.#wantsNsid = true;
      else if (code === EDNS_OPTION.COOKIE && this.#cookieBytes === 0) {
        if (size !== CLIENT_COOKIE_BYTES && (size < COOKIE_MIN_BYTES || size > COOKIE_MAX_BYTES))
          return false;
        this.#cookieAt = at;
        this.#cookieBytes = size;
      }
      at += size;
    }
    if (this.#wantsNsid && this.#edns.nsid) this.optBytes += OPTION_HEAD_BYTES + this.#edns.nsid.length;
    if (this.#cookieBytes === 0) return true;
    this.optBytes += OPTION_HEAD_BYTES + OUR_COOKIE_BYTES;
    this.#clientBytes = this.#edns.cookies && client ? client.writeAddress(this.#client) : 0;
    return this.#clientBytes > 0;
  }

  #writeOptions(bytes: Uint8Array, out: Uint8Array, start: number): void {
    const { nsid, cookies } = this.#edns;
    let at = start;
    if (this.#wantsNsid && nsid) {
      at = writeOptionHead(out, at, EDNS_OPTION.NSID, nsid.length);
      out.set(nsid, at);
      at += nsid.length;
    }
    if (this.#cookieBytes === 0 || !cookies) return;
    at = writeOptionHead(out, at, EDNS_OPTION.COOKIE, OUR_COOKIE_BYTES);
    cookies.answer(bytes, this.#cookieAt, this.#cookieBytes, this.#client, this.#clientBytes, out, at);
  }
}

function writeOptionHead(out: Uint8Array, at: number, code: number, sizeBytes: number): number {
  out[at] = code >> 8;
  out[at + 1] = code & 0xff;
  out[at + 2] = sizeBytes >> 8;
  out[at + 3] = sizeBytes & 0xff;
  return at + OPTION_HEAD_BYTES;
}
