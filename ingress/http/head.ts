import { COLON, CR, FIELD_CONTENT, HT, LF, METHOD, SP, TARGET, TOKEN } from './bytes.ts';
import { type FieldName, fieldName, Fields } from './fields.ts';
import type { BadHead } from './message.ts';

/**
 * The strict HTTP/1.x head scanner (RFC 9112 sections 2 to 5): one pass over the bytes, no recovery. Bare CR or
 * LF, NUL and other controls, obs-fold, white space before the colon and empty names are errors, because two
 * parsers that repair them differently are how requests get smuggled.
 */
export interface HeadLimits {
  readonly totalBytes: number;
  readonly lineBytes: number;
  readonly fields: number;
}

/** The lines of a head, split. For a response: version, status, reason in startLine. */
export interface RawHead {
  readonly startLine: readonly [string, string, string];
  readonly fields: Fields;
  /** Offset of the first byte after the head. */
  readonly end: number;
}

export type HeadScan = RawHead | BadHead | undefined;

const FIELDS_SLOTS = 4096;
/** Offsets of name start, name end, value start, value end of each field; shared, as a scan never yields. */
const offsets = new Int32Array(FIELDS_SLOTS * 4);

const bad = (status: number, reason: string): BadHead => ({ status, reason });

/** Scans a request head; undefined = not all there yet. */
// oxlint-disable-next-line complexity -- one pass over the bytes; every branch is a framing rule of its own
export function scanRequestHead(bytes: Buffer, start: number, limits: HeadLimits): HeadScan {
  const end = bytes.length;
  let at = start;
  // RFC 9112 section 2.2: an empty line or two before the request line is ignored.
  for (let skipped = 0; at + 1 < end && bytes[at] === CR && bytes[at + 1] === LF && skipped < 2; skipped++)
    at += 2;
  const first = at;
  while (at < end && METHOD[bytes[at]!] === 1) at++;
  const methodEnd = at;
  if (at === end) return incompleteLine(at - first, limits);
  if (bytes[at] === CR && at + 1 === end && at === first) return undefined;
  if (bytes[at] !== SP || at === first) return bad(400, 'bad method');
  const target = ++at;
  while (at < end && TARGET[bytes[at]!] === 1) at++;
  const targetEnd = at;
  if (targetEnd - target > limits.lineBytes) return bad(414, 'request target too long');
  if (at === end) return undefined;
  if (bytes[at] !== SP || at === target) return bad(400, 'bad request target');
  const version = ++at;
  while (at < end && bytes[at] !== CR && bytes[at] !== LF && at - version < 9) at++;
  if (at + 1 >= end) return at - version > 8 ? bad(400, 'bad version') : undefined;
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return bad(400, 'bad request line');
  const scanned = scanFields(bytes, at + 2, first, limits);
  if (typeof scanned !== 'number') return scanned;
  const text = bytes.toString('latin1', first, headEnd);
  return {
    startLine: [
      text.slice(0, methodEnd - first),
      text.slice(target - first, targetEnd - first),
      text.slice(version - first, at - first),
    ],
    fields: sliceFields(text, first, scanned),
    end: headEnd,
  };
}

/** Scans a response head; undefined = not all there yet. */
export function scanResponseHead(bytes: Buffer, start: number, limits: HeadLimits): HeadScan {
  const end = bytes.length;
  const lineEnd = bytes.indexOf(CR, start);
  if (lineEnd < 0 || lineEnd + 1 >= end) {
    if (end - start > limits.lineBytes) return bad(502, 'status line too long');
    if (lineEnd < 0 && bytes.indexOf(LF, start) >= 0) return bad(502, 'bare LF after the status line');
    return looksLikeHttp(bytes, start) ? undefined : bad(502, 'not HTTP');
  }
  if (!isStatusLine(bytes, start, lineEnd)) return bad(502, 'bad status line');
  const scanned = scanFields(bytes, lineEnd + 2, start, limits);
  if (typeof scanned !== 'number') return scanned ? bad(502, scanned.reason) : undefined;
  const text = bytes.toString('latin1', start, headEnd);
  return {
    startLine: [text.slice(0, 8), text.slice(9, 12), text.slice(13, lineEnd - start)],
    fields: sliceFields(text, start, scanned),
    end: headEnd,
  };
}

const HTTP_1 = Buffer.from('HTTP/1.');

/** `HTTP/1.x SP 3DIGIT [SP reason] CR LF` (RFC 9112 section 4); the CR stands at lineEnd. */
function isStatusLine(bytes: Buffer, start: number, lineEnd: number): boolean {
  if (lineEnd - start < 12 || bytes[lineEnd + 1] !== LF) return false;
  for (let i = 0; i < HTTP_1.length; i++) if (bytes[start + i] !== HTTP_1[i]) return false;
  const minor = bytes[start + 7]! - DIGIT_0;
  const hundreds = bytes[start + 9]! - DIGIT_0;
  if ((minor !== 0 && minor !== 1) || bytes[start + 8] !== SP || hundreds < 1 || hundreds > 9) return false;
  if (!isDigit(bytes[start + 10]!) || !isDigit(bytes[start + 11]!)) return false;
  if (lineEnd - start === 12) return true;
  if (bytes[start + 12] !== SP) return false;
  for (let at = start + 13; at < lineEnd; at++) if (FIELD_CONTENT[bytes[at]!] === 0) return false;
  return true;
}

