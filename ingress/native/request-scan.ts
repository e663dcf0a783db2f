import { COLON, CR, FIELD_CONTENT, LF, SP, TOKEN } from '../http/bytes.ts';
import { Role } from '../http/fields.ts';
import { NO_BODY, UNKNOWN_LENGTH } from '../http/message.ts';
import { FAST_FIELDS_MAX, FAST_HEAD_BYTES_MAX } from './limits.ts';
import { isName, roleAt } from './field-roles.ts';
import { Runs } from './runs.ts';

/** What a scan of a head came to. */
export type Scanned = (typeof Scanned)[keyof typeof Scanned];
export const Scanned = {
  /** Every byte of it is beyond doubt. */
  READY: 0,
  /** Not all there yet. */
  PARTIAL: 1,
  /** Wrong, unusual or too long: for the portable scanner to judge, with all bytes. */
  UNSURE: 2,
} as const;

export interface ScanLimits {
  readonly headBytes: number;
  readonly fields: number;
  readonly underscores: boolean;
}

export const scanLimitsMax: ScanLimits = {
  headBytes: FAST_HEAD_BYTES_MAX,
  fields: FAST_FIELDS_MAX,
  underscores: false,
};

/** Methods of the fast path, and what a relay has to know of each. */
export interface Method {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** May be sent again (RFC 9110 section 9.2.2). */
  readonly idempotent: boolean;
  /** A missing body is said with Content-Length: 0 (RFC 9110 section 8.6). */
  readonly hasBody: boolean;
}

const method = (name: string, idempotent: boolean, hasBody: boolean): Method => ({
  name,
  bytes: Buffer.from(name),
  idempotent,
  hasBody,
});
const GET = method('GET', true, false);
const METHODS: readonly Method[] = [
  GET,
  method('POST', false, true),
  method('HEAD', true, false),
  method('PUT', true, true),
  method('DELETE', true, false),
  method('OPTIONS', true, false),
  method('PATCH', false, true),
];

/** In place of the offset after a line. */
export const INCOMPLETE = -1;
export const DOUBTFUL = -2;
const SLASH = 47;
const QUESTION = 63;
const UNDERSCORE = 95;
const VERSION = Buffer.from(' HTTP/1.1\r\n');
const CLOSE = Buffer.from('close');
const KEEP_ALIVE = Buffer.from('keep-alive');
const CHUNKED = Buffer.from('chunked');
const CERTIFICATE_CLAIM = Buffer.from('ssl-client-');
/** A target as the fast path takes it: visible ASCII without `#`. */
const TARGET = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte > SP && byte < 127 && byte !== 35 ? 1 : 0,
);

/**
 * The scanner of request heads that works in place: one object for all requests of a thread, nothing is allocated.
 * It accepts a part of what the portable scanner (http/head.ts, http/framing.ts) accepts and means the same by it;
 * everything else is UNSURE. Offsets are into the bytes scanned last.
 */
export class RequestScan {
  limits: ScanLimits = scanLimitsMax;
  method: Method = GET;
  target = 0;
  pathEnd = 0;
  targetEnd = 0;
  /** After the line end of the request line. */
  lineEnd = 0;
  host = 0;
  hostEnd = 0;
  /** NO_BODY, a length, or UNKNOWN_LENGTH. */
  bodyLength = 0;
  lengthValue = 0;
  lengthEnd = 0;
  close = false;
  /** 0 = the field is absent. */
  forwardedFor = 0;
  forwardedForEnd = 0;
  requestId = 0;
  requestIdEnd = 0;
  /** It has fields whose names begin with ssl-client-: of those that only we may set. */
  claimsCertificate = false;
  /** After the empty line. */
  end = 0;
  /** Lines that pass as they are. */
  readonly passing = new Runs(FAST_FIELDS_MAX);
  #codings = 0;
  #lengths = 0;
  #hosts = 0;
  #connections = 0;

  /** Scans [start, end). A head that is not complete within the limits is UNSURE. */
  scan(bytes: Uint8Array, start: number, end: number): Scanned {
    const most = Math.min(end, start + this.limits.headBytes);
    const partial = end - start < this.limits.headBytes ? Scanned.PARTIAL : Scanned.UNSURE;
    const line = this.#requestLine(bytes, start, most);
    if (line !== Scanned.READY) return line === Scanned.PARTIAL ? partial : line;
    this.#reset();
    let at = this.lineEnd;
    for (let count = 0; ; count++) {
      if (at + 1 >= most) return partial;
      if (bytes[at] === CR) {
        if (bytes[at + 1] !== LF) return Scanned.UNSURE;
        this.end = at + 2;
        return this.#framed();
      }
      if (count === this.limits.fields) return Scanned.UNSURE;
      const next = this.#field(bytes, at, most);
      if (next < 0) return next === INCOMPLETE ? partial : Scanned.UNSURE;
      at = next;
    }
  }

