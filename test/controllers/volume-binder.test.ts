import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resources } from '../../src/api/client/resources.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../src/api/kinds/storage.ts';
import { bestVolume } from '../../src/controllers/storage/volume-match.ts';
import { Cluster } from './cluster.ts';

const volume = (
  name: string,
  storage: string,
  spec: Partial<PersistentVolume['spec']> = {},
): PersistentVolume => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name },
  spec: {
    capacity: { storage },
    accessModes: ['ReadWriteOnce'],
    hostPath: { path: `/srv/${name}` },
    ...spec,
  },
});

const claim = (
  storage: string,
  spec: Partial<PersistentVolumeClaim['spec']> = {},
): PersistentVolumeClaim => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'default' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, ...spec },
});

describe('the volume of a claim', () => {
  const labelled = volume('labelled', '9Gi');
  labelled.metadata.labels = { disk: 'fast' };
  const reserved = volume('reserved', '50Gi', { claimRef: { namespace: 'default', name: 'data' } });
  const taken = volume('taken', '1Gi', { claimRef: { namespace: 'default', name: 'other' } });
  const cases: [string, PersistentVolumeClaim, PersistentVolume[], string | undefined][] = [
    [
      'is the smallest that suffices',
      claim('2Gi'),
      [volume('b', '8Gi'), volume('a', '1Gi'), volume('c', '3Gi')],
      'c',
    ],
    ['may be none', claim('2Gi'), [volume('a', '1Gi')], undefined],
    [
      'has its access modes',
      claim('1Gi', { accessModes: ['ReadWriteMany'] }),
      [volume('a', '1Gi')],
      undefined,
    ],
    [
      'has its class',
      claim('1Gi', { storageClassName: 'x' }),
      [volume('a', '1Gi'), volume('b', '2Gi', { storageClassName: 'x' })],
      'b',
    ],
    [
      'has its labels',
      claim('1Gi', { selector: { matchLabels: { disk: 'fast' } } }),
      [volume('a', '1Gi'), labelled],
      'labelled',
    ],
    ['has its mode', claim('1Gi', { volumeMode: 'Block' }), [volume('a', '1Gi')], undefined],
    ['is first of all the one reserved for it', claim('1Gi'), [volume('a', '1Gi'), reserved], 'reserved'],
    ['is never one reserved for another', claim('1Gi'), [taken], undefined],
  ];
  it.each(cases)('%s', (_name, wanted, volumes, expected) => {
    expect(bestVolume(wanted, volumes)?.metadata.name).toBe(expected);
  });
});

