import { formatAddress } from '../../src/net/ip.ts';
import { splitLabels } from '../wire/name.ts';

/** What a name of the reverse tree spells: a canonical address, or none when it is too short for one. */
export interface ReverseName {
  readonly address: string | undefined;
}

/** Reads a folded name; undefined when it is no name of the reverse tree. */
export function reverseAddress(name: string): ReverseName | undefined {
  if (name.endsWith('.in-addr.arpa.')) return reverseIpv4(splitLabels(name).slice(0, -2));
  if (name.endsWith('.ip6.arpa.')) return reverseIpv6(splitLabels(name).slice(0, -2));
  return undefined;
}

function reverseIpv4(labels: readonly string[]): ReverseName | undefined {
  const good = labels.every((label) => /^(0|[1-9]\d{0,2})$/.test(label) && Number(label) <= 255);
  if (!good || labels.length > 4) return undefined;
  return { address: labels.length < 4 ? undefined : labels.toReversed().join('.') };
}

function reverseIpv6(labels: readonly string[]): ReverseName | undefined {
  if (!labels.every((label) => /^[0-9a-f]$/.test(label)) || labels.length > 32) return undefined;
  if (labels.length < 32) return { address: undefined };
  return { address: formatAddress(Uint8Array.from(Buffer.from(labels.toReversed().join(''), 'hex'))) };
}

/** `4.3.2.1.in-addr.arpa.` of an address. */
export function reverseNameOf(address: Uint8Array): string {
  if (address.length === 4) return `${Array.from(address).reverse().join('.')}.in-addr.arpa.`;
  const nibbles = Buffer.from(address).toString('hex').split('').reverse();
  return `${nibbles.join('.')}.ip6.arpa.`;
}
