import type { Cidr } from '../../src/net/cidr.ts';

/**
 * The in-addr.arpa or ip6.arpa zones that cover a CIDR exactly. Off the octet (IPv4) or nibble (IPv6) boundary
 * it takes several: a /20 becomes sixteen /24 zones.
 */
export function reverseZonesOf(cidr: Cidr): string[] {
  const step = cidr.family === 'IPv4' ? 8 : 4;
  const digits = Math.ceil(cidr.prefixBits / step);
  const missing = digits * step - cidr.prefixBits;
  const units = unitsOf(cidr, step).slice(0, digits);
  const zones: string[] = [];
  for (let i = 0; i < 1 << missing; i++) {
    const own = [...units];
    if (digits > 0) own[digits - 1] = units[digits - 1]! + i;
    zones.push(zoneName(own, cidr.family));
  }
  return zones;
}

function unitsOf(cidr: Cidr, step: number): number[] {
  if (step === 8) return Array.from(cidr.network);
  return Array.from(cidr.network).flatMap((byte) => [byte >> 4, byte & 15]);
}

function zoneName(units: readonly number[], family: Cidr['family']): string {
  const radix = family === 'IPv4' ? 10 : 16;
  const labels = units.map((unit) => unit.toString(radix)).reverse();
  return [...labels, family === 'IPv4' ? 'in-addr' : 'ip6', 'arpa', ''].join('.');
}
