import { COLON, CR, FIELD_CONTENT, LF, SP, TOKEN } from '../http/bytes.ts';
import { Role } from '../http/fields.ts';
import { UNKNOWN_LENGTH, UNTIL_CLOSE } from '../http/message.ts';
import { FAST_FIELDS_MAX, FAST_HEAD_BYTES_MAX } from './limits.ts';
import { isName, roleAt } from './field-roles.ts';
import { decimal, DOUBTFUL, INCOMPLETE, Scanned } from './request-scan.ts';
import { Runs } from './runs.ts';

const START = Buffer.from('HTTP/1.1 ');
const CLOSE = Buffer.from('close');
const KEEP_ALIVE = Buffer.from('keep-alive');
const CHUNKED = Buffer.from('chunked');
const TRANSPORT_SECURITY = Buffer.from('strict-transport-security');
const ZERO = 48;

/**
 * The scanner of response heads that works in place, as RequestScan does for requests: it takes final answers of
 * HTTP/1.1 whose framing is beyond doubt. UNSURE ones are read by the portable scanner.
 */
export class ResponseScan {
  status = 0;
  /** A length, UNKNOWN_LENGTH (chunked) or UNTIL_CLOSE: what the fields say, whatever request and status make of it. */
  bodyLength = 0;
  close = false;
  /** It has a Strict-Transport-Security of its own. */
  hasTransportSecurity = false;
  /** After the empty line. */
  end = 0;
  /** Status line and fields that pass as they are. */
  readonly passing = new Runs(FAST_FIELDS_MAX + 1);
  #codings = 0;
  #lengths = 0;
  #connections = 0;

  scan(bytes: Uint8Array, start: number, end: number): Scanned {
    const most = Math.min(end, start + FAST_HEAD_BYTES_MAX);
    const partial = end - start < FAST_HEAD_BYTES_MAX ? Scanned.PARTIAL : Scanned.UNSURE;
    this.passing.clear();
    this.bodyLength = UNTIL_CLOSE;
    this.close = false;
    this.hasTransportSecurity = false;
    this.#codings = 0;
    this.#lengths = 0;
    this.#connections = 0;
    let at = this.#statusLine(bytes, start, most);
    for (let count = 0; at > 0; count++) {
      if (at + 1 >= most) return partial;
      if (bytes[at] === CR && bytes[at + 1] === LF) {
        this.end = at + 2;
        // a length beside chunks, or of what has no body (RFC 9110 section 8.6)
        const doubtful = this.#lengths > 0 && (this.#codings > 0 || this.status === 204);
        return doubtful ? Scanned.UNSURE : Scanned.READY;
      }
      at = count === FAST_FIELDS_MAX ? DOUBTFUL : this.#field(bytes, at, most);
    }
    return at === INCOMPLETE ? partial : Scanned.UNSURE;
  }

  #statusLine(bytes: Uint8Array, start: number, end: number): number {
    const known = Math.min(end - start, START.length);
    for (let i = 0; i < known; i++) if (bytes[start + i] !== START[i]) return DOUBTFUL;
    const code = start + START.length;
    if (code + 4 > end) return INCOMPLETE;
    const [a, b, c] = [bytes[code]! - ZERO, bytes[code + 1]! - ZERO, bytes[code + 2]! - ZERO];
    if (!(a >= 2 && a <= 9 && b >= 0 && b <= 9 && c >= 0 && c <= 9) || bytes[code + 3] !== SP)
      return DOUBTFUL;
    this.status = a * 100 + b * 10 + c;
    let at = code + 4;
    while (at < end && FIELD_CONTENT[bytes[at]!] === 1) at++;
    if (at + 1 >= end) return INCOMPLETE;
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return DOUBTFUL;
    this.passing.add(start, at + 2);
    return at + 2;
  }

  #field(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    while (at < end && TOKEN[bytes[at]!] === 1) at++;
    if (at + 1 >= end) return INCOMPLETE;
    if (at === from || bytes[at] !== COLON || bytes[at + 1] !== SP) return DOUBTFUL;
    const nameEnd = at;
    const value = at + 2;
    at = value;
    while (at < end && FIELD_CONTENT[bytes[at]!] === 1) at++;
    if (at + 1 >= end) return INCOMPLETE;
    if (bytes[at] !== CR || bytes[at + 1] !== LF || at === value) return DOUBTFUL;
    if (bytes[value]! <= SP || bytes[at - 1]! <= SP) return DOUBTFUL;
    return this.#note(bytes, from, nameEnd, value, at) ? at + 2 : DOUBTFUL;
  }

  #note(bytes: Uint8Array, from: number, nameEnd: number, value: number, end: number): boolean {
    const role = roleAt(bytes, from, nameEnd);
    if (role === Role.TRANSFER_ENCODING) {
      this.bodyLength = UNKNOWN_LENGTH;
      return this.#codings++ === 0 && isName(bytes, value, end, CHUNKED);
    }
    if (role === Role.CONNECTION) {
      this.close = isName(bytes, value, end, CLOSE);
      return this.#connections++ === 0 && (this.close || isName(bytes, value, end, KEEP_ALIVE));
    }
    if (role === Role.HOP_BY_HOP || role === Role.UPGRADE || role === Role.TE) return true; // dropped
    this.passing.add(from, end + 2);
    if (isName(bytes, from, nameEnd, TRANSPORT_SECURITY)) this.hasTransportSecurity = true;
    if (role !== Role.CONTENT_LENGTH) return true;
    this.bodyLength = decimal(bytes, value, end);
    return this.#lengths++ === 0 && this.bodyLength >= 0;
  }
}
