import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resources } from '../../src/api/client/resources.ts';
import type { Deployment, ReplicaSet } from '../../src/api/kinds/apps.ts';
import { Cluster } from './cluster.ts';

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.open({ enabled: ['deployment', 'replica-set'] });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

const REVISION = 'deployment.kubernetes.io/revision';

function deployment(extra: Partial<Deployment['spec']> = {}): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image: 'web:1' }] },
      },
      ...extra,
    },
  };
}

const get = (): Promise<Deployment> =>
  cluster.client.get<Deployment>(resources.deployments, 'web', 'default');
const sets = async (): Promise<ReplicaSet[]> => [
  ...(await cluster.client.list<ReplicaSet>(resources.replicaSets, { namespace: 'default' })).items,
];
const patch = (spec: unknown): Promise<Deployment> =>
  cluster.client.patch<Deployment>(resources.deployments, 'web', 'default', 'strategic', { spec });
const image = (tag: string): unknown => ({
  template: { spec: { containers: [{ name: 'web', image: `web:${tag}` }] } },
});
const imageOf = (set: ReplicaSet): string | undefined => set.spec.template.spec.containers[0]?.image;

const settled = (what: string, tag: string, replicas = 3): Promise<Deployment> =>
  cluster.eventually(what, async () => {
    const found = await get();
    const { status } = found;
    const active = (await sets()).filter((set) => (set.status?.replicas ?? 0) > 0);
    const done =
      status?.observedGeneration === found.metadata.generation &&
      (status?.availableReplicas ?? 0) === replicas &&
      (status?.updatedReplicas ?? 0) === replicas &&
      active.every((set) => imageOf(set) === `web:${tag}`);
    return done && found;
  });

