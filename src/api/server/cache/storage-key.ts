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
  const parts = key.split('/');
  const [root, registry, group, plural, first, second] = parts;
  if (root !== '' || registry !== 'registry' || !group || !plural || !first || parts.length > 6)
    return undefined;
  const prefix = `${REGISTRY}${group}/${plural}/`;
  return second === undefined
    ? { prefix, namespace: '', name: first }
    : { prefix, namespace: first, name: second };
}
