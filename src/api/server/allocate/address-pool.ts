import { type Cidr, cidrAddressAt, cidrContains, formatCidr } from '../../../net/cidr.ts';
import { type Family, parseAddress } from '../../../net/ip.ts';
import { type PickRange, pickNumber } from './number-pool.ts';

/** Larger ranges (IPv6) are used up to 2 to this power: what a number counts exactly, with room to spare. */
const HOST_BITS_MAX = 48;

/** The addresses of one range. Index 0 is the first usable one: in the default range the `kubernetes` Service. */
export class AddressPool {
  readonly family: Family;
  readonly range: string;
  readonly #cidr: Cidr;
  readonly #indexes: PickRange;

  constructor(cidr: Cidr) {
    this.#cidr = cidr;
    this.family = cidr.family;
    this.range = formatCidr(cidr);
    const bits = cidr.network.length * 8 - cidr.prefixBits;
    const total = 2 ** Math.min(bits, HOST_BITS_MAX);
    // Without the network address, and in IPv4 without the broadcast address.
    const size = Math.max(0, total - (cidr.family === 'IPv4' ? 2 : 1));
    // The bands count from the network address, as upstream does: offset 256 of a /16 ends at .1.0.
    const band = Math.min(Math.max(16, Math.floor(total / 16)), 256);
    this.#indexes = { size, staticBand: total <= 16 ? 0 : band };
  }

  addressAt(index: number): string {
    return cidrAddressAt(this.#cidr, BigInt(index) + 1n) ?? '';
  }

  /** False for the network and the broadcast address, and beyond what is used of a large range. */
  has(address: string): boolean {
    const bytes = parseAddress(address);
    if (!bytes || !cidrContains(this.#cidr, bytes)) return false;
    let offset = 0n;
    for (let i = 0; i < bytes.length; i++) {
      offset = (offset << 8n) | BigInt((bytes[i] ?? 0) - (this.#cidr.network[i] ?? 0));
    }
    const index = offset - 1n;
    return index >= 0n && index < BigInt(this.#indexes.size);
  }

  /** A free address, undefined when there is none. */
  pick(random: () => number, isFree: (address: string) => boolean): string | undefined {
    const index = pickNumber(this.#indexes, random, (one) => isFree(this.addressAt(one)));
    return index === undefined ? undefined : this.addressAt(index);
  }
}
