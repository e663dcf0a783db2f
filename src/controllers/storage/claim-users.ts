import type { Informer } from '../../api/client/informer.ts';
import { type KubeObject, objectKey } from '../../api/kinds/meta.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { isPodFinished } from '../pod-state.ts';

/** Index of pods by the claims they name. */
export const CLAIM_INDEX = 'claim';

/** Keys of the claims a pod mounts. */
export function claimsOf({ metadata, spec }: Pod): readonly string[] {
  return (spec.volumes ?? []).flatMap((volume) => {
    const source = volume['persistentVolumeClaim'] as { claimName?: string } | undefined;
    return source?.claimName ? [`${metadata.namespace}/${source.claimName}`] : [];
  });
}

/** True while a pod that has not ended mounts the claim. */
export function isUsed(pods: Informer<Pod>, claim: KubeObject): boolean {
  for (const pod of pods.byIndex(CLAIM_INDEX, objectKey(claim))) if (!isPodFinished(pod)) return true;
  return false;
}

/** Calls back with a claim when a pod that names it comes, ends or goes. */
export function onUsers(pods: Informer<Pod>, changed: (claimKey: string) => void): Disposable {
  return pods.subscribe((event) => {
    const wasThere = event.type === 'updated' && isPodFinished(event.old) === isPodFinished(event.object);
    if (!wasThere) for (const key of claimsOf(event.object)) changed(key);
  });
}
