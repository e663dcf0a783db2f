import type { ApiClient, Resource } from '../../api/client/client.ts';
import { done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import { type KubeObject, objectKey } from '../../api/kinds/meta.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import {
  PROTECTION_FINALIZERS,
  type PersistentVolume,
  type PersistentVolumeClaim,
} from '../../api/kinds/storage.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { isGone } from '../pod-control.ts';
import { CLAIM_INDEX, claimsOf, isUsed, onUsers } from './claim-users.ts';

/** Claims that are deleted stay until no pod uses them. */
export function openClaimProtection(context: ControllerContext): AsyncDisposable {
  const { informers, client } = context;
  const claims = informers.informer<PersistentVolumeClaim>(resources.persistentVolumeClaims);
  const pods = informers.informer<Pod>(resources.pods, { [CLAIM_INDEX]: claimsOf });
  const loop = openLoop(context, 'pvc-protection', async (key) => {
    const { namespace, name } = splitKey(key);
    const claim = claims.get(namespace, name);
    if (claim) await protect(client, resources.persistentVolumeClaims, claim, () => isUsed(pods, claim));
    return done;
  });
  return together(
    loop,
    claims.subscribe(({ object }) => loop.add(objectKey(object))),
    onUsers(pods, (key) => loop.add(key)),
  );
}

/** Volumes that are deleted stay until no claim is bound to them. */
export function openVolumeProtection(context: ControllerContext): AsyncDisposable {
  const { informers, client } = context;
  const volumes = informers.informer<PersistentVolume>(resources.persistentVolumes);
  const loop = openLoop(context, 'pv-protection', async (name) => {
    const volume = volumes.get(undefined, name);
    if (!volume) return done;
    await protect(client, resources.persistentVolumes, volume, () => volume.status?.phase === 'Bound');
    return done;
  });
  return together(
    loop,
    volumes.subscribe(({ object }) => loop.add(object.metadata.name)),
  );
}

/** Objects of before the admission plugin get the finalizer; what is deleted and not used loses it. */
async function protect(
  client: ApiClient,
  resource: Resource,
  { metadata }: KubeObject,
  used: () => boolean,
): Promise<void> {
  const finalizer = PROTECTION_FINALIZERS.get(resource.kind);
  const { name, namespace, uid, resourceVersion, finalizers: present = [] } = metadata;
  if (finalizer === undefined) return;
  const leaving = metadata.deletionTimestamp !== undefined;
  if (present.includes(finalizer) === !leaving || (leaving && used())) return;
  const finalizers = leaving ? present.filter((one) => one !== finalizer) : [...present, finalizer];
  const changed = { finalizers, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
  await client.patch(resource, name, namespace, 'merge', { metadata: changed }).catch((error: unknown) => {
    if (!isGone(error)) throw error;
  });
}
