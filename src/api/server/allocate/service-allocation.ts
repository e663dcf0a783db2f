import { invalid as fieldInvalid } from '../../kinds/field-error.ts';
import { arrayAt, isObject, type JsonObject, numberAt, objectsAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { parseCidr } from '../../../net/cidr.ts';
import { type Family, familyOf } from '../../../net/ip.ts';
import type { AdmissionPlugin, AdmissionRequest, Reservation } from '../admission/admission.ts';
import { ALLOCATION_LEAK_PASSES } from '../limits.ts';
import { internalError, invalid } from '../status.ts';
import { AddressPool } from './address-pool.ts';
import type { Claims } from './claims.ts';
import { NumberPool } from './number-pool.ts';
import { poolsOf } from './service-families.ts';

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export interface AllocationOptions {
  readonly serviceCidrs: readonly string[];
  readonly nodePortRange: PortRange;
}

/** What one Service holds: addresses and node ports as `address` and `protocol/port`. */
interface Holding {
  readonly addresses: ReadonlySet<string>;
  readonly ports: ReadonlySet<string>;
}

const SERVICE = { group: '', kind: 'Service' };
const NOTHING: Holding = { addresses: new Set(), ports: new Set() };
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

/**
 * ClusterIPs and node ports of Services. What is taken is known from the Services themselves; a claim in the
 * store makes the taking safe between several servers on one store.
 */
export class ServiceAllocation implements AdmissionPlugin {
  readonly name = 'ServiceAllocation';
  readonly pools: readonly AddressPool[];
  readonly #ports: ReadonlyMap<string, NumberPool>;
  readonly #options: AllocationOptions;
  readonly #claims: Claims;
  #leakPasses: ReadonlyMap<string, number> = new Map();

  constructor(deps: { claims: Claims; random: () => number }, options: AllocationOptions) {
    this.#claims = deps.claims;
    this.#options = options;
    this.pools = options.serviceCidrs.flatMap((text) => {
      const cidr = parseCidr(text);
      return cidr ? [new AddressPool(cidr, deps.random)] : [];
    });
    const { from, to } = options.nodePortRange;
    const count = to - from + 1;
    const band = count < 32 ? 0 : Math.min(Math.max(16, Math.floor(count / 32)), 128);
    this.#ports = new Map(PROTOCOLS.map((protocol) => [protocol, new NumberPool(count, band, deps.random)]));
  }

  /** Notes what a Service holds; called for each Service found or changed elsewhere. */
  observe(service: UnknownObject | undefined, previous: UnknownObject | undefined): void {
    const owner = ownerOf(service ?? previous);
    const now = service ? this.#holding(service) : NOTHING;
    const before = previous ? this.#holding(previous) : NOTHING;
    for (const address of before.addresses)
      if (!now.addresses.has(address)) this.#releaseAddress(address, owner);
    for (const port of before.ports) if (!now.ports.has(port)) this.#releasePort(port, owner);
    for (const address of now.addresses) this.#takeAddress(address, owner);
    for (const port of now.ports) this.#takePort(port, owner);
  }

  /** Frees what none of the Services holds and what earlier passes found free, too; returns their names. */
  async releaseLeaks(services: readonly UnknownObject[]): Promise<string[]> {
    const held = new Set<string>();
    for (const service of services) {
      const { addresses, ports } = this.#holding(service);
      for (const name of [...addresses, ...ports]) held.add(name);
    }
    const freed: string[] = [];
    const suspects = new Map<string, number>();
    for (const [name, owner] of this.#claims.entries()) {
      if (held.has(name)) continue;
      const passes = (this.#leakPasses.get(name) ?? 0) + 1;
      if (passes < ALLOCATION_LEAK_PASSES) {
        suspects.set(name, passes);
        continue;
      }
      if (name.includes('/')) this.#releasePort(name, owner);
      else this.#releaseAddress(name, owner);
      await this.#claims.release([name], owner);
      freed.push(name);
    }
    this.#leakPasses = suspects;
    return freed;
  }

  async reserve(request: AdmissionRequest): Promise<Reservation | undefined> {
    if (request.kind.kind !== 'Service' || request.kind.group !== '' || request.subresource) return undefined;
    const owner = ownerOf(request.object ?? request.old);
    const before = request.old ? this.#holding(request.old) : NOTHING;
    const taken = { addresses: new Set<string>(), ports: new Set<string>() };
    const undo = async (): Promise<void> => {
      for (const address of taken.addresses) this.#releaseAddress(address, owner);
      for (const port of taken.ports) this.#releasePort(port, owner);
      if (!request.dryRun) await this.#claims.release([...taken.addresses, ...taken.ports], owner);
    };
    try {
      if (request.object) {
        this.#allocateAddresses(request, owner, before, taken.addresses);
        this.#allocatePorts(request, owner, before, taken.ports);
      }
      if (!request.dryRun) await this.#claims.take([...taken.addresses, ...taken.ports], owner);
    } catch (error) {
      await undo();
      throw error;
    }
    const now = request.object ? this.#holding(request.object) : NOTHING;
    return {
      commit: () => this.#dropOld(before, now, owner),
      rollback: undo,
    };
  }

  #dropOld(before: Holding, now: Holding, owner: string): void {
    const gone = [...before.addresses].filter((address) => !now.addresses.has(address));
    const ports = [...before.ports].filter((port) => !now.ports.has(port));
    for (const address of gone) this.#releaseAddress(address, owner);
    for (const port of ports) this.#releasePort(port, owner);
    void this.#claims.release([...gone, ...ports], owner);
  }

  #allocateAddresses(request: AdmissionRequest, owner: string, before: Holding, taken: Set<string>): void {
    const service = request.object!;
    const spec = service['spec'] as JsonObject;
    if (spec['type'] === 'ExternalName') return;
    const pools = poolsOf(this.pools, service, spec);
    spec['ipFamilies'] = pools.map((pool) => pool.family);
    if (spec['clusterIP'] === 'None') {
      spec['clusterIPs'] = ['None'];
      return;
    }
    const given = arrayAt(spec, 'clusterIPs').map(String);
    const addresses = pools.map((pool) => {
      const wanted = given.find((address) => familyOf(address) === pool.family);
      const address = wanted ?? this.#pickAddress(pool);
      if (wanted !== undefined && before.addresses.has(wanted)) return wanted;
      this.#claimGiven(service, given, pool, address, owner);
      taken.add(address);
      return address;
    });
    spec['clusterIPs'] = addresses;
    if (addresses[0] !== undefined) spec['clusterIP'] = addresses[0];
  }

  #pickAddress(pool: AddressPool): string {
    const index = pool.numbers.pick((one) => !this.#claims.isTaken(pool.addressAt(one)));
    if (index === undefined) throw internalError('failed to allocate a serviceIP: range is full');
    return pool.addressAt(index);
  }

  #claimGiven(
    service: UnknownObject,
    given: readonly string[],
    pool: AddressPool,
    address: string,
    owner: string,
  ): void {
    const at = pool.indexOf(address);
    const refuse = (why: string): never => {
      const error = fieldInvalid('spec.clusterIPs', given, `failed to allocate IP ${address}: ${why}`);
      throw invalid(SERVICE, service.metadata.name, [error]);
    };
    if (at === undefined) {
      return refuse(
        `the provided IP (${address}) is not in the valid range. The range of valid IPs is ${pool.range}`,
      );
    }
    if (this.#claims.isTaken(address) || !pool.numbers.take(at, owner))
      refuse('provided IP is already allocated');
  }

  #allocatePorts(request: AdmissionRequest, owner: string, before: Holding, taken: Set<string>): void {
    const spec = request.object!['spec'] as JsonObject;
    if (!usesNodePorts(spec)) return;
    const chosen = new Map<number, Set<string>>();
    for (const [index, port] of objectsAt(spec, 'ports').entries()) {
      const protocol = stringAt(port, 'protocol') || 'TCP';
      const wanted = numberAt(port, 'nodePort') ?? 0;
      const number = wanted > 0 ? wanted : (this.#reusable(chosen, protocol) ?? this.#pickPort(protocol));
      const key = `${protocol}/${number}`;
      if (!before.ports.has(key) && !taken.has(key)) {
        this.#claimPort(request.object!, `spec.ports[${index}].nodePort`, protocol, number, owner);
        taken.add(key);
      }
      port['nodePort'] = number;
      chosen.set(number, (chosen.get(number) ?? new Set()).add(protocol));
    }
    this.#allocateHealthCheck(request, owner, before, taken);
  }

  /** A number this Service already has for another protocol: DNS over TCP and UDP share one. */
  #reusable(chosen: ReadonlyMap<number, ReadonlySet<string>>, protocol: string): number | undefined {
    for (const [number, protocols] of chosen) {
      if (
        !protocols.has(protocol) &&
        this.#ports.get(protocol)?.ownerOf(number - this.#options.nodePortRange.from) === undefined
      )
        return number;
    }
    return undefined;
  }

  #allocateHealthCheck(request: AdmissionRequest, owner: string, before: Holding, taken: Set<string>): void {
    const spec = request.object!['spec'] as JsonObject;
    if (spec['type'] !== 'LoadBalancer' || spec['externalTrafficPolicy'] !== 'Local') return;
    const number = numberAt(spec, 'healthCheckNodePort') || this.#pickPort('TCP');
    const key = `TCP/${number}`;
    if (!before.ports.has(key) && !taken.has(key)) {
      this.#claimPort(request.object!, 'spec.healthCheckNodePort', 'TCP', number, owner);
      taken.add(key);
    }
    spec['healthCheckNodePort'] = number;
  }

  #pickPort(protocol: string): number {
    const { from } = this.#options.nodePortRange;
    const pool = this.#ports.get(protocol);
    const index = pool?.pick((one) => !this.#claims.isTaken(`${protocol}/${one + from}`));
    if (index === undefined) throw internalError('failed to allocate a nodePort: range is full');
    return index + from;
  }

  #claimPort(service: UnknownObject, field: string, protocol: string, number: number, owner: string): void {
    const { from, to } = this.#options.nodePortRange;
    const refuse = (why: string): never => {
      throw invalid(SERVICE, service.metadata.name, [fieldInvalid(field, number, why)]);
    };
    if (number < from || number > to) {
      refuse(`provided port is not in the valid range. The range of valid ports is ${from}-${to}`);
    }
    const taken =
      this.#claims.isTaken(`${protocol}/${number}`) || !this.#ports.get(protocol)?.take(number - from, owner);
    if (taken) refuse('provided port is already allocated');
  }

  #holding(service: UnknownObject): Holding {
    const spec = isObject(service['spec']) ? service['spec'] : {};
    if (spec['type'] === 'ExternalName') return NOTHING;
    const addresses = new Set(
      arrayAt(spec, 'clusterIPs')
        .map(String)
        .filter((one) => one !== 'None'),
    );
    const ports = new Set<string>();
    for (const port of objectsAt(spec, 'ports')) {
      const number = numberAt(port, 'nodePort') ?? 0;
      if (number > 0) ports.add(`${stringAt(port, 'protocol') || 'TCP'}/${number}`);
    }
    const check = numberAt(spec, 'healthCheckNodePort') ?? 0;
    if (check > 0) ports.add(`TCP/${check}`);
    return { addresses, ports };
  }

  #poolOf(address: string): AddressPool | undefined {
    const family: Family | undefined = familyOf(address);
    return this.pools.find((pool) => pool.family === family);
  }

  #takeAddress(address: string, owner: string): void {
    const pool = this.#poolOf(address);
    const index = pool?.indexOf(address);
    if (index !== undefined) pool?.numbers.take(index, owner);
  }

  #releaseAddress(address: string, owner: string): void {
    const pool = this.#poolOf(address);
    const index = pool?.indexOf(address);
    if (index !== undefined) pool?.numbers.release(index, owner);
  }

  #takePort(key: string, owner: string): void {
    const [protocol = '', number = ''] = key.split('/');
    this.#ports.get(protocol)?.take(Number(number) - this.#options.nodePortRange.from, owner);
  }

  #releasePort(key: string, owner: string): void {
    const [protocol = '', number = ''] = key.split('/');
    this.#ports.get(protocol)?.release(Number(number) - this.#options.nodePortRange.from, owner);
  }
}

function usesNodePorts(spec: JsonObject): boolean {
  if (spec['type'] === 'NodePort') return true;
  return spec['type'] === 'LoadBalancer' && spec['allocateLoadBalancerNodePorts'] !== false;
}

function ownerOf(service: UnknownObject | undefined): string {
  return service ? `${service.metadata.namespace}/${service.metadata.name}` : '';
}
