import { formatAddress, parseAddress } from '../../src/net/ip.ts';
import type { SvcParameter } from './rdata-schema.ts';
import type { ZoneWord } from './zone-words.ts';

/** SvcParamKeys (RFC 9460 14.3.2, RFC 9461). */
const KEYS: readonly string[] = [
  'mandatory',
  'alpn',
  'no-default-alpn',
  'port',
  'ipv4hint',
  'ech',
  'ipv6hint',
  'dohpath',
];

export function keyName(key: number): string {
  return KEYS[key] ?? `key${key}`;
}

export function keyNumber(name: string): number | undefined {
  const known = KEYS.indexOf(name);
  if (known >= 0) return known;
  const generic = /^key(\d{1,5})$/.exec(name);
  return generic && Number(generic[1]) <= 0xffff ? Number(generic[1]) : undefined;
}

/** Presentation form: known keys in their own syntax where their value is well formed, else as octets. */
export function formatParameters(parameters: readonly SvcParameter[]): string {
  return [...parameters]
    .sort((a, b) => a.key - b.key)
    .map(({ key, value }) => {
      const shown = value.length === 0 ? '' : (formatKnown(key, value) ?? `"${escapeOctets(value, '')}"`);
      return shown === '' ? keyName(key) : `${keyName(key)}=${shown}`;
    })
    .join(' ');
}

function formatKnown(key: number, value: Uint8Array): string | undefined {
  const name = keyName(key);
  if (name === 'mandatory' && value.length % 2 === 0) return pairs(value).map(keyName).join(',');
  if (name === 'alpn') return formatAlpn(value);
  if (name === 'port' && value.length === 2) return String((value[0]! << 8) | value[1]!);
  if (name === 'ipv4hint' && value.length % 4 === 0) return hints(value, 4);
  if (name === 'ipv6hint' && value.length % 16 === 0) return hints(value, 16);
  if (name === 'ech') return Buffer.from(value).toString('base64');
  return undefined;
}

function pairs(value: Uint8Array): number[] {
  return Array.from({ length: value.length / 2 }, (_, i) => (value[i * 2]! << 8) | value[i * 2 + 1]!);
}

function hints(value: Uint8Array, size: number): string {
  const count = value.length / size;
  return Array.from({ length: count }, (_, i) =>
    formatAddress(value.subarray(i * size, (i + 1) * size)),
  ).join(',');
}

function formatAlpn(value: Uint8Array): string | undefined {
  const ids: string[] = [];
  for (let at = 0; at < value.length; at += value[at]! + 1) {
    const end = at + 1 + value[at]!;
    if (end > value.length || value[at] === 0) return undefined;
    ids.push(escapeOctets(value.subarray(at + 1, end), ',\\'));
  }
  return `"${ids.join(',')}"`;
}

/** Octets in quotes; `extra` characters are escaped once more, as value lists need (RFC 9460 A.1). */
function escapeOctets(octets: Uint8Array, extra: string): string {
  let out = '';
  for (const byte of octets) {
    const char = String.fromCharCode(byte);
    if (extra.includes(char) && extra !== '') out += char === '\\' ? '\\\\\\\\' : `\\\\${char}`;
    else if (char === '"' || char === '\\') out += `\\${char}`;
    else out += byte < 0x20 || byte > 0x7e ? `\\${String(byte).padStart(3, '0')}` : char;
  }
  return out;
}

/** Words such as `alpn=h2,h3 port=443`; undefined when one is wrong or repeated. */
export function parseParameters(words: readonly ZoneWord[]): SvcParameter[] | undefined {
  const parameters: SvcParameter[] = [];
  for (let i = 0; i < words.length; i++) {
    const [, name = '', equals, inline = ''] = /^([a-z0-9-]+)(=)?([\s\S]*)$/.exec(words[i]!.text) ?? [];
    // `alpn="a b"` comes as two words: the key with its equals sign, then the quoted value.
    const quoted =
      equals !== undefined && inline === '' && words[i + 1]?.quoted ? words[++i]!.text : undefined;
    const key = keyNumber(name);
    const value = key === undefined ? undefined : parseValue(key, quoted ?? inline);
    if (key === undefined || !value || parameters.some((other) => other.key === key)) return undefined;
    parameters.push({ key, value });
  }
  return parameters.sort((a, b) => a.key - b.key);
}

function parseValue(key: number, text: string): Uint8Array | undefined {
  const octets = unescapeOctets(text);
  if (!octets) return undefined;
  const plain = Buffer.from(octets).toString('latin1');
  switch (keyName(key)) {
    case 'mandatory': {
      const keys = plain.split(',').map(keyNumber);
      return keys.every((number) => number !== undefined)
        ? Uint8Array.from(keys.sort((a, b) => a - b).flatMap((number) => [number >> 8, number & 0xff]))
        : undefined;
    }
    case 'alpn':
      return parseAlpn(octets);
    case 'no-default-alpn':
      return octets.length === 0 ? octets : undefined;
    case 'port':
      return /^\d{1,5}$/.test(plain) && Number(plain) <= 0xffff
        ? Uint8Array.of(Number(plain) >> 8, Number(plain) & 0xff)
        : undefined;
    case 'ipv4hint':
      return addresses(plain, 4);
    case 'ipv6hint':
      return addresses(plain, 16);
    case 'ech':
      return Uint8Array.from(Buffer.from(plain, 'base64'));
    default:
      return octets;
  }
}

function addresses(text: string, size: number): Uint8Array | undefined {
  const parsed = text.split(',').map((one) => parseAddress(one));
  if (!parsed.every((bytes) => bytes?.length === size)) return undefined;
  return Uint8Array.from(parsed.flatMap((bytes) => [...bytes!]));
}

/** A comma-separated list whose items may hold escaped commas and backslashes. */
function parseAlpn(octets: Uint8Array): Uint8Array | undefined {
  const out: number[] = [];
  let id: number[] = [];
  const finish = (): boolean => {
    if (id.length === 0 || id.length > 255) return false;
    out.push(id.length, ...id);
    id = [];
    return true;
  };
  for (let i = 0; i < octets.length; i++) {
    if (octets[i] === 0x2c) {
      if (!finish()) return undefined;
    } else if (octets[i] === 0x5c && i + 1 < octets.length) id.push(octets[++i]!);
    else id.push(octets[i]!);
  }
  return finish() ? Uint8Array.from(out) : undefined;
}

function unescapeOctets(text: string): Uint8Array | undefined {
  const out: number[] = [];
  const bytes = Buffer.from(text, 'utf8');
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== 0x5c) {
      out.push(bytes[i]!);
      continue;
    }
    const digits = /^\d{3}/.exec(bytes.toString('latin1', i + 1, i + 4))?.[0];
    if (digits && Number(digits) > 255) return undefined;
    if (digits) {
      out.push(Number(digits));
      i += 3;
    } else if (i + 1 < bytes.length) out.push(bytes[++i]!);
    else return undefined;
  }
  return Uint8Array.from(out);
}
