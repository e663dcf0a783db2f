import { UDP_PAYLOAD_BYTES, UDP_PLAIN_BYTES } from '../../limits.ts';

export const HEADER_BYTES = 12;

export const TYPE = { A: 1, AAAA: 28, SRV: 33 } as const;

/** Types that the slow path knows more about: SOA, TXT, CNAME, OPT, transfers, ANY, DS. */
const SLOW_TYPES = new Set([0, 5, 6, 16, 41, 43, 250, 251, 252, 253, 254, 255]);
const MAX_LABELS = 128;
const CLASS_IN = 1;
const OPT_BYTES = 11;

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
  /** Where each label starts (its length byte). */
  readonly starts = new Uint16Array(MAX_LABELS);

  /** False for everything but a plain question: class IN, one question, at most an OPT without options. */
  read(bytes: Uint8Array, length: number): boolean {
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
    return this.hasOpt ? this.#readOpt(bytes, length) : this.questionEnd === length;
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

  /** Our OPT if the question had one. Returns the end. */
  writeOpt(out: Uint8Array, at: number, { strict }: { readonly strict: boolean }): number {
    if (!this.hasOpt) return at;
    const size = strict ? this.optSize : UDP_PAYLOAD_BYTES;
    out[at] = 0;
    out[at + 1] = 0;
    out[at + 2] = 41;
    out[at + 3] = size >> 8;
    out[at + 4] = size & 0xff;
    out[at + 5] = 0;
    out[at + 6] = 0;
    out[at + 7] = this.dnssecOk ? 0x80 : 0;
    out[at + 8] = 0;
    out[at + 9] = 0;
    out[at + 10] = 0;
    out[11] = 1;
    return at + OPT_BYTES;
  }

  /** The most bytes an answer over UDP may have. */
  replyLimit({ strict }: { readonly strict: boolean }): number {
    const taken = this.hasOpt ? Math.max(this.optSize, UDP_PLAIN_BYTES) : UDP_PLAIN_BYTES;
    return strict ? taken : Math.min(taken, UDP_PAYLOAD_BYTES);
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

  #readOpt(bytes: Uint8Array, length: number): boolean {
    const at = this.questionEnd;
    if (at + OPT_BYTES !== length) return false;
    // Root owner, type OPT, extended rcode 0, version 0, no options.
    if (bytes[at] !== 0 || bytes[at + 1] !== 0 || bytes[at + 2] !== 41) return false;
    if (bytes[at + 5] !== 0 || bytes[at + 6] !== 0 || bytes[at + 9] !== 0 || bytes[at + 10] !== 0)
      return false;
    this.optSize = (bytes[at + 3]! << 8) | bytes[at + 4]!;
    this.dnssecOk = (bytes[at + 7]! & 0x80) !== 0;
    return true;
  }
}