  #reset(): void {
    this.bodyLength = NO_BODY;
    this.close = false;
    this.forwardedFor = 0;
    this.requestId = 0;
    this.claimsCertificate = false;
    this.passing.clear();
    this.#codings = 0;
    this.#lengths = 0;
    this.#hosts = 0;
    this.#connections = 0;
  }

  #requestLine(bytes: Uint8Array, start: number, end: number): Scanned {
    let at = start;
    while (at < end && TOKEN[bytes[at]!] === 1) at++;
    if (at === end) return Scanned.PARTIAL;
    if (bytes[at] !== SP || !this.#known(bytes, start, at)) return Scanned.UNSURE;
    this.target = ++at;
    if (at < end && bytes[at] !== SLASH) return Scanned.UNSURE;
    while (at < end && TARGET[bytes[at]!] === 1 && bytes[at] !== QUESTION) at++;
    this.pathEnd = at;
    while (at < end && TARGET[bytes[at]!] === 1) at++;
    this.targetEnd = at;
    const known = Math.min(end - at, VERSION.length);
    for (let i = 0; i < known; i++) if (bytes[at + i] !== VERSION[i]) return Scanned.UNSURE;
    if (known < VERSION.length) return Scanned.PARTIAL;
    this.lineEnd = at + VERSION.length;
    return Scanned.READY;
  }

  #known(bytes: Uint8Array, from: number, end: number): boolean {
    for (const each of METHODS) {
      if (!isExactly(bytes, from, end, each.bytes)) continue;
      this.method = each;
      return true;
    }
    return false;
  }

  /** The offset after one line, INCOMPLETE or DOUBTFUL. */
  // oxlint-disable-next-line complexity -- one pass over the bytes; every branch is a framing rule of its own
  #field(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    let underscore = false;
    while (at < end && TOKEN[bytes[at]!] === 1) if (bytes[at++] === UNDERSCORE) underscore = true;
    if (at + 1 >= end) return INCOMPLETE;
    // exactly one space and a value: as the portable engine would write it
    if (at === from || bytes[at] !== COLON || bytes[at + 1] !== SP) return DOUBTFUL;
    const nameEnd = at;
    const value = at + 2;
    at = value;
    while (at < end && FIELD_CONTENT[bytes[at]!] === 1) at++;
    if (at + 1 >= end) return at < end && bytes[at] !== CR ? DOUBTFUL : INCOMPLETE;
    if (bytes[at] !== CR || bytes[at + 1] !== LF || at === value) return DOUBTFUL;
    if (bytes[value]! <= SP || bytes[at - 1]! <= SP) return DOUBTFUL;
    const role = roleAt(bytes, from, nameEnd);
    if (role === Role.PLAIN || role === Role.TRAILER) {
      if (!underscore || this.limits.underscores) this.passing.add(from, at + 2);
      if ((bytes[from]! | 0x20) === CERTIFICATE_CLAIM[0]) this.#noteClaim(bytes, from, nameEnd);
      return at + 2;
    }
    return this.#note(role, bytes, value, at) ? at + 2 : DOUBTFUL;
  }

  /** A field that means something to the relay. False = for the portable engine. */
  #note(role: Role, bytes: Uint8Array, value: number, end: number): boolean {
    switch (role) {
      case Role.HOST:
        this.host = value;
        this.hostEnd = end;
        return this.#hosts++ === 0;
      case Role.CONTENT_LENGTH:
        return this.#lengths++ === 0 && this.#length(bytes, value, end);
      case Role.TRANSFER_ENCODING:
        return this.#codings++ === 0 && isName(bytes, value, end, CHUNKED);
      case Role.CONNECTION:
        this.close = isName(bytes, value, end, CLOSE);
        return this.#connections++ === 0 && (this.close || isName(bytes, value, end, KEEP_ALIVE));
      case Role.X_FORWARDED_FOR:
        if (this.forwardedFor > 0) return false;
        this.forwardedFor = value;
        this.forwardedForEnd = end;
        return true;
      case Role.X_REQUEST_ID:
        if (this.requestId > 0) return false;
        this.requestId = value;
        this.requestIdEnd = end;
        return true;
      case Role.FORWARDED:
      case Role.PROXY:
      case Role.HOP_BY_HOP:
      case Role.TE:
        return true; // dropped
      case Role.PLAIN:
      case Role.TRAILER:
      case Role.EXPECT:
      case Role.UPGRADE:
        return false;
    }
  }

  #noteClaim(bytes: Uint8Array, from: number, nameEnd: number): void {
    const prefixEnd = Math.min(nameEnd, from + CERTIFICATE_CLAIM.length);
    if (isName(bytes, from, prefixEnd, CERTIFICATE_CLAIM)) this.claimsCertificate = true;
  }

  #length(bytes: Uint8Array, value: number, end: number): boolean {
    const length = decimal(bytes, value, end);
    if (length < 0) return false;
    this.bodyLength = length;
    this.lengthValue = value;
    this.lengthEnd = end;
    return true;
  }

  #framed(): Scanned {
    if (this.#hosts !== 1) return Scanned.UNSURE;
    if (this.#codings === 0) return Scanned.READY;
    if (this.#lengths > 0) return Scanned.UNSURE;
    this.bodyLength = UNKNOWN_LENGTH;
    return Scanned.READY;
  }
}

function isExactly(bytes: Uint8Array, from: number, end: number, name: Uint8Array): boolean {
  if (end - from !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[from + i] !== name[i]) return false;
  return true;
}

/** The number in [from, end): up to 15 digits, the first no zero unless it is the only one; else -1. */
export function decimal(bytes: Uint8Array, from: number, end: number): number {
  const digits = end - from;
  if (digits < 1 || digits > 15 || (bytes[from] === 48 && digits > 1)) return -1;
  let value = 0;
  for (let at = from; at < end; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
