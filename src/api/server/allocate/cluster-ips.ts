import { familyOf } from '../../../net/ip.ts';
import { invalid as fieldInvalid } from '../../kinds/field-error.ts';
import { arrayAt, isObject, type JsonObject, objectAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { internalError, invalid } from '../status.ts';
import type { IpAddresses } from './ip-addresses.ts';
import type { Allocator, Held, Wish } from './service-allocation.ts';
import { familiesOf } from './service-families.ts';
import type { ServiceRanges } from './service-ranges.ts';

const SERVICE = { group: '', kind: 'Service' };
const NOTHING: ReadonlySet<string> = new Set();

/** Cluster IPs: from the ranges that are ready, locked by IPAddress objects. */
export class ClusterIps implements Allocator {
  readonly #ranges: ServiceRanges;
  readonly #objects: IpAddresses;
  readonly #random: () => number;
  readonly #owners = new Map<string, string>();

  constructor(deps: { ranges: ServiceRanges; objects: IpAddresses; random: () => number }) {
    this.#ranges = deps.ranges;
    this.#objects = deps.objects;
    this.#random = deps.random;
  }

  /** The Service that has it. */
  ownerOf(address: string): string | undefined {
    return this.#owners.get(address);
  }

  namesOf(service: UnknownObject): ReadonlySet<string> {
    const spec = objectAt(service, 'spec');
    if (spec['type'] === 'ExternalName') return NOTHING;
    const addresses = arrayAt(spec, 'clusterIPs').map(String);
    return new Set(addresses.filter((address) => address !== 'None'));
  }

  note(address: string, owner: string): void {
    if (!this.#owners.has(address)) this.#owners.set(address, owner);
  }

  forget(address: string, owner: string): void {
    if (this.#owners.get(address) === owner) this.#owners.delete(address);
  }

  async settled(service: UnknownObject): Promise<void> {
    await this.#objects.settled(arrayAt(service['spec'], 'clusterIPs').map(String));
  }

  allocate({ service, owner, before, taken, dryRun }: Wish): void {
    const spec = service['spec'];
    if (!isObject(spec) || spec['type'] === 'ExternalName') return;
    const families = familiesOf(this.#ranges.families, service, spec);
    spec['ipFamilies'] = families;
    if (spec['clusterIP'] === 'None') {
      spec['clusterIPs'] = ['None'];
      return;
    }
    const given = arrayAt(spec, 'clusterIPs').map(String);
    const addresses = families.map((family) => {
      const wanted = given.find((address) => familyOf(address) === family);
      if (wanted !== undefined && before.has(wanted)) return wanted;
      if (wanted !== undefined) this.#checkGiven({ service, owner, dryRun }, given, wanted);
      const address = wanted ?? this.#ranges.pick(family, this.#random, (one) => this.#isFree(one));
      if (address === undefined) throw internalError('failed to allocate a serviceIP: range is full');
      this.#owners.set(address, owner);
      taken.add(address);
      return address;
    });
    setAddresses(spec, addresses);
  }

  async lock(addresses: readonly string[], owner: string): Promise<readonly string[]> {
    return await this.#objects.take(addresses, owner);
  }

  async unlock(addresses: readonly string[], owner: string): Promise<void> {
    await this.#objects.release(addresses, owner);
  }

  isHeld(address: string): boolean {
    return this.#owners.has(address);
  }

  notHeld(held: Held): Iterable<readonly [string, string]> {
    return this.#objects.notHeld(held);
  }

  #isFree(address: string): boolean {
    return !this.#owners.has(address) && !this.#objects.isTaken(address);
  }

  #checkGiven(
    { service, owner, dryRun }: Pick<Wish, 'service' | 'owner' | 'dryRun'>,
    given: readonly string[],
    address: string,
  ): void {
    const refuse = (why: string): never => {
      const error = fieldInvalid('spec.clusterIPs', given, `failed to allocate IP ${address}: ${why}`);
      throw invalid(SERVICE, service.metadata.name, [error]);
    };
    if (!this.#ranges.has(address)) {
      const range = this.#ranges.defaults.find(({ family }) => family === familyOf(address))?.range;
      refuse(
        dryRun // upstream asks the default range alone then, and says so
          ? `the provided IP (${address}) is not in the valid range. The range of valid IPs is ${range}`
          : 'the provided network does not match the current range',
      );
    }
    const holder = this.#owners.get(address);
    const locked = this.#objects.isTaken(address) && !this.#objects.isLeaving(address);
    if (locked || (holder !== undefined && holder !== owner)) refuse('provided IP is already allocated');
  }
}

function setAddresses(spec: JsonObject, addresses: readonly string[]): void {
  spec['clusterIPs'] = addresses;
  if (addresses[0] !== undefined) spec['clusterIP'] = addresses[0];
}
