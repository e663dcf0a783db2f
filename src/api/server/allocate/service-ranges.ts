import { parseCidr } from '../../../net/cidr.ts';
import type { Family } from '../../../net/ip.ts';
import { arrayAt, objectAt, objectsAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { ResourceCache } from '../cache/resource-cache.ts';
import { AddressPool } from './address-pool.ts';

/** The range the server was started with, as an object (KEP-1880). */
export const DEFAULT_SERVICE_CIDR = 'kubernetes';

/** Where cluster IPs may come from: the ServiceCIDR objects that are ready, in the families of the default range. */
export class ServiceRanges {
  /** One a family, primary first, by the options. */
  readonly defaults: readonly AddressPool[];
  readonly #cache: ResourceCache;
  #pools: readonly AddressPool[];
  /** The change of the objects that the pools are of. */
  #asOf = -1;

  constructor(cache: ResourceCache, cidrs: readonly string[]) {
    this.#cache = cache;
    this.defaults = poolsOf(cidrs);
    this.#pools = this.defaults;
  }

  get families(): readonly Family[] {
    return this.defaults.map((pool) => pool.family);
  }

  has(address: string): boolean {
    return this.#current().some((pool) => pool.has(address));
  }

  /** A free address, from the default range first; undefined when all are full. */
  pick(family: Family, random: () => number, isFree: (address: string) => boolean): string | undefined {
    for (const pool of this.#current()) {
      const address = pool.family === family ? pool.pick(random, isFree) : undefined;
      if (address !== undefined) return address;
    }
    return undefined;
  }

  #current(): readonly AddressPool[] {
    const { lastChange, prefix, size } = this.#cache;
    if (lastChange === this.#asOf) return this.#pools;
    const cidrs = Array.from(this.#cache.range(prefix), ({ object }) => object).filter(isOpen);
    const isDefault = (cidr: UnknownObject): boolean => cidr.metadata.name === DEFAULT_SERVICE_CIDR;
    const inOrder = [...cidrs.filter(isDefault), ...cidrs.filter((cidr) => !isDefault(cidr))];
    // Without any object, before the first start has made one, the options hold.
    this.#pools = size === 0 ? this.defaults : poolsOf(inOrder.flatMap(cidrsOf));
    this.#asOf = lastChange;
    return this.#pools;
  }
}

export function cidrsOf(cidr: UnknownObject): string[] {
  return arrayAt(cidr['spec'], 'cidrs').map(String);
}

/** Not being deleted, and found ready. */
export function isOpen(cidr: UnknownObject): boolean {
  if (cidr.metadata.deletionTimestamp) return false;
  const conditions = objectsAt(objectAt(cidr, 'status'), 'conditions');
  return conditions.some((condition) => condition['type'] === 'Ready' && condition['status'] === 'True');
}

export function poolsOf(cidrs: readonly string[]): AddressPool[] {
  return cidrs.flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr ? [new AddressPool(cidr)] : [];
  });
}
