import { type Cidr, cidrAddressAt, cidrContains, formatCidr } from '../../../net/cidr.ts';
import { type Family, parseAddress } from '../../../net/ip.ts';
import { NumberPool } from './number-pool.ts';

/** Upstream's bound: larger ranges are used up to this many addresses. */
const ADDRESSES_MAX = 65_536;

/** ClusterIPs of one family. Index 0 is the first usable address: the `kubernetes` Service. */
export class AddressPool {
  readonly family: Family;
  readonly range: string;
  readonly numbers: NumberPool;
  readonly #cidr: Cidr;

  constructor(cidr: Cidr, random: () => number) {
    this.#cidr = cidr;
    this.family = cidr.family;
    this.range = formatCidr(cidr);
    const bits = cidr.network.length * 8 - cidr.prefixBits;
    const total = bits >= 16 ? ADDRESSES_MAX : 2 ** bits;
    // Without the network address, and in IPv4 without the broadcast address.
    const size = Math.max(0, total - (cidr.family === 'IPv4' ? 2 : 1));
    // The bands count from the network address, as upstream does: offset 256 of a /16 ends at .1.0.
    const band = Math.min(Math.max(16, Math.floor(total / 16)), 256);
    this.numbers = new NumberPool(size, total <= 16 ? 0 : band, random);
  }

  addressAt(index: number): string {
    return cidrAddressAt(this.#cidr, BigInt(index) + 1n) ?? '';
  }

  /** Undefined for addresses outside the usable range. */
  indexOf(address: string): number | undefined {
    const bytes = parseAddress(address);
    if (!bytes || !cidrContains(this.#cidr, bytes)) return undefined;
    let offset = 0n;
    for (let i = 0; i < bytes.length; i++) {
      offset = (offset << 8n) | BigInt((bytes[i] ?? 0) - (this.#cidr.network[i] ?? 0));
    }
    const index = offset - 1n;
    return index >= 0n && index < BigInt(this.numbers.size) ? Number(index) : undefined;
  }
}
