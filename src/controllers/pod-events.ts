import type { Informer } from '../api/client/informer.ts';
import type { Reconciler } from '../api/client/reconcile.ts';
import { type KubeObject, objectKey } from '../api/kinds/meta.ts';
import type { Pod } from '../api/kinds/pod.ts';
import { controllerOf } from './owners.ts';

/**
 * Marks the owners a pod's change concerns: the one that controls it (before and after), and for an orphan every
 * owner whose selector matches, because it may adopt it.
 */
export function followPods<T extends KubeObject>(
  pods: Informer<Pod>,
  owners: Informer<T>,
  loop: Pick<Reconciler, 'add'>,
  mayAdopt: (owner: T, pod: Pod) => boolean,
): Disposable {
  return pods.subscribe((event) => {
    const pod = event.object;
    const key = ownerKey(pod, owners);
    if (event.type === 'updated') {
      const before = ownerKey(event.old, owners);
      if (before && before !== key) loop.add(before);
    }
    if (key) loop.add(key);
    if (key || controllerOf(pod) || event.type === 'deleted') return;
    for (const owner of owners.list(pod.metadata.namespace ?? '')) {
      if (mayAdopt(owner, pod)) loop.add(objectKey(owner));
    }
  });
}

/** The key of the owner of this informer's kind that controls the pod. */
export function ownerKey<T extends KubeObject>(object: KubeObject, owners: Informer<T>): string | undefined {
  const reference = controllerOf(object);
  if (!reference || reference.kind !== owners.resource.kind) return undefined;
  const { group } = owners.resource;
  if ((reference.apiVersion.includes('/') ? reference.apiVersion.split('/')[0] : '') !== group)
    return undefined;
  const { namespace } = object.metadata;
  const owner = owners.get(namespace, reference.name);
  if (owner && owner.metadata.uid !== reference.uid) return undefined;
  return namespace ? `${namespace}/${reference.name}` : reference.name;
}
