import { compareQuantities } from '../../api/kinds/quantity.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/kinds/storage.ts';
import { selects } from '../label-selector.ts';

/** True when the volume is reserved for exactly this claim: by name, and by uid once it was bound. */
export function isReservedFor(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const { claimRef } = volume.spec;
  if (!claimRef) return false;
  const { name, namespace, uid } = claim.metadata;
  const same = claimRef.name === name && claimRef.namespace === namespace;
  return same && (!claimRef.uid || claimRef.uid === uid);
}

/**
 * The volume for a claim: one that is reserved for it, else the smallest free one that is large enough and has its
 * class, mode, access modes and labels.
 */
export function bestVolume(
  claim: PersistentVolumeClaim,
  volumes: Iterable<PersistentVolume>,
): PersistentVolume | undefined {
  let best: PersistentVolume | undefined;
  for (const volume of volumes) {
    if (volume.metadata.deletionTimestamp || !suits(claim, volume)) continue;
    if (isReservedFor(volume, claim)) return volume;
    if (volume.spec.claimRef) continue;
    if (claim.spec.selector && !selects(claim.spec.selector, volume.metadata.labels)) continue;
    if (!best || smaller(volume, best)) best = volume;
  }
  return best;
}

function smaller(a: PersistentVolume, b: PersistentVolume): boolean {
  const order = compareQuantities(a.spec.capacity?.['storage'], b.spec.capacity?.['storage']) ?? 0;
  return order < 0 || (order === 0 && a.metadata.name < b.metadata.name);
}

function suits({ spec: claim }: PersistentVolumeClaim, { spec: volume }: PersistentVolume): boolean {
  if ((claim.storageClassName ?? '') !== (volume.storageClassName ?? '')) return false;
  if ((claim.volumeMode ?? 'Filesystem') !== (volume.volumeMode ?? 'Filesystem')) return false;
  if (!(claim.accessModes ?? []).every((mode) => volume.accessModes?.includes(mode))) return false;
  const wanted = claim.resources?.requests?.['storage'] ?? '0';
  return (compareQuantities(volume.capacity?.['storage'], wanted) ?? -1) >= 0;
}
