import { kindKey, type KubeObject, type UnknownObject } from '../src/api/kinds/meta.ts';
import type { ObjectSink } from '../src/api/kinds/object-sink.ts';
import { parseCidr } from '../src/net/cidr.ts';

const SERVICE_CIDR = 'networking.k8s.io/v1/ServiceCIDR';

/** Gathers the ranges of all ServiceCIDR objects (KEP-1880); odd ones are left out. */
export class ServiceCIDRs implements ObjectSink {
  readonly #byName = new Map<string, readonly string[]>();
  readonly #onChange: (cidrs: readonly string[]) => void;

  constructor(onChange: (cidrs: readonly string[]) => void) {
    this.#onChange = onChange;
  }

  get cidrs(): readonly string[] {
    return [...new Set([...this.#byName.values()].flat())].sort();
  }

  upsert(object: KubeObject): void {
    if (kindKey(object) !== SERVICE_CIDR) return;
    const { cidrs } = ((object as UnknownObject)['spec'] ?? {}) as { cidrs?: unknown };
    const texts = Array.isArray(cidrs) ? cidrs.filter((text) => typeof text === 'string') : [];
    this.#set(
      object.metadata.name,
      texts.filter((text) => parseCidr(text) !== undefined),
    );
  }

  remove(object: KubeObject): void {
    if (kindKey(object) === SERVICE_CIDR) this.#set(object.metadata.name, undefined);
  }

  synced(): void {}

  #set(name: string, cidrs: readonly string[] | undefined): void {
    const before = this.cidrs.join();
    if (cidrs) this.#byName.set(name, cidrs);
    else this.#byName.delete(name);
    const after = this.cidrs;
    if (after.join() !== before) this.#onChange(after);
  }
}
