import type { KubeObject, OwnerReference } from '../api/kinds/meta.ts';

/** The one owner that acts on the object. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

/** The reference by which `owner` controls its dependents. */
export function controllerReference(owner: KubeObject): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Index by the controlling owner's uid; objects without one are under '' + namespace (orphans). */
export const OWNER_INDEX = 'controller-uid';

export function ownerIndex(object: KubeObject): readonly string[] {
  const owner = controllerOf(object);
  return [owner ? owner.uid : orphanKey(object.metadata.namespace)];
}

/** The OWNER_INDEX value of objects in the namespace that nobody controls. */
export function orphanKey(namespace: string | undefined): string {
  return `orphan ${namespace ?? ''}`;
}
