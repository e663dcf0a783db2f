import { type Cidr, cidrContains, formatCidr, parseCidr } from '../../../net/cidr.ts';
import { canonicalAddress, familyOf, formatAddress } from '../../../net/ip.ts';
import {
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
} from '../quantity.ts';
import { CelError } from './budget.ts';
import type { FunctionTable } from './functions.ts';
import { compareVersions } from './functions-semver.ts';
import { CelOpaque, type CelValue, typeName } from './values.ts';

const textOf = (value: CelValue | undefined): string => (typeof value === 'string' ? value : '');

function opaque(value: CelValue | undefined, type: CelOpaque['type']): CelOpaque {
  if (value instanceof CelOpaque && value.type === type) return value;
  throw new CelError(`no such overload: expected ${type}, got ${typeName(value ?? null)}`);
}

function ip(value: CelValue | undefined): CelOpaque {
  const text = canonicalAddress(textOf(value));
  if (text === undefined || textOf(value).includes('%')) throw new CelError('IP Address parse error');
  return new CelOpaque('net.IP', text, text);
}

function cidr(value: CelValue | undefined): CelOpaque {
  const parsed = parseCidr(textOf(value));
  if (!parsed) throw new CelError('network address parse error');
  return new CelOpaque('net.CIDR', formatCidr(parsed), parsed);
}

function url(value: CelValue | undefined): CelOpaque {
  const text = textOf(value);
  // Go's ParseRequestURI: absolute, or a path from the root.
  if (!URL.canParse(text) && !(text.startsWith('/') && URL.canParse(text, 'http://x'))) {
    throw new CelError('URL parse error');
  }
  return new CelOpaque(
    'kubernetes.URL',
    text,
    URL.canParse(text) ? new URL(text) : new URL(text, 'http://x'),
  );
}

function quantity(value: CelValue | undefined): CelOpaque {
  const parsed = parseQuantity(textOf(value));
  const text = canonicalQuantity(textOf(value));
  if (!parsed || text === undefined) throw new CelError('quantity parse error');
  return new CelOpaque('kubernetes.Quantity', text, parsed);
}

function attempts(make: (value: CelValue | undefined) => CelValue): (args: readonly CelValue[]) => boolean {
  return ([value]) => {
    try {
      make(value);
      return typeof value === 'string';
    } catch {
      return false;
    }
  };
}

const urlOf = (value: CelValue | undefined): URL => opaque(value, 'kubernetes.URL').data as URL;
const cidrOf = (value: CelValue | undefined): Cidr => opaque(value, 'net.CIDR').data as Cidr;
const quantityOf = (value: CelValue | undefined): Quantity =>
  opaque(value, 'kubernetes.Quantity').data as Quantity;
const isRelative = (value: CelValue | undefined): boolean =>
  opaque(value, 'kubernetes.URL').text.startsWith('/');

function query(value: CelValue | undefined): CelValue {
  const found = new Map<string, CelValue>();
  for (const [name, one] of urlOf(value).searchParams) {
    found.set(name, [...((found.get(name) as readonly CelValue[] | undefined) ?? []), one]);
  }
  return found;
}

/** Of two quantities or two versions. */
function order(a: CelValue | undefined, b: CelValue | undefined): number {
  if (a instanceof CelOpaque && a.type === 'kubernetes.Semver') return compareVersions(a, b);
  return compareQuantities(opaque(a, 'kubernetes.Quantity').text, opaque(b, 'kubernetes.Quantity').text) ?? 0;
}

const NANO = 1_000_000_000n;

function summed(a: CelValue | undefined, b: CelValue | undefined, sign: 1n | -1n): CelOpaque {
  const right = typeof b === 'bigint' ? b * NANO : quantityOf(b).nano;
  const made: Quantity = { ...quantityOf(a), nano: quantityOf(a).nano + sign * right };
  return new CelOpaque('kubernetes.Quantity', formatQuantity(made), made);
}

/** True when the address (or the whole network) lies within the network. */
function containsNetwork(outer: Cidr, inner: CelValue | undefined): boolean {
  const other = inner instanceof CelOpaque ? (inner.data as Cidr) : (cidr(inner).data as Cidr);
  return other.prefixBits >= outer.prefixBits && cidrContains(outer, other.network);
}

