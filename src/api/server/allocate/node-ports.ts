import { invalid as fieldInvalid } from '../../kinds/field-error.ts';
import {
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { internalError, invalid } from '../status.ts';
import type { Claims } from './claims.ts';
import { NumberPool } from './number-pool.ts';
import type { Allocator, Held, Wish } from './service-allocation.ts';

/** Both ends belong to it. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

const SERVICE = { group: '', kind: 'Service' };
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

/** Node ports and health check ports, named `protocol/port`. */
export class NodePorts implements Allocator {
  readonly #claims: Claims;
  readonly #range: PortRange;
  readonly #pools: ReadonlyMap<string, NumberPool>;

  constructor(deps: { claims: Claims; random: () => number }, range: PortRange) {
    this.#claims = deps.claims;
    this.#range = range;
    const size = range.to - range.from + 1;
    const staticBand = size < 32 ? 0 : Math.min(Math.max(16, Math.floor(size / 32)), 128);
    this.#pools = new Map(
      PROTOCOLS.map((protocol) => [protocol, new NumberPool({ size, staticBand }, deps.random)]),
    );
  }

  namesOf(service: UnknownObject): ReadonlySet<string> {
    const ports = new Set<string>();
    const spec = objectAt(service, 'spec');
    if (spec['type'] === 'ExternalName') return ports;
    for (const port of objectsAt(spec, 'ports')) {
      const number = numberAt(port, 'nodePort') ?? 0;
      if (number > 0) ports.add(`${stringAt(port, 'protocol') || 'TCP'}/${number}`);
    }
    const check = numberAt(spec, 'healthCheckNodePort') ?? 0;
    if (check > 0) ports.add(`TCP/${check}`);
    return ports;
  }

  note(name: string, owner: string): void {
    const { pool, index } = this.#placeOf(name);
    pool?.take(index, owner);
  }

  forget(name: string, owner: string): void {
    const { pool, index } = this.#placeOf(name);
    pool?.release(index, owner);
  }

  /** What nobody here has may have been given back by another server. */
  async settled(service: UnknownObject): Promise<void> {
    for (const name of this.namesOf(service)) {
      if (this.#claims.isTaken(name) && !this.isHeld(name)) await this.#claims.refresh(name);
    }
  }

  allocate({ service, owner, before, taken }: Wish): void {
    const spec = service['spec'];
    if (!isObject(spec) || !usesNodePorts(spec)) return;
    const chosen = new Map<number, Set<string>>();
    for (const [index, port] of objectsAt(spec, 'ports').entries()) {
      const protocol = stringAt(port, 'protocol') || 'TCP';
      const wanted = numberAt(port, 'nodePort') ?? 0;
      const number = wanted > 0 ? wanted : (this.#reusable(chosen, protocol) ?? this.#pick(protocol));
      const name = `${protocol}/${number}`;
      if (!before.has(name) && !taken.has(name)) {
        this.#take(service, `spec.ports[${index}].nodePort`, name, owner);
        taken.add(name);
      }
      port['nodePort'] = number;
      chosen.set(number, (chosen.get(number) ?? new Set()).add(protocol));
    }
    if (spec['type'] !== 'LoadBalancer' || spec['externalTrafficPolicy'] !== 'Local') return;
    const number = numberAt(spec, 'healthCheckNodePort') || this.#pick('TCP');
    const name = `TCP/${number}`;
    if (!before.has(name) && !taken.has(name)) {
      this.#take(service, 'spec.healthCheckNodePort', name, owner);
      taken.add(name);
    }
    spec['healthCheckNodePort'] = number;
  }

  async lock(names: readonly string[], owner: string): Promise<readonly string[]> {
    return await this.#claims.take(names, owner);
  }

  async unlock(names: readonly string[], owner: string): Promise<void> {
    await this.#claims.release(names, owner);
  }

  isHeld(name: string): boolean {
    const { pool, index } = this.#placeOf(name);
    return pool?.ownerOf(index) !== undefined;
  }

  notHeld(held: Held): Iterable<readonly [string, string]> {
    return this.#claims.entries().filter(([name]) => !held.has(name));
  }

  /** A number this Service already has for another protocol: DNS over TCP and UDP share one. */
  #reusable(chosen: ReadonlyMap<number, ReadonlySet<string>>, protocol: string): number | undefined {
    for (const [number, protocols] of chosen) {
      if (protocols.has(protocol)) continue;
      if (this.#pools.get(protocol)?.ownerOf(number - this.#range.from) === undefined) return number;
    }
    return undefined;
  }

  #pick(protocol: string): number {
    const { from } = this.#range;
    const pool = this.#pools.get(protocol);
    const index = pool?.pick((one) => !this.#claims.isTaken(`${protocol}/${one + from}`));
    if (index === undefined) throw internalError('failed to allocate a nodePort: range is full');
    return index + from;
  }

  #take(service: UnknownObject, field: string, name: string, owner: string): void {
    const { from, to } = this.#range;
    const { pool, index } = this.#placeOf(name);
    const number = index + from;
    const refuse = (why: string): never => {
      throw invalid(SERVICE, service.metadata.name, [fieldInvalid(field, number, why)]);
    };
    if (number < from || number > to) {
      refuse(`provided port is not in the valid range. The range of valid ports is ${from}-${to}`);
    }
    if (this.#claims.isTaken(name) || !pool?.take(index, owner)) refuse('provided port is already allocated');
  }

  #placeOf(name: string): { readonly pool: NumberPool | undefined; readonly index: number } {
    const [protocol = '', number = ''] = name.split('/');
    return { pool: this.#pools.get(protocol), index: Number(number) - this.#range.from };
  }
}

function usesNodePorts(spec: JsonObject): boolean {
  if (spec['type'] === 'NodePort') return true;
  return spec['type'] === 'LoadBalancer' && spec['allocateLoadBalancerNodePorts'] !== false;
}
