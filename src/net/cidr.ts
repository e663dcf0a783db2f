import { type Family, familyOf, formatAddress, parseAddress } from './ip.ts';

/** A parsed CIDR: the masked network bytes and the prefix length in bits. */
export interface Cidr {
  readonly family: Family;
  readonly network: Uint8Array;
  readonly prefixBits: number;
}

/** Parses `a.b.c.d/n` or `x::/n`; host bits are masked off. Undefined when it is no CIDR. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const bits = text.slice(slash + 1);
  if (slash < 0 || !/^\d{1,3}$/.test(bits)) return undefined;
  const address = text.slice(0, slash);
  const network = parseAddress(address);
  const family = familyOf(address);
  const prefixBits = Number(bits);
  if (!network || !family || prefixBits > network.length * 8) return undefined;
  return { family, network: masked(network, prefixBits), prefixBits };
}

/** A CIDR, or an address alone as the CIDR that holds nothing else. Undefined when it is neither. */
export function parseCidrOrAddress(text: string): Cidr | undefined {
  return parseCidr(text.includes('/') ? text : hostCidr(text));
}

/** `10.0.0.1/32`, `fd00::1/128`: the CIDR that holds nothing but this address. */
export function hostCidr(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`;
}

export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.network)}/${cidr.prefixBits}`;
}

/** True when the address (bytes or text) lies inside. Another family never does. */
export function cidrContains(cidr: Cidr, address: Uint8Array | string): boolean {
  const bytes = typeof address === 'string' ? parseAddress(address) : address;
  if (!bytes || bytes.length !== cidr.network.length) return false;
  const whole = cidr.prefixBits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== cidr.network[i]) return false;
  const rest = cidr.prefixBits & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return (bytes[whole]! & mask) === cidr.network[whole]!;
}

/** The address at offset from the start of the network; undefined outside of it. */
export function cidrAddressAt(cidr: Cidr, offset: bigint): string | undefined {
  const hostBits = BigInt(cidr.network.length * 8 - cidr.prefixBits);
  if (offset < 0n || offset >= 1n << hostBits) return undefined;
  const bytes = Uint8Array.from(cidr.network);
  let rest = offset;
  for (let i = bytes.length - 1; rest > 0n; i--) {
    bytes[i]! |= Number(rest & 0xffn);
    rest >>= 8n;
  }
  return formatAddress(bytes);
}

function masked(bytes: Uint8Array, prefixBits: number): Uint8Array {
  return bytes.map((byte, i) => {
    const keep = Math.min(8, Math.max(0, prefixBits - i * 8));
    return byte & ((0xff << (8 - keep)) & 0xff);
  });
}
