import { formatCidr, parseCidr } from '../../../net/cidr.ts';
import { canonicalAddress, familyOf } from '../../../net/ip.ts';

const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;
const GOES = 'will be considered invalid in a future Kubernetes release';

/** IPv6 has many texts for one address; those of RFC 5952 alone will stay valid, and IPv4 in IPv6 will not. */
export function addressWarnings(value: unknown, path: string): string[] {
  if (typeof value !== 'string' || familyOf(value) !== 'IPv6') return [];
  const canonical = canonicalAddress(value) ?? value;
  const mapped = mappedAddress(canonical);
  if (mapped !== undefined) return [`${path}: non-standard IP address "${value}" ${GOES}: use "${mapped}"`];
  if (canonical === value) return [];
  return [`${path}: IPv6 address "${value}" should be in RFC 5952 canonical format ("${canonical}")`];
}

/** An address behind the prefix is either a mistake, or the prefix is. */
export function cidrWarnings(value: unknown, path: string): string[] {
  const cidr = typeof value === 'string' ? parseCidr(value) : undefined;
  if (typeof value !== 'string' || !cidr) return [];
  const given = canonicalAddress(value.slice(0, value.indexOf('/'))) ?? '';
  const network = formatCidr(cidr);
  if (network !== `${given}/${cidr.prefixBits}`) {
    const single = `${given}/${cidr.network.length * 8}`;
    return [
      `${path}: CIDR value "${value}" is ambiguous in this context (should be "${network}" or "${single}"?)`,
    ];
  }
  if (network === value || cidr.family === 'IPv4') return [];
  return [`${path}: IPv6 CIDR value "${value}" should be in RFC 5952 canonical format ("${network}")`];
}

function mappedAddress(canonical: string): string | undefined {
  const [, high, low] = MAPPED.exec(canonical) ?? [];
  if (high === undefined || low === undefined) return undefined;
  const bits = Number.parseInt(high, 16) * 0x10000 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.');
}
