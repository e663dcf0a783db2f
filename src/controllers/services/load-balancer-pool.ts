import { cidrAddressAt, parseCidr } from '../../net/cidr.ts';
import { canonicalAddress, type Family, familyOf, formatAddress, parseAddress } from '../../net/ip.ts';
import type { LabelSelector } from '../../api/kinds/meta.ts';

/** A pool of load-balancer addresses. */
export interface LoadBalancerPool {
  readonly name: string;
  /** CIDRs, ranges `a-b`, and single addresses. */
  readonly addresses: readonly string[];
  /** Gives addresses to services that ask for none; false = only on request. Default true. */
  readonly autoAssign?: boolean;
  /** Leaves out addresses that end in .0 and .255. */
  readonly avoidBuggyIPs?: boolean;
  /** Lower first; absent or 0 last. */
  readonly priority?: number;
  /** Only for these namespaces; absent = all. */
  readonly namespaces?: readonly string[];
  readonly namespaceSelectors?: readonly LabelSelector[];
  /** Only for services with these labels; absent = all. */
  readonly serviceSelectors?: readonly LabelSelector[];
}

/** An inclusive span of one family's addresses as integers. */
export interface Span {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/** Undefined when the text is neither an address, a CIDR nor a range of one family in order. */
export function parseSpan(text: string): Span | undefined {
  const trimmed = text.trim();
  if (trimmed.includes('/')) {
    const cidr = parseCidr(trimmed);
    if (!cidr) return undefined;
    const first = toInteger(cidr.network);
    const size = 1n << BigInt(cidr.network.length * 8 - cidr.prefixBits);
    return cidrAddressAt(cidr, 0n) === undefined
      ? undefined
      : { family: cidr.family, first, last: first + size - 1n };
  }
  const [from = '', to = from] = trimmed.split('-').map((part) => part.trim());
  const family = familyOf(from);
  const first = parseAddress(from);
  const last = parseAddress(to);
  if (!family || familyOf(to) !== family || !first || !last) return undefined;
  const span = { family, first: toInteger(first), last: toInteger(last) };
  return span.first <= span.last ? span : undefined;
}

/** The pool's spans, and its texts that are none. */
export function poolSpans(pool: LoadBalancerPool): { spans: Span[]; faults: string[] } {
  const spans: Span[] = [];
  const faults: string[] = [];
  for (const text of pool.addresses) {
    const span = parseSpan(text);
    if (span) spans.push(span);
    else faults.push(text);
  }
  return { spans, faults };
}

export function poolContains(pool: LoadBalancerPool, address: string): boolean {
  const family = familyOf(address);
  const bytes = parseAddress(address);
  if (!family || !bytes) return false;
  const value = toInteger(bytes);
  if (pool.avoidBuggyIPs && isBuggy(family, value)) return false;
  return poolSpans(pool).spans.some(
    (span) => span.family === family && span.first <= value && value <= span.last,
  );
}

/** The pool's first address of the family that `isFree` accepts. */
export function firstFree(
  pool: LoadBalancerPool,
  family: Family,
  isFree: (address: string) => boolean,
): string | undefined {
  for (const span of poolSpans(pool).spans) {
    if (span.family !== family) continue;
    for (let value = span.first; value <= span.last; value++) {
      if (pool.avoidBuggyIPs && isBuggy(family, value)) continue;
      const address = fromInteger(family, value);
      if (isFree(address)) return address;
    }
  }
  return undefined;
}

/** Lower priority numbers first, those without one last; then by name. */
export function byPriority(a: LoadBalancerPool, b: LoadBalancerPool): number {
  const left = a.priority || Number.POSITIVE_INFINITY;
  const right = b.priority || Number.POSITIVE_INFINITY;
  return left === right ? (a.name < b.name ? -1 : 1) : left - right;
}

function isBuggy(family: Family, value: bigint): boolean {
  const last = value & 0xffn;
  return family === 'IPv4' && (last === 0n || last === 255n);
}

function toInteger(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function fromInteger(family: Family, value: bigint): string {
  const bytes = new Uint8Array(family === 'IPv4' ? 4 : 16);
  let rest = value;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  const text = formatAddress(bytes);
  return canonicalAddress(text) ?? text;
}
