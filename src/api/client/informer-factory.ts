import type { KubeObject } from '../kinds/meta.ts';
import type { ApiClient, Resource } from './client.ts';
import type { Informer } from './informer.ts';
import type { IndexFunction } from './object-cache.ts';
import { type InformerDeps, openInformer, type SharedInformer } from './open-informer.ts';
import { collectionPath } from './paths.ts';
import { SharedParts } from './shared-parts.ts';

/**
 * One informer per collection for everybody in the process: a second caller shares the first one's cache. Objects
 * are without metadata.managedFields, which is most of many objects' memory; a PUT without it leaves it as it is.
 * Equal parts of them are one object in memory.
 */
export interface InformerFactory extends AsyncDisposable {
  /** Opens it on first use. Indices of all callers are kept; a name must always mean the same function. */
  informer<T extends KubeObject>(
    resource: Resource,
    indices?: Readonly<Record<string, IndexFunction<T>>>,
  ): Informer<T>;
  /** Follows only what the field selector names: the server sends nothing else, and nothing else is kept. */
  selected<T extends KubeObject>(resource: Resource, fieldSelector: string): Informer<T>;
  /** Somebody follows the whole collection. */
  has(resource: Resource): boolean;
  /** Resolves when every informer opened so far has its first complete list. */
  synced(signal?: AbortSignal): Promise<void>;
}

export function openInformerFactory(client: ApiClient, deps: InformerDeps): InformerFactory {
  const open = new Map<string, SharedInformer<KubeObject>>();
  const parts = new SharedParts();
  const trim = <T extends KubeObject>(object: T): T => parts.share(withoutManagedFields(object));
  const once = <T extends KubeObject>(key: string, make: () => SharedInformer<T>): SharedInformer<T> => {
    const present = open.get(key) as SharedInformer<T> | undefined;
    if (present) return present;
    const made = make();
    open.set(key, made);
    return made;
  };
  return {
    informer<T extends KubeObject>(
      resource: Resource,
      indices: Readonly<Record<string, IndexFunction<T>>> = {},
    ): Informer<T> {
      const shared = once(collectionPath(resource), () => {
        const made = openInformer<T>(client, resource, { indices, trim }, deps);
        deps.memory?.remember(made);
        return made;
      });
      for (const [name, indexFunction] of Object.entries(indices)) shared.addIndex(name, indexFunction);
      return shared;
    },
    selected<T extends KubeObject>(resource: Resource, fieldSelector: string): Informer<T> {
      return once(`${collectionPath(resource)}?${fieldSelector}`, () => {
        // a part of a collection is not remembered as the whole
        const { memory: _, ...rest } = deps;
        return openInformer<T>(client, resource, { fieldSelector, trim }, rest);
      });
    },
    has: (resource) => open.has(collectionPath(resource)),
    async synced(signal) {
      await Promise.all([...open.values()].map((informer) => informer.synced(signal)));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...open.values()].map((informer) => informer[Symbol.asyncDispose]()));
    },
  };
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (!object.metadata.managedFields) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
