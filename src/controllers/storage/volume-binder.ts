import type { Informer } from '../../api/client/informer.ts';
import { done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import { type KubeObject, objectKey } from '../../api/kinds/meta.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import {
  HOST_PATH_PROVISIONER,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type StorageClass,
} from '../../api/kinds/storage.ts';
import { sameValue } from '../../base/same-value.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { CLAIM_INDEX, claimsOf, isUsed, onUsers } from './claim-users.ts';
import { provisionedVolume } from './host-path.ts';
import { bestVolume, isReservedFor } from './volume-match.ts';

const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';
const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';

interface Volumes {
  readonly context: ControllerContext;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly volumes: Informer<PersistentVolume>;
  readonly classes: Informer<StorageClass>;
  readonly pods: Informer<Pod>;
}

/** Binds claims to volumes one to one, and makes volumes of the host-path class. */
export function openVolumeBinder(context: ControllerContext): AsyncDisposable {
  const { informers } = context;
  const on: Volumes = {
    context,
    claims: informers.informer<PersistentVolumeClaim>(resources.persistentVolumeClaims),
    volumes: informers.informer<PersistentVolume>(resources.persistentVolumes),
    classes: informers.informer<StorageClass>(resources.storageClasses),
    pods: informers.informer<Pod>(resources.pods, { [CLAIM_INDEX]: claimsOf }),
  };
  // One worker: a volume that was just given away must not be found free.
  const loop = openLoop(
    context,
    'volume-binder',
    async (key) => {
      const { namespace, name } = splitKey(key);
      if (namespace === undefined) await syncVolume(on, name);
      else await syncClaim(on, key);
      return done;
    },
    1,
  );
  const retryPending = (): void => {
    for (const claim of on.claims.list()) if (claim.status?.phase !== 'Bound') loop.add(objectKey(claim));
  };
  return together(
    loop,
    on.claims.subscribe(({ object }) => {
      loop.add(objectKey(object));
      if (object.spec.volumeName) loop.add(object.spec.volumeName);
    }),
    on.volumes.subscribe(({ object }) => {
      loop.add(object.metadata.name);
      const { claimRef } = object.spec;
      if (claimRef) loop.add(`${claimRef.namespace}/${claimRef.name}`);
      else retryPending();
    }),
    on.classes.subscribe(retryPending),
    onUsers(on.pods, (key) => loop.add(key)),
  );
}

async function syncClaim(on: Volumes, key: string): Promise<void> {
  const { namespace, name } = splitKey(key);
  const claim = on.claims.get(namespace, name);
  if (!claim || claim.metadata.deletionTimestamp) return;
  const { volumeName } = claim.spec;
  const volume = volumeName ? on.volumes.get(undefined, volumeName) : bestVolume(claim, on.volumes.list());
  if (volume && (isReservedFor(volume, claim) || !volume.spec.claimRef)) {
    if (volumeName || isReservedFor(volume, claim) || !waits(on, claim)) return await bind(on, claim, volume);
  }
  // A bound claim whose volume is gone, or belongs to somebody else, has lost its data.
  if (claim.status?.phase === 'Bound') return await writePhase(on, claim, { phase: 'Lost' });
  if (claim.status?.phase === 'Lost') return;
  if (!volumeName) await provisionOrSay(on, claim);
}

/** A class that waits for the first consumer binds nothing before a pod uses the claim. */
function waits(on: Volumes, claim: PersistentVolumeClaim): boolean {
  const found = on.classes.get(undefined, claim.spec.storageClassName ?? '');
  return found?.volumeBindingMode === 'WaitForFirstConsumer' && !isUsed(on.pods, claim);
}

