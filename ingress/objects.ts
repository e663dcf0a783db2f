import type { ConfigMap, Secret } from '../src/api/kinds/config.ts';
import type { Ingress, IngressClass } from '../src/api/kinds/ingress.ts';
import { kindKey, type KubeObject, objectKey } from '../src/api/kinds/meta.ts';
import type { ObjectSink } from '../src/api/kinds/object-sink.ts';
import { isIngressKind, toIngressV1 } from './compile/normalize.ts';

/** What changed since the last look. */
export interface ObjectChanges {
  readonly ingresses: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
  readonly configMaps: ReadonlySet<string>;
  readonly classes: boolean;
}

/** The objects the ingress reads, by key, and which of them changed. */
export class IngressObjects implements ObjectSink {
  readonly ingresses = new Map<string, Ingress>();
  readonly classes = new Map<string, IngressClass>();
  readonly secrets = new Map<string, Secret>();
  readonly configMaps = new Map<string, ConfigMap>();
  readonly #changed: () => void;
  readonly #synced = new Set<string>();
  #dirty = {
    ingresses: new Set<string>(),
    secrets: new Set<string>(),
    configMaps: new Set<string>(),
    classes: false,
  };

  /** `changed` is called after each change; it must only mark. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** The first complete list of Ingresses has arrived. */
  get hasSynced(): boolean {
    return [...this.#synced].some((kind) => kind.endsWith('/Ingress'));
  }

  upsert(object: KubeObject): void {
    if (this.#put(object, true)) this.#changed();
  }

  remove(object: KubeObject): void {
    if (this.#put(object, false)) this.#changed();
  }

  synced(apiVersion: string, kind: string): void {
    this.#synced.add(kindKey({ apiVersion, kind }));
    this.#changed();
  }

  /** Gives the changes and starts a new list of them. */
  takeChanges(): ObjectChanges {
    const taken = this.#dirty;
    this.#dirty = { ingresses: new Set(), secrets: new Set(), configMaps: new Set(), classes: false };
    return taken;
  }

  #put(object: KubeObject, present: boolean): boolean {
    const key = objectKey(object);
    if (isIngressKind(object))
      return this.#store(
        this.ingresses,
        key,
        present ? toIngressV1(object) : undefined,
        this.#dirty.ingresses,
      );
    if (object.kind === 'Secret')
      return this.#store(this.secrets, key, present ? (object as Secret) : undefined, this.#dirty.secrets);
    if (object.kind === 'ConfigMap') {
      return this.#store(
        this.configMaps,
        key,
        present ? (object as ConfigMap) : undefined,
        this.#dirty.configMaps,
      );
    }
    if (object.kind !== 'IngressClass') return false;
    this.#dirty.classes = true;
    if (present) this.classes.set(key, object);
    else this.classes.delete(key);
    return true;
  }

  #store<T>(map: Map<string, T>, key: string, value: T | undefined, dirty: Set<string>): boolean {
    dirty.add(key);
    if (value === undefined) return map.delete(key);
    map.set(key, value);
    return true;
  }
}
