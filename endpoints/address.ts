import { canonicalAddress, familyOf, parseAddress, type Family } from '../src/net/ip.ts';
import { formatCidr, parseCidr } from '../src/net/cidr.ts';

const DOTTED = /^\d{1,20}\.\d{1,20}\.\d{1,20}\.\d{1,20}$/;
const LEADING_ZEROS = /\b0+(?=\d)/g;
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

export interface KubeAddress {
  readonly family: Family;
  /** Canonical text. */
  readonly text: string;
}

/**
 * An address as Kubernetes reads it: octets with leading zeros are decimal (ParseIPSloppy) and IPv4-mapped IPv6
 * is IPv4. Undefined when it is no address.
 */
export function kubeAddress(value: unknown): KubeAddress | undefined {
  if (typeof value !== 'string') return undefined;
  const plain = MAPPED.exec(value)?.[1] ?? value;
  const text = canonicalAddress(DOTTED.test(plain) ? plain.replace(LEADING_ZEROS, '') : plain);
  const family = text === undefined ? undefined : familyOf(text);
  return text === undefined || !family ? undefined : { family, text };
}

/** A CIDR as Kubernetes reads it: blanks around it and leading zeros are forgiven. Canonical text and family. */
export function kubeCidr(value: unknown): KubeAddress | undefined {
  if (typeof value !== 'string') return undefined;
  const [address = '', bits = ''] = value.trim().split('/', 2);
  const plain = DOTTED.test(address) ? address.replace(LEADING_ZEROS, '') : address;
  const cidr = parseCidr(`${plain}/${bits}`);
  return cidr && { family: cidr.family, text: formatCidr(cidr) };
}

/** Texts that sort as the addresses do: IPv4 before IPv6, then by value. */
export function addressSortKey(canonical: string): string {
  const bytes = parseAddress(canonical);
  if (!bytes) return canonical;
  return (bytes.length === 4 ? '4' : '6') + String.fromCharCode(...bytes);
}