async function provisionOrSay(on: Volumes, claim: PersistentVolumeClaim): Promise<void> {
  const { context } = on;
  const say = (reason: string, text: string): void => context.events.record(claim, 'Normal', reason, text);
  const className = claim.spec.storageClassName ?? '';
  const found = on.classes.get(undefined, className);
  if (waits(on, claim)) {
    return say('WaitForFirstConsumer', 'waiting for first consumer to be created before binding');
  }
  if (found?.provisioner === HOST_PATH_PROVISIONER) {
    const made = provisionedVolume(claim, found);
    if (typeof made === 'string') {
      return context.events.record(claim, 'Warning', 'ProvisioningFailed', made);
    }
    const volume = await context.client.create<PersistentVolume>(resources.persistentVolumes, made);
    say('ProvisioningSucceeded', `Successfully provisioned volume ${volume.metadata.name}`);
    return await bind(on, claim, volume);
  }
  if (className === '') {
    return say('FailedBinding', 'no persistent volumes available for this claim and no storage class is set');
  }
  const text = found
    ? `Waiting for a volume to be created either by the external provisioner '${found.provisioner}' or manually by the system administrator.`
    : `storageclass.storage.k8s.io "${className}" not found`;
  if (found) say('ExternalProvisioning', text);
  else context.events.record(claim, 'Warning', 'ProvisioningFailed', text);
}

/** Four guarded writes, each left out when it is done already: a crash in between is finished by the next run. */
async function bind(on: Volumes, claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
  const { client } = on.context;
  let held = volume;
  const { name, namespace = '', uid = '' } = claim.metadata;
  if (held.spec.claimRef?.uid !== uid) {
    const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid };
    const spec = { ...held.spec, claimRef };
    const annotations = held.spec.claimRef ? {} : { [BOUND_BY_CONTROLLER]: 'yes' };
    held = await client.update(resources.persistentVolumes, { ...annotated(held, annotations), spec });
  }
  await setVolumePhase(on, held, { phase: 'Bound' });
  let bound = claim;
  if (bound.spec.volumeName !== held.metadata.name) {
    const spec = { ...bound.spec, volumeName: held.metadata.name };
    const annotations = { [BIND_COMPLETED]: 'yes', [BOUND_BY_CONTROLLER]: 'yes' };
    bound = await client.update(resources.persistentVolumeClaims, { ...annotated(bound, annotations), spec });
  }
  const { accessModes = [], capacity = {} } = held.spec;
  await writePhase(on, bound, { phase: 'Bound', accessModes, capacity });
}

function annotated<T extends KubeObject>(object: T, annotations: Record<string, string>): T {
  const all = { ...object.metadata.annotations, ...annotations };
  return { ...object, metadata: { ...object.metadata, annotations: all } };
}

async function writePhase(
  { context }: Volumes,
  claim: PersistentVolumeClaim,
  status: NonNullable<PersistentVolumeClaim['status']>,
): Promise<void> {
  if (sameValue(claim.status, status)) return;
  await context.client.update(
    resources.persistentVolumeClaims,
    { ...claim, status },
    { subresource: 'status' },
  );
}

async function setVolumePhase(
  { context }: Volumes,
  volume: PersistentVolume,
  status: NonNullable<PersistentVolume['status']>,
): Promise<void> {
  const { phase, message } = volume.status ?? {};
  if (phase === status.phase && message === status.message) return;
  await context.client.update(resources.persistentVolumes, { ...volume, status }, { subresource: 'status' });
}

/** Free volumes are Available; one whose claim is gone is Released, and what becomes of it its policy says. */
async function syncVolume(on: Volumes, name: string): Promise<void> {
  const volume = on.volumes.get(undefined, name);
  // One that is deleted while it is bound goes once it is not: that much is still told of it.
  if (!volume || (volume.metadata.deletionTimestamp && volume.status?.phase !== 'Bound')) return;
  const { claimRef, persistentVolumeReclaimPolicy: policy = 'Retain' } = volume.spec;
  if (!claimRef?.uid) return await setVolumePhase(on, volume, { phase: 'Available' });
  const claim = on.claims.get(claimRef.namespace, claimRef.name ?? '');
  if (claim?.metadata.uid === claimRef.uid) return;
  if (policy === 'Retain') return await setVolumePhase(on, volume, { phase: 'Released' });
  const message = `${policy} is left to the host's administrator: remove the data, then delete this volume`;
  await setVolumePhase(on, volume, { phase: 'Failed', message, reason: 'VolumeFailedDelete' });
}
