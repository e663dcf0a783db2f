import type { Snapshot } from '../../endpoints/snapshot.ts';
import { parseCidrOrAddress } from '../../src/net/cidr.ts';
import { parseAddress } from '../../src/net/ip.ts';

/**
 * In which topology zone a client is: by the pod range or the addresses of its node. No pods are watched for it.
 * Ranges are found by their bits, one look a distinct length.
 */
export class ClientZones {
  /** By length in bits and family, then by the bits. */
  readonly #ranges = new Map<string, { readonly bits: number; readonly zones: Map<string, string> }>();

  constructor(nodes: Snapshot['nodes']) {
    for (const { zone, podCIDRs, addresses } of nodes.values()) {
      if (zone === undefined) continue;
      for (const text of [...podCIDRs, ...addresses]) this.#add(text, zone);
    }
  }

  zoneOf(address: string): string | undefined {
    const bytes = parseAddress(address);
    if (!bytes) return undefined;
    for (const { bits, zones } of this.#ranges.values()) {
      const zone = zones.get(keyOf(bytes, bits));
      if (zone !== undefined) return zone;
    }
    return undefined;
  }

  #add(text: string, zone: string): void {
    const cidr = parseCidrOrAddress(text);
    if (!cidr) return;
    const bytes = cidr.network;
    const name = `${bytes.length}/${cidr.prefixBits}`;
    const range = this.#ranges.get(name) ?? { bits: cidr.prefixBits, zones: new Map<string, string>() };
    range.zones.set(keyOf(bytes, cidr.prefixBits), zone);
    this.#ranges.set(name, range);
  }
}

/** Family and first bits of an address. */
function keyOf(bytes: Uint8Array, bits: number): string {
  const whole = bits >> 3;
  const kept = bytes.slice(0, whole + (bits & 7 ? 1 : 0));
  if (bits & 7) kept[whole]! &= 0xff << (8 - (bits & 7));
  return `${bytes.length} ${kept.join('.')}`;
}
