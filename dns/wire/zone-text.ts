import type { ResourceRecord } from './message.ts';
import { parseClass, parseType, type RecordClass, type RecordType } from './numbers.ts';
import { decodeRdata } from './decode.ts';
import { encodeRdata } from './encode.ts';
import { fieldsOf } from './rdata-schema.ts';
import { FORMAT_FIELD, PARSE_FIELD } from './rdata-text.ts';
import { zoneName, zoneWords, type ZoneWord } from './zone-words.ts';

/** One record as a zone file line: `name ttl class type rdata`, names absolute (RFC 1035 5.1). */
export function formatRecord(record: ResourceRecord): string {
  return `${record.name} ${record.ttl} ${record.class} ${record.type} ${formatRdata(record)}`;
}

export function formatRdata(record: ResourceRecord): string {
  const data = record.data as unknown as Readonly<Record<string, unknown>>;
  const fields = fieldsOf(record.type);
  if (!fields || data['octets'] instanceof Uint8Array) return generic(encodeRdata(record));
  return fields
    .map(([field, kind]) => (FORMAT_FIELD[kind] as (value: unknown) => string)(data[field]))
    .join(' ')
    .trim();
}

/** RFC 3597 section 5. */
function generic(octets: Uint8Array): string {
  const hex = Buffer.from(octets).toString('hex');
  return `\\# ${octets.length}${hex === '' ? '' : ` ${hex}`}`;
}

export interface RecordDefaults {
  /** Relative names end here. */
  readonly origin: string;
  readonly ttl: number;
  readonly class: RecordClass;
}

const PLAIN_DEFAULTS: RecordDefaults = { origin: '.', ttl: 3600, class: 'IN' };

export type ParsedRecord =
  | { readonly ok: true; readonly record: ResourceRecord }
  | { readonly ok: false; readonly reason: string };

/** Reads `name [ttl] [class] type rdata`; ttl and class in either order. Never throws. */
export function parseRecord(line: string, defaults: RecordDefaults = PLAIN_DEFAULTS): ParsedRecord {
  const words = zoneWords(line);
  if (!words) return { ok: false, reason: 'a quote is never closed' };
  const [owner, ...rest] = words;
  if (!owner) return { ok: false, reason: 'nothing there' };
  const name = zoneName(owner.text, defaults.origin);
  if (name === undefined) return { ok: false, reason: `"${owner.text}" is not a name` };
  return parseRecordBody(name, rest, defaults);
}

/** Reads everything behind the owner name. */
export function parseRecordBody(
  name: string,
  words: readonly ZoneWord[],
  defaults: RecordDefaults,
): ParsedRecord {
  let { ttl, class: recordClass } = defaults;
  let at = 0;
  for (; at < 2 && words[at]; at++) {
    const { text } = words[at]!;
    const seconds = parseTtl(text);
    const named = parseClass(text);
    if (seconds !== undefined) ttl = seconds;
    else if (named) recordClass = named;
    else break;
  }
  const type = words[at] && parseType(words[at]!.text);
  if (!type) return { ok: false, reason: `"${words[at]?.text ?? ''}" is not a record type` };
  const data = parseRdata(type, words.slice(at + 1), defaults.origin);
  if (data === undefined) return { ok: false, reason: `the data of this ${type} record cannot be read` };
  return { ok: true, record: { name, ttl, class: recordClass, type, data } as ResourceRecord };
}

/** Seconds, or units as in `1h30m`; undefined when it is no ttl. */
export function parseTtl(text: string): number | undefined {
  if (/^\d{1,10}$/.test(text)) return Number(text) <= 0xffffffff ? Number(text) : undefined;
  if (!/^(\d{1,10}[smhdw])+$/i.test(text)) return undefined;
  const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)([smhdw])/gi)) {
    total += Number(amount) * units[unit!.toLowerCase()]!;
  }
  return total <= 0xffffffff ? total : undefined;
}

function parseRdata(type: RecordType, words: readonly ZoneWord[], origin: string): unknown {
  if (words[0]?.text === '\\#' && !words[0].quoted) return parseGeneric(type, words.slice(1));
  const fields = fieldsOf(type);
  if (!fields) return undefined;
  const cursor = { words, at: 0, origin };
  const data: Record<string, unknown> = {};
  for (const [field, kind] of fields) {
    const value = PARSE_FIELD[kind](cursor);
    if (value === undefined) return undefined;
    data[field] = value;
  }
  return cursor.at === words.length ? data : undefined;
}

function parseGeneric(type: RecordType, words: readonly ZoneWord[]): unknown {
  const hex = words
    .slice(1)
    .map((word) => word.text)
    .join('');
  if (!/^([0-9a-f]{2})*$/i.test(hex) || Number(words[0]?.text) !== hex.length / 2) return undefined;
  return decodeRdata(type, Uint8Array.from(Buffer.from(hex, 'hex')));
}
