import {
  HOST_PATH_PROVISIONER,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type StorageClass,
} from '../../api/kinds/storage.ts';

/** The volume of a claim, reserved for it; a text when the class cannot make one. */
export function provisionedVolume(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
): PersistentVolume | string {
  const { name, namespace = '', uid = '' } = claim.metadata;
  const path = storageClass.parameters?.['path'] ?? '';
  if (!path.startsWith('/') || path.split('/').includes('..')) {
    return `StorageClass ${storageClass.metadata.name} needs parameters.path, an absolute path on the host`;
  }
  if (claim.spec.selector) return 'claims with a selector are not provisioned';
  if (claim.spec.volumeMode === 'Block') return 'a folder is no block device: volumeMode must be Filesystem';
  const volumeName = `pvc-${uid}`;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: volumeName,
      annotations: { 'pv.kubernetes.io/provisioned-by': HOST_PATH_PROVISIONER },
    },
    spec: {
      capacity: { storage: claim.spec.resources?.requests?.['storage'] ?? '0' },
      accessModes: claim.spec.accessModes ?? [],
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata.name,
      hostPath: {
        path: `${path.replace(/\/+$/, '')}/${namespace}_${name}_${volumeName}`,
        type: 'DirectoryOrCreate',
      },
    },
  };
}
