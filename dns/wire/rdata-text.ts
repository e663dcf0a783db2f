import { canonicalAddress, familyOf } from '../../src/net/ip.ts';
import { parseType, type RecordType } from './numbers.ts';
import type { FieldKind, FieldTypes } from './rdata-schema.ts';
import { formatParameters, parseParameters } from './svc-parameters.ts';
import { zoneName, type ZoneWord } from './zone-words.ts';

export interface WordCursor {
  readonly words: readonly ZoneWord[];
  at: number;
  readonly origin: string;
}

type Formatters = { readonly [K in FieldKind]: (value: FieldTypes[K]) => string };
/** Each takes its words off the cursor and returns undefined when they are wrong. */
type Parsers = { readonly [K in FieldKind]: (cursor: WordCursor) => FieldTypes[K] | undefined };

const BASE32 = '0123456789ABCDEFGHIJKLMNOPQRSTUV';

export const FORMAT_FIELD: Formatters = {
  u8: String,
  u16: String,
  u32: String,
  u48: String,
  time: formatTime,
  ipv4: (value) => value,
  ipv6: (value) => value,
  name: (value) => value,
  compressible: (value) => value,
  text: quote,
  texts: (value) => value.map(quote).join(' '),
  rest: quote,
  hex: (value) => Buffer.from(value).toString('hex').toUpperCase() || '-',
  base64: (value) => Buffer.from(value).toString('base64'),
  saltHex: (value) => (value.length === 0 ? '-' : Buffer.from(value).toString('hex').toUpperCase()),
  hashBase32: formatBase32,
  blob16: (value) => `${value.length} ${Buffer.from(value).toString('base64')}`.trim(),
  type: (value) => value,
  types: (value) => value.join(' '),
  parameters: formatParameters,
};

export const PARSE_FIELD: Parsers = {
  u8: (cursor) => integer(cursor, 0xff),
  u16: (cursor) => integer(cursor, 0xffff),
  u32: (cursor) => integer(cursor, 0xffffffff),
  u48: (cursor) => integer(cursor, 0xffffffffffff),
  time: parseTime,
  ipv4: (cursor) => address(cursor, 'IPv4'),
  ipv6: (cursor) => address(cursor, 'IPv6'),
  name: parseNameWord,
  compressible: parseNameWord,
  text: parseText,
  texts: (cursor) => {
    const texts: string[] = [];
    while (cursor.at < cursor.words.length) {
      const text = parseText(cursor);
      if (text === undefined) return undefined;
      texts.push(text);
    }
    return texts.length > 0 ? texts : undefined;
  },
  rest: (cursor) => {
    const word = take(cursor);
    return word === undefined ? undefined : unescape(word);
  },
  hex: (cursor) => bytesOf(rest(cursor).replace(/^-$/, ''), /^([0-9a-f]{2})*$/i, 'hex'),
  base64: (cursor) => bytesOf(rest(cursor), /^[A-Za-z0-9+/]*={0,2}$/, 'base64'),
  saltHex: (cursor) => bytesOf((take(cursor) ?? '?').replace(/^-$/, ''), /^([0-9a-f]{2})*$/i, 'hex'),
  hashBase32: parseBase32,
  blob16: (cursor) => {
    const length = integer(cursor, 0xffff);
    if (length === undefined) return undefined;
    const bytes =
      length === 0 ? new Uint8Array(0) : bytesOf(take(cursor) ?? '?', /^[A-Za-z0-9+/]*={0,2}$/, 'base64');
    return bytes?.length === length ? bytes : undefined;
  },
  type: (cursor) => parseType(take(cursor) ?? ''),
  types: (cursor) => {
    const types: RecordType[] = [];
    while (cursor.at < cursor.words.length) {
      const type = parseType(take(cursor)!);
      if (!type) return undefined;
      types.push(type);
    }
    return types;
  },
  parameters: (cursor) => {
    const words = cursor.words.slice(cursor.at);
    cursor.at = cursor.words.length;
    return parseParameters(words);
  },
};

function take(cursor: WordCursor): string | undefined {
  return cursor.words[cursor.at++]?.text;
}

function rest(cursor: WordCursor): string {
  const words = cursor.words.slice(cursor.at);
  cursor.at = cursor.words.length;
  return words.map((word) => word.text).join('');
}

function integer(cursor: WordCursor, max: number): number | undefined {
  const word = take(cursor) ?? '';
  return /^\d{1,15}$/.test(word) && Number(word) <= max ? Number(word) : undefined;
}

function address(cursor: WordCursor, family: 'IPv4' | 'IPv6'): string | undefined {
  const word = take(cursor) ?? '';
  return familyOf(word) === family ? canonicalAddress(word) : undefined;
}

function parseNameWord(cursor: WordCursor): string | undefined {
  return zoneName(take(cursor) ?? '', cursor.origin);
}

function parseText(cursor: WordCursor): string | undefined {
  const word = take(cursor);
  const text = word === undefined ? undefined : unescape(word);
  return text !== undefined && text.length <= 255 ? text : undefined;
}

function bytesOf(text: string, shape: RegExp, encoding: 'hex' | 'base64'): Uint8Array | undefined {
  return shape.test(text) ? Uint8Array.from(Buffer.from(text, encoding)) : undefined;
}

/** Quoted, with everything outside of printable ASCII as \DDD. */
export function quote(text: string): string {
  const body = Array.from(text, (char) => {
    const code = char.charCodeAt(0);
    if (char === '"' || char === '\\') return `\\${char}`;
    return code < 0x20 || code > 0x7e ? `\\${String(code).padStart(3, '0')}` : char;
  });
  return `"${body.join('')}"`;
}

/** A byte string; undefined for a bad escape. Characters beyond Latin-1 become their UTF-8 bytes. */
export function unescape(word: string): string | undefined {
  const text = Buffer.from(word, 'utf8').toString('latin1');
  let out = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '\\') {
      out += text[i];
      continue;
    }
    const digits = /^\d{3}/.exec(text.slice(i + 1, i + 4))?.[0];
    if (digits) {
      if (Number(digits) > 255) return undefined;
      out += String.fromCharCode(Number(digits));
      i += 3;
    } else if (i + 1 < text.length) out += text[++i];
    else return undefined;
  }
  return out;
}

/** YYYYMMDDHHmmSS of a 32-bit time (RFC 4034 3.2). */
function formatTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/[-:T]|\.000Z/g, '');
}

function parseTime(cursor: WordCursor): number | undefined {
  const word = take(cursor) ?? '';
  if (/^\d{1,10}$/.test(word)) return Number(word) <= 0xffffffff ? Number(word) : undefined;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(word);
  if (!parts) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number);
  const ms = Date.UTC(year!, month! - 1, day, hour, minute, second);
  return Number.isNaN(ms) ? undefined : (ms / 1000) % 0x100000000;
}

/** RFC 4648 "base32hex" without padding, as NSEC3 shows hashes. */
function formatBase32(bytes: Uint8Array): string {
  let out = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += BASE32[(buffer >> bits) & 31];
    }
  }
  return bits > 0 ? out + BASE32[(buffer << (5 - bits)) & 31] : out;
}

function parseBase32(cursor: WordCursor): Uint8Array | undefined {
  const out: number[] = [];
  let buffer = 0;
  let bits = 0;
  for (const char of (take(cursor) ?? '').toUpperCase()) {
    const value = BASE32.indexOf(char);
    if (value < 0) return undefined;
    buffer = ((buffer << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push((buffer >> bits) & 0xff);
    }
  }
  return Uint8Array.from(out);
}