const DIGIT_0 = 48;
const isDigit = (byte: number): boolean => byte >= DIGIT_0 && byte <= 57;

/** Scans a trailer section (fields up to the empty line). */
export function scanTrailers(bytes: Buffer, start: number, limits: HeadLimits): HeadScan {
  const scanned = scanFields(bytes, start, start, limits);
  if (typeof scanned !== 'number') return scanned;
  const text = bytes.toString('latin1', start, headEnd);
  return { startLine: ['', '', ''], fields: sliceFields(text, start, scanned), end: headEnd };
}

/** Where the last successful scanFields ended: a second result without an allocation. */
let headEnd = 0;

/** The number of fields, with their offsets in `offsets` and the end in `headEnd`. */
function scanFields(
  bytes: Buffer,
  from: number,
  first: number,
  limits: HeadLimits,
): number | BadHead | undefined {
  const end = Math.min(bytes.length, first + limits.totalBytes + 1);
  const cut = end < bytes.length || end - first > limits.totalBytes;
  let at = from;
  for (let count = 0; ; count++) {
    if (at + 1 >= end) return cut ? bad(431, 'request head too large') : undefined;
    if (bytes[at] === CR && bytes[at + 1] === LF) {
      headEnd = at + 2;
      return headEnd - first > limits.totalBytes ? bad(431, 'request head too large') : count;
    }
    if (count >= limits.fields || count >= FIELDS_SLOTS) return bad(431, 'too many header fields');
    const next = scanField(bytes, at, end, count);
    if (typeof next !== 'number')
      return next ?? (cut || end - at > limits.lineBytes ? bad(431, 'header field too large') : undefined);
    if (next - at > limits.lineBytes) return bad(431, 'header field too large');
    at = next;
  }
}

/** The offset after one field line, an error, or undefined when the line is not complete. */
function scanField(bytes: Buffer, from: number, end: number, count: number): number | BadHead | undefined {
  let at = from;
  while (at < end && TOKEN[bytes[at]!] === 1) at++;
  if (at === end) return undefined;
  if (bytes[at] !== COLON || at === from) return bad(400, badNameReason(bytes[from]!, bytes[at]!));
  const nameEnd = at++;
  while (at < end && (bytes[at] === SP || bytes[at] === HT)) at++;
  const value = at;
  while (at < end && FIELD_CONTENT[bytes[at]!] === 1) at++;
  if (at + 1 >= end)
    return at < end && bytes[at] !== CR ? bad(400, 'control character in a header field') : undefined;
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return bad(400, 'control character in a header field');
  let valueEnd = at;
  while (valueEnd > value && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HT)) valueEnd--;
  const slot = count * 4;
  offsets[slot] = from;
  offsets[slot + 1] = nameEnd;
  offsets[slot + 2] = value;
  offsets[slot + 3] = valueEnd;
  return at + 2;
}

function sliceFields(text: string, first: number, count: number): Fields {
  const fields = new Fields();
  for (let i = 0; i < count; i++) {
    const slot = i * 4;
    const name = nameAt(text, offsets[slot]! - first, offsets[slot + 1]! - first);
    fields.push(name, text.slice(offsets[slot + 2]! - first, offsets[slot + 3]! - first));
  }
  return fields;
}

const NAME_SLOTS = 1024;
const NAME_KEPT_LENGTH_MAX = 64;
/** Names seen lately, by length and three of their characters: for those no string has to be made. */
const namesSeen: (FieldName | undefined)[] = Array.from({ length: NAME_SLOTS });

function nameAt(text: string, start: number, end: number): FieldName {
  const middle = text.charCodeAt((start + end) >> 1);
  const hash =
    (end - start) * 37 + text.charCodeAt(start) * 11 + middle * 67 + text.charCodeAt(end - 1) * 131;
  const slot = hash & (NAME_SLOTS - 1);
  const seen = namesSeen[slot];
  if (seen !== undefined && seen.raw.length === end - start && text.startsWith(seen.raw, start)) return seen;
  // a slice would hold the whole head in memory as long as the name is remembered
  const name = fieldName(Buffer.from(text.slice(start, end), 'latin1').toString('latin1'));
  if (end - start <= NAME_KEPT_LENGTH_MAX) namesSeen[slot] = name;
  return name;
}

function badNameReason(lineStart: number, byte: number): string {
  if (lineStart === SP || lineStart === HT) return 'obsolete line folding';
  return byte === SP || byte === HT ? 'white space before a colon' : 'bad header field name';
}

function incompleteLine(length: number, limits: HeadLimits): BadHead | undefined {
  return length > limits.lineBytes || length > 64 ? bad(400, 'bad method') : undefined;
}

function looksLikeHttp(bytes: Buffer, start: number): boolean {
  const head = bytes.toString('latin1', start, Math.min(bytes.length, start + 5));
  return 'HTTP/'.startsWith(head) || head === 'HTTP/';
}
