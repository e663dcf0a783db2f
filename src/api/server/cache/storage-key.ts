/** Where objects live in the store: /registry/<group or core>/<plural>/[<namespace>/]<name>. */
export const REGISTRY = '/registry/';

/** @param collection `apps/deployments`, `core/pods`; without a slash it is in core */
export function collectionPrefix(collection: string): string {
  return `${REGISTRY}${collection.includes('/') ? '' : 'core/'}${collection}/`;
}

export interface KeyParts {
  readonly prefix: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
}

/** Undefined for keys that are not objects. */
export function parseKey(key: string): KeyParts | undefined {
  if (!key.startsWith(REGISTRY)) return undefined;
  const groupEnd = key.indexOf('/', REGISTRY.length);
  const pluralEnd = key.indexOf('/', groupEnd + 1);
  if (groupEnd <= REGISTRY.length || pluralEnd <= groupEnd + 1 || pluralEnd + 1 === key.length)
    return undefined;
  const prefix = key.slice(0, pluralEnd + 1);
  const namespaceEnd = key.indexOf('/', pluralEnd + 1);
  if (namespaceEnd < 0) return { prefix, namespace: '', name: key.slice(pluralEnd + 1) };
  if (namespaceEnd === pluralEnd + 1 || key.includes('/', namespaceEnd + 1)) return undefined;
  return { prefix, namespace: key.slice(pluralEnd + 1, namespaceEnd), name: key.slice(namespaceEnd + 1) };
}