describe('volume binder', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.open({ enabled: ['volume-binder', 'pvc-protection', 'pv-protection'] });
  });
  afterEach(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const getClaim = (): Promise<PersistentVolumeClaim> =>
    cluster.client.get<PersistentVolumeClaim>(resources.persistentVolumeClaims, 'data', 'default');
  const phase = async (name: string): Promise<string | undefined> =>
    (await cluster.client.get<PersistentVolume>(resources.persistentVolumes, name)).status?.phase;
  const bound = (name: string): Promise<unknown> =>
    cluster.eventually(`bound to ${name}`, async () => {
      const { spec, status } = await getClaim();
      return status?.phase === 'Bound' && spec.volumeName === name && (await phase(name)) === 'Bound';
    });
  const podWithClaim = (): Promise<KubeObject> =>
    cluster.client.create<Pod>(resources.pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'user', namespace: 'default' },
      spec: {
        containers: [{ name: 'c', image: 'c' }],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
      },
    });
  const makeClass = (volumeBindingMode: string): Promise<KubeObject> =>
    cluster.client.create(resources.storageClasses, {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'folders' },
      provisioner: 'weft.dev/host-path',
      parameters: { path: '/srv/folders' },
      reclaimPolicy: 'Retain',
      volumeBindingMode,
    } as KubeObject);

  it('binds both sides, and releases the volume when the claim goes', async () => {
    await cluster.client.create(resources.persistentVolumeClaims, claim('1Gi'));
    await cluster.client.create(resources.persistentVolumes, volume('big', '9Gi'));
    await bound('big');
    expect((await getClaim()).status).toMatchObject({
      capacity: { storage: '9Gi' },
      accessModes: ['ReadWriteOnce'],
    });
    await cluster.client.delete(resources.persistentVolumeClaims, 'data', 'default');
    await cluster.eventually('released', async () => (await phase('big')) === 'Released');
    await cluster.client.create(resources.persistentVolumeClaims, claim('1Gi'));
    await cluster.client.create(resources.persistentVolumes, volume('new', '1Gi'));
    await bound('new');
  });

  it('keeps a claim while a pod uses it', async () => {
    await cluster.client.create(resources.persistentVolumes, volume('a', '1Gi'));
    await podWithClaim();
    await cluster.client.create(resources.persistentVolumeClaims, claim('1Gi'));
    await bound('a');
    await cluster.client.delete(resources.persistentVolumeClaims, 'data', 'default');
    await cluster.clock.advance(5_000);
    expect((await getClaim()).metadata.deletionTimestamp).toBeDefined();
    const [pod] = await cluster.pods();
    await cluster.finish(pod as Pod);
    await cluster.eventually('gone', async () => {
      const { items } = await cluster.client.list(resources.persistentVolumeClaims, { namespace: 'default' });
      return items.length === 0;
    });
  });

  it('keeps a volume while a claim is bound to it', async () => {
    const made = await cluster.client.create(resources.persistentVolumes, volume('a', '1Gi'));
    expect(made.metadata.finalizers).toEqual(['kubernetes.io/pv-protection']);
    await cluster.client.create(resources.persistentVolumeClaims, claim('1Gi'));
    await bound('a');
    await cluster.client.delete(resources.persistentVolumes, 'a');
    await cluster.clock.advance(5_000);
    expect(await phase('a')).toBe('Bound');
    await cluster.client.delete(resources.persistentVolumeClaims, 'data', 'default');
    await cluster.eventually('gone', async () => {
      const { items } = await cluster.client.list(resources.persistentVolumes);
      return items.length === 0;
    });
  });

  it('lets go what nobody uses', async () => {
    await cluster.client.create(resources.persistentVolumes, volume('a', '1Gi', { storageClassName: 'x' }));
    const made = await cluster.client.create(resources.persistentVolumeClaims, claim('2Gi'));
    expect(made.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
    await cluster.client.delete(resources.persistentVolumes, 'a');
    await cluster.client.delete(resources.persistentVolumeClaims, 'data', 'default');
    await cluster.eventually('gone', async () => {
      const volumes = await cluster.client.list(resources.persistentVolumes);
      const claims = await cluster.client.list(resources.persistentVolumeClaims, { namespace: 'default' });
      return volumes.items.length + claims.items.length === 0;
    });
  });

  it('makes folders of the host-path class, when its mode says so only for a pod', async () => {
    await makeClass('WaitForFirstConsumer');
    await cluster.client.create(
      resources.persistentVolumeClaims,
      claim('1Gi', { storageClassName: 'folders' }),
    );
    await cluster.clock.advance(5_000);
    expect((await getClaim()).status?.phase).toBe('Pending');
    await podWithClaim();
    const { uid } = (await getClaim()).metadata;
    await bound(`pvc-${uid}`);
    const made = await cluster.client.get<PersistentVolume>(resources.persistentVolumes, `pvc-${uid}`);
    expect(made.spec).toMatchObject({
      hostPath: { path: `/srv/folders/default_data_pvc-${uid}` },
      persistentVolumeReclaimPolicy: 'Retain',
      capacity: { storage: '1Gi' },
    });
  });

  it('says that the data is lost when the volume of a bound claim goes', async () => {
    await cluster.client.create(resources.persistentVolumes, volume('a', '1Gi'));
    await cluster.client.create(resources.persistentVolumeClaims, claim('1Gi'));
    await bound('a');
    await cluster.client.delete(resources.persistentVolumes, 'a');
    await cluster.client.patch(resources.persistentVolumes, 'a', undefined, 'merge', {
      metadata: { finalizers: null },
    });
    await cluster.eventually('lost', async () => (await getClaim()).status?.phase === 'Lost');
  });
});
