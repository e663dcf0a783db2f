import { objectKey, type KubeObject } from '../src/api/kinds/meta.ts';
import type { Pod } from '../src/api/kinds/pod.ts';
import { podEntry } from './cluster-entries.ts';
import type { PodEntry } from './snapshot.ts';

interface KnownPod {
  readonly entry: PodEntry;
  readonly hostNetwork: boolean;
}

/** Pods by address. Where several share one (host network), the one with an address of its own, then the first by key. */
export class PodAddresses {
  readonly #pods = new Map<string, KnownPod>();
  readonly #byAddress = new Map<string, Set<string>>();

  /** The addresses whose pod may have changed. */
  upsert(pod: Pod): readonly string[] {
    const key = objectKey(pod);
    const touched = new Set(this.remove(pod));
    const entry = podEntry(pod);
    if (!entry) return [...touched];
    this.#pods.set(key, { entry, hostNetwork: pod.spec?.hostNetwork === true });
    for (const address of entry.addresses) {
      touched.add(address);
      const keys = this.#byAddress.get(address);
      if (keys) keys.add(key);
      else this.#byAddress.set(address, new Set([key]));
    }
    return [...touched];
  }

  remove(pod: KubeObject): readonly string[] {
    const key = objectKey(pod);
    const known = this.#pods.get(key);
    if (!known) return [];
    this.#pods.delete(key);
    for (const address of known.entry.addresses) {
      const keys = this.#byAddress.get(address);
      keys?.delete(key);
      if (keys?.size === 0) this.#byAddress.delete(address);
    }
    return known.entry.addresses;
  }

  at(address: string): PodEntry | undefined {
    let best: KnownPod | undefined;
    let bestKey = '';
    for (const key of this.#byAddress.get(address) ?? []) {
      const pod = this.#pods.get(key)!;
      const better = !best || (best.hostNetwork !== pod.hostNetwork ? best.hostNetwork : key < bestKey);
      if (better) [best, bestKey] = [pod, key];
    }
    return best && this.#withSharers(best.entry, address);
  }

  #withSharers(entry: PodEntry, address: string): PodEntry {
    const keys = this.#byAddress.get(address)!;
    if (keys.size === 1) return entry;
    const namespaces = new Set([...keys].map((key) => this.#pods.get(key)!.entry.namespace));
    namespaces.delete(entry.namespace);
    return namespaces.size === 0 ? entry : { ...entry, alsoIn: [...namespaces].sort() };
  }
}
