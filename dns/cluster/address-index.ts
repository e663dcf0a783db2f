import type { ServiceEntry } from '../../endpoints/service-port.ts';

/** Which services have an address, as ClusterIP or behind them. */
export class AddressIndex {
  readonly #keys = new Map<string, string | Set<string>>();

  replace(before: ServiceEntry | undefined, after: ServiceEntry | undefined): void {
    const key = (after ?? before)?.key;
    if (key === undefined) return;
    const old = new Set(before && addressesOf(before));
    for (const address of after ? addressesOf(after) : []) {
      if (!old.delete(address)) this.#add(address, key);
    }
    for (const address of old) this.#delete(address, key);
  }

  keysAt(address: string): readonly string[] {
    const found = this.#keys.get(address);
    if (found === undefined) return [];
    return typeof found === 'string' ? [found] : [...found].sort();
  }

  addresses(): Iterable<string> {
    return this.#keys.keys();
  }

  #add(address: string, key: string): void {
    const found = this.#keys.get(address);
    if (found === undefined) this.#keys.set(address, key);
    else if (typeof found === 'string') this.#keys.set(address, new Set([found, key]));
    else found.add(key);
  }

  #delete(address: string, key: string): void {
    const found = this.#keys.get(address);
    if (typeof found === 'string' ? found === key : found?.delete(key) && found.size === 0) {
      this.#keys.delete(address);
    }
  }
}

function* addressesOf(service: ServiceEntry): Iterable<string> {
  yield* service.clusterIPs;
  for (const endpoint of service.endpoints) if (endpoint.ready) yield endpoint.address;
}