function addressIn(networks: readonly string[]) {
  const parsed = networks.map((one) => parseCidr(one)).filter((one) => one !== undefined);
  return ([value]: readonly CelValue[]): boolean => {
    const { text } = opaque(value, 'net.IP');
    return parsed.some((one) => cidrContains(one, text));
  };
}

/** Kubernetes' libraries for addresses, networks, URLs and quantities. */
export const NET_FUNCTIONS: FunctionTable = {
  ip: [
    1,
    1,
    ([value]) => {
      if (!(value instanceof CelOpaque)) return ip(value);
      return ip(formatAddress(cidrOf(value).network));
    },
  ],
  isIP: [1, 1, attempts(ip)],
  'ip.isCanonical': [1, 1, ([value]) => canonicalAddress(textOf(value)) === value],
  family: [1, 1, ([value]) => (familyOf(opaque(value, 'net.IP').text) === 'IPv6' ? 6n : 4n)],
  isLoopback: [1, 1, addressIn(['127.0.0.0/8', '::1/128'])],
  isUnspecified: [1, 1, addressIn(['0.0.0.0/32', '::/128'])],
  isLinkLocalUnicast: [1, 1, addressIn(['169.254.0.0/16', 'fe80::/10'])],
  isLinkLocalMulticast: [1, 1, addressIn(['224.0.0.0/24', 'ff02::/16'])],
  isGlobalUnicast: [
    1,
    1,
    (args) =>
      !addressIn([
        '127.0.0.0/8',
        '::1/128',
        '0.0.0.0/32',
        '255.255.255.255/32',
        '::/128',
        '169.254.0.0/16',
        'fe80::/10',
        '224.0.0.0/4',
        'ff00::/8',
      ])(args),
  ],
  cidr: [1, 1, ([value]) => cidr(value)],
  isCIDR: [1, 1, attempts(cidr)],
  containsIP: [
    2,
    2,
    ([net, value]) => cidrContains(cidrOf(net), value instanceof CelOpaque ? value.text : ip(value).text),
  ],
  containsCIDR: [2, 2, ([net, value]) => containsNetwork(cidrOf(net), value)],
  prefixLength: [1, 1, ([value]) => BigInt(cidrOf(value).prefixBits)],
  masked: [1, 1, ([value]) => opaque(value, 'net.CIDR')],
  url: [1, 1, ([value]) => url(value)],
  isURL: [1, 1, attempts(url)],
  getScheme: [1, 1, ([value]) => (isRelative(value) ? '' : urlOf(value).protocol.replace(/:$/, ''))],
  getHost: [1, 1, ([value]) => (isRelative(value) ? '' : urlOf(value).host)],
  getHostname: [1, 1, ([value]) => (isRelative(value) ? '' : urlOf(value).hostname.replace(/^\[|\]$/g, ''))],
  getPort: [1, 1, ([value]) => (isRelative(value) ? '' : urlOf(value).port)],
  getEscapedPath: [1, 1, ([value]) => urlOf(value).pathname],
  getQuery: [1, 1, ([value]) => query(value)],
  quantity: [1, 1, ([value]) => quantity(value)],
  isQuantity: [1, 1, attempts(quantity)],
  isLessThan: [2, 2, ([a, b]) => order(a, b) < 0],
  isGreaterThan: [2, 2, ([a, b]) => order(a, b) > 0],
  compareTo: [2, 2, ([a, b]) => BigInt(Math.sign(order(a, b)))],
  add: [2, 2, ([a, b]) => summed(a, b, 1n)],
  sub: [2, 2, ([a, b]) => summed(a, b, -1n)],
  sign: [1, 1, ([value]) => sign(quantityOf(value).nano)],
  isInteger: [1, 1, ([value]) => quantityOf(value).nano % NANO === 0n],
  asInteger: [
    1,
    1,
    ([value]) => {
      const { nano } = quantityOf(value);
      if (nano % NANO !== 0n) throw new CelError('cannot convert value to integer');
      return nano / NANO;
    },
  ],
  asApproximateFloat: [1, 1, ([value]) => Number(quantityOf(value).nano) / 1e9],
};

const sign = (nano: bigint): bigint => (nano > 0n ? 1n : nano < 0n ? -1n : 0n);