describe('deployment', () => {
  it('creates a replica set and its pods, and says so in status', async () => {
    using _ = cluster.kubelet();
    await cluster.client.create(resources.deployments, deployment());
    const found = await settled('three available', '1');
    const pods = await cluster.pods();
    expect(pods).toHaveLength(3);
    const [set] = await sets();
    const hash = set?.metadata.labels?.['pod-template-hash'] ?? '';
    expect(set?.metadata.name).toBe(`web-${hash}`);
    expect(pods.every((pod) => pod.metadata.labels?.['pod-template-hash'] === hash)).toBe(true);
    expect(found.metadata.annotations?.[REVISION]).toBe('1');
    expect(found.status?.conditions?.map(({ type, status, reason }) => [type, status, reason])).toEqual([
      ['Available', 'True', 'MinimumReplicasAvailable'],
      ['Progressing', 'True', 'NewReplicaSetAvailable'],
    ]);
  });

  it('rolls out without ever going below the floor or above the surge', async () => {
    using _ = cluster.kubelet();
    await cluster.client.create(
      resources.deployments,
      deployment({
        replicas: 6,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 1 } },
      }),
    );
    await settled('first version', '1', 6);
    const watched = cluster.informers.informer<ReplicaSet>(resources.replicaSets);
    const pods = cluster.informers.informer(resources.pods);
    const ready = new Set<string>();
    let floor = Number.POSITIVE_INFINITY;
    let peak = 0;
    using follow = pods.subscribe(({ type, object }) => {
      const conditions = (object as { status?: { conditions?: { type: string; status: string }[] } }).status
        ?.conditions;
      const isReady = conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
      if (type === 'deleted' || object.metadata.deletionTimestamp || !isReady)
        ready.delete(object.metadata.name);
      else ready.add(object.metadata.name);
    });
    const observe = watched.subscribe(() => {
      let spec = 0;
      for (const set of watched.list()) spec += set.spec.replicas ?? 0;
      peak = Math.max(peak, spec);
      floor = Math.min(floor, ready.size);
    });
    await patch(image('2'));
    await settled('second version', '2', 6);
    observe[Symbol.dispose]();
    expect(follow).toBeDefined();
    expect(peak).toBeLessThanOrEqual(8);
    expect(floor).toBeGreaterThanOrEqual(5);
    expect((await get()).metadata.annotations?.[REVISION]).toBe('2');
  });

  it('stops at a version that never becomes ready, and says when its deadline has passed', async () => {
    using _ = cluster.kubelet('default', (pod) => pod.spec.containers[0]?.image !== 'web:bad');
    await cluster.client.create(
      resources.deployments,
      deployment({ replicas: 4, progressDeadlineSeconds: 60 }),
    );
    await settled('first version', '1', 4);
    await patch(image('bad'));
    await cluster.eventually('surge of the bad version', async () => {
      const bad = (await sets()).find((set) => imageOf(set) === 'web:bad');
      return (bad?.status?.replicas ?? 0) === 2;
    });
    const old = (await sets()).find((set) => imageOf(set) === 'web:1');
    expect(old?.spec.replicas).toBe(3);
    await cluster.clock.advance(70_000);
    await cluster.eventually('deadline exceeded', async () => {
      const condition = (await get()).status?.conditions?.find(({ type }) => type === 'Progressing');
      return condition?.reason === 'ProgressDeadlineExceeded' && condition.status === 'False';
    });
    // Rolled back: the old set is the new one again, with the next number and its history.
    await patch(image('1'));
    const back = await settled('rolled back', '1', 4);
    expect(back.metadata.annotations?.[REVISION]).toBe('3');
    const again = (await sets()).find((set) => imageOf(set) === 'web:1');
    expect(again?.metadata.annotations?.['deployment.kubernetes.io/revision-history']).toBe('1');
  });

  it('spreads a scale over both sets of a paused roll-out', async () => {
    using _ = cluster.kubelet('default', (pod) => pod.spec.containers[0]?.image !== 'web:bad');
    await cluster.client.create(
      resources.deployments,
      deployment({
        replicas: 10,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },
      }),
    );
    await settled('first version', '1', 10);
    await patch(image('bad'));
    await cluster.eventually('eight old, five new', async () => {
      const byImage = new Map((await sets()).map((set) => [imageOf(set), set.spec.replicas]));
      return byImage.get('web:1') === 8 && byImage.get('web:bad') === 5;
    });
    await patch({ paused: true });
    await cluster.eventually('paused', async () =>
      (await get()).status?.conditions?.some(({ reason }) => reason === 'DeploymentPaused'),
    );
    await patch({ replicas: 15 });
    // The documented example: 8 and 5 of 13 grow to 18 in proportion, 11 and 7.
    await cluster.eventually('eleven old, seven new', async () => {
      const byImage = new Map((await sets()).map((set) => [imageOf(set), set.spec.replicas]));
      return byImage.get('web:1') === 11 && byImage.get('web:bad') === 7;
    });
  });

  it('Recreate ends every old pod before the first new one', async () => {
    using _ = cluster.kubelet();
    await cluster.client.create(resources.deployments, deployment({ strategy: { type: 'Recreate' } }));
    await settled('first version', '1');
    const pods = cluster.informers.informer(resources.pods);
    const present = new Map<string, string>();
    let mixed = false;
    using follow = pods.subscribe(({ type, object }) => {
      const { name, labels } = object.metadata;
      if (type === 'deleted') present.delete(name);
      else present.set(name, labels?.['pod-template-hash'] ?? '');
      mixed ||= new Set(present.values()).size > 1;
    });
    await patch(image('2'));
    await settled('second version', '2');
    expect(follow).toBeDefined();
    expect(mixed).toBe(false);
  });

  it('keeps as many old sets as revisionHistoryLimit says', async () => {
    using _ = cluster.kubelet();
    await cluster.client.create(resources.deployments, deployment({ replicas: 1, revisionHistoryLimit: 1 }));
    await settled('version 1', '1', 1);
    for (const tag of ['2', '3', '4']) {
      await patch(image(tag));
      await settled(`version ${tag}`, tag, 1);
    }
    await cluster.eventually('one old set', async () => (await sets()).length === 2);
    expect(new Set((await sets()).map(imageOf))).toEqual(new Set(['web:3', 'web:4']));
  });

  it('does nothing to the template while paused, and goes on when resumed', async () => {
    using _ = cluster.kubelet();
    await cluster.client.create(resources.deployments, deployment());
    await settled('version 1', '1');
    await patch({ paused: true });
    await patch(image('2'));
    await cluster.eventually('observed', async () => {
      const found = await get();
      return found.status?.observedGeneration === found.metadata.generation;
    });
    expect(await sets()).toHaveLength(1);
    await patch({ paused: false });
    await settled('version 2', '2');
  });

  it('adopts a matching replica set and counts a hash collision', async () => {
    using _ = cluster.kubelet();
    await cluster.client.create(resources.deployments, deployment({ replicas: 1 }));
    await settled('version 1', '1', 1);
    const [set] = await sets();
    if (!set) throw new Error('no set');
    const metadata = { ownerReferences: [] };
    await cluster.client.patch(resources.replicaSets, set.metadata.name, 'default', 'merge', { metadata });
    await cluster.eventually(
      'adopted again',
      async () => (await sets())[0]?.metadata.ownerReferences?.length === 1,
    );
    expect(await cluster.pods()).toHaveLength(1);
  });
});
