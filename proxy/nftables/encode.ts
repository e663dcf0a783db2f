import { Fault } from '../../src/base/fault.ts';
import { parseCidr } from '../../src/net/cidr.ts';
import { parseAddress } from '../../src/net/ip.ts';
import type { NftElement, NftElementChange, NftVerdict } from '../../src/net/netlink/nft-elements.ts';
import { DECLARATIONS, FIELD } from './elements.ts';

/** Several values in one key lie at multiples of this size, as in the registers they are compared with. */
const WORD_BYTES = 4;

/** First and last value of a range; one value is its own range. */
type Bounds = readonly [Uint8Array, Uint8Array];

/** How one part of a key or value is laid out. */
type Encode = (text: string) => Bounds;

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** Parts of a declaration by nft's words for them. */
const PARTS: Readonly<Record<string, Encode>> = {
  '{a}': address,
  '{ip} daddr': address,
  'meta l4proto': protocol,
  inet_proto: protocol,
  'th dport': port,
  inet_service: port,
  'meta priority': number,
  'numgen random mod 65536': number,
};

interface Layout {
  readonly key: readonly Encode[];
  /** Absent: a set. */
  readonly value?: readonly Encode[] | 'verdict';
  readonly isInterval: boolean;
}

/** One source of truth: what `nft` is told of a map says how its elements are laid out. */
const LAYOUTS: ReadonlyMap<string, Layout> = new Map(
  Object.entries(DECLARATIONS).map(([name, declaration]) => [name, layoutOf(declaration)]),
);

/** The commands `VERB element ...` of render.ts in the kernel's own form. */
export function encodeElements(
  verb: 'add' | 'delete',
  elements: Iterable<readonly [string, string]>,
): NftElementChange[] {
  const bySet = new Map<string, NftElement[]>();
  for (const [id, value] of elements) {
    const cut = id.indexOf(FIELD);
    const set = id.slice(0, cut);
    const list = bySet.get(set) ?? [];
    if (list.length === 0) bySet.set(set, list);
    list.push(encodeElement(set, id.slice(cut + 1), value));
  }
  return Array.from(bySet, ([set, list]) => ({ verb, set, elements: list }));
}

/** The key of an element as the kernel compares it. */
export function encodeKey(set: string, key: string): Uint8Array {
  return encodeElement(set, key, '').key;
}

/** What an element of a map holds. */
export function encodeMapped(map: string, value: string): Uint8Array {
  const { value: parts } = layoutNamed(map);
  if (!parts || parts === 'verdict') throw new Fault('NFT_LAYOUT', `${map} maps to no values`);
  return encodeParts(parts, value)[0];
}

/** The key of the only element of the set `state`. */
export const STATE_KEY = number('1')[0];

function layoutNamed(set: string): Layout {
  const layout = LAYOUTS.get(set);
  if (!layout) throw new Fault('NFT_LAYOUT', `no layout of ${set}`);
  return layout;
}

function encodeElement(set: string, key: string, value: string): NftElement {
  const layout = layoutNamed(set);
  const [first, last] = encodeParts(layout.key, key);
  return {
    key: first,
    ...(layout.isInterval && { keyEnd: last }),
    ...(layout.value && value !== '' && { value: encodeValue(layout.value, value) }),
  };
}

function encodeValue(value: readonly Encode[] | 'verdict', text: string): Uint8Array | NftVerdict {
  if (value !== 'verdict') return encodeParts(value, text)[0];
  return text === 'drop' ? { verdict: 'drop' } : { verdict: 'goto', chain: text.slice('goto '.length) };
}

/** Parts as `.` joins them. */
function encodeParts(parts: readonly Encode[], text: string): Bounds {
  const bounds = text.split(' . ').map((part, i) => (parts[i] ?? number)(part));
  return [packed(bounds.map(([first]) => first)), packed(bounds.map(([, last]) => last))];
}

/** A part alone keeps its size; parts beside others are filled up. */
function packed(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only) return only;
  const size = (part: Uint8Array): number => Math.ceil(part.length / WORD_BYTES) * WORD_BYTES;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + size(part), 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += size(part);
  }
  return bytes;
}

/** `map {typeof A . B : C;}`, `set {type A; flags interval;}`. */
function layoutOf(declaration: string): Layout {
  const types = /\{type(?:of)? ([^;]*);/.exec(declaration)?.[1] ?? '';
  const [key = '', value] = types.split(' : ');
  const parts = (text: string): readonly Encode[] =>
    text.split(' . ').map((part) => {
      const encode = PARTS[part];
      if (!encode) throw new Fault('NFT_LAYOUT', `no layout of "${part}"`);
      return encode;
    });
  return {
    key: parts(key),
    ...(value !== undefined && { value: value === 'verdict' ? value : parts(value) }),
    isInterval: declaration.includes('flags interval'),
  };
}

/** An address, or a range of them as a CIDR. */
function address(text: string): Bounds {
  const cidr = parseCidr(text);
  const first = cidr?.network ?? parseAddress(text);
  if (!first) throw new Fault('NFT_LAYOUT', `${text} is no address`);
  const last = first.map((byte, i) => {
    const hostBits = cidr ? Math.min(8, Math.max(0, (i + 1) * 8 - cidr.prefixBits)) : 0;
    return byte | (2 ** hostBits - 1);
  });
  return [first, last];
}

function protocol(text: string): Bounds {
  const value = Uint8Array.of(PROTOCOLS[text] ?? Number(text));
  return [value, value];
}

function port(text: string): Bounds {
  const value = Uint8Array.of(Number(text) >> 8, Number(text) & 0xff);
  return [value, value];
}

/** Registers hold numbers in the order of the machine. */
function number(text: string): Bounds {
  const value = new Uint8Array(Uint32Array.of(Number(text)).buffer);
  return [value, value];
}
