import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resources } from '../../src/api/client/resources.ts';
import type { ReplicaSet, ReplicationController } from '../../src/api/kinds/apps.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import { deletionOrder } from '../../src/controllers/pod-state.ts';
import { slowStart } from '../../src/controllers/pod-control.ts';
import { Cluster } from './cluster.ts';

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.open({ enabled: ['replica-set', 'replication-controller'] });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

function replicaSet(replicas: number, extra: Partial<ReplicaSet['spec']> = {}): ReplicaSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image: 'web:1' }] },
      },
      ...extra,
    },
  };
}

const get = (): Promise<ReplicaSet> =>
  cluster.client.get<ReplicaSet>(resources.replicaSets, 'web', 'default');
const scale = (replicas: number): Promise<unknown> =>
  cluster.client.patch(resources.replicaSets, 'web', 'default', 'merge', { spec: { replicas } });
const counted = (replicas: number): Promise<unknown> =>
  cluster.eventually(`${replicas} replicas`, async () => (await get()).status?.replicas === replicas);

describe('replica set', () => {
  it('makes exactly the pods it should, whatever comes back when', async () => {
    await cluster.client.create(resources.replicaSets, replicaSet(25));
    await counted(25);
    expect(await cluster.pods()).toHaveLength(25);
    await scale(7);
    await counted(7);
    expect(await cluster.pods()).toHaveLength(7);
    const created = cluster.logs.filter(({ event }) => event === 'reconcile failed');
    expect(created).toEqual([]);
  });

  it('replaces a lost pod, adopts a matching orphan, releases a relabelled pod', async () => {
    await cluster.client.create(resources.replicaSets, replicaSet(2));
    await counted(2);
    const [first, second] = await cluster.pods();
    if (!first || !second) throw new Error('no pods');
    await cluster.finish(first);
    await cluster.eventually('replaced', async () => {
      const pods = await cluster.pods();
      return pods.length === 2 && !pods.some(({ metadata }) => metadata.uid === first.metadata.uid);
    });
    const labels = { app: 'debug' };
    await cluster.client.patch(resources.pods, second.metadata.name, 'default', 'merge', {
      metadata: { labels },
    });
    await cluster.eventually('released and replaced', async () => {
      const released = await cluster.client.get<Pod>(resources.pods, second.metadata.name, 'default');
      return (await cluster.pods()).length === 3 && !released.metadata.ownerReferences?.length;
    });
    await cluster.client.patch(resources.pods, second.metadata.name, 'default', 'merge', {
      metadata: { labels: { app: 'web' } },
    });
    await cluster.eventually('adopted, one surplus removed', async () => (await cluster.pods()).length === 2);
  });

  it('counts a pod as available after minReadySeconds', async () => {
    using _ = cluster.kubelet();
    await cluster.client.create(resources.replicaSets, replicaSet(1, { minReadySeconds: 30 }));
    await cluster.eventually('ready', async () => (await get()).status?.readyReplicas === 1);
    expect((await get()).status?.availableReplicas ?? 0).toBe(0);
    await cluster.clock.advance(31_000);
    await cluster.eventually('available', async () => (await get()).status?.availableReplicas === 1);
  });

  it('serves replication controllers, whose selector is a map', async () => {
    const controller: ReplicationController = {
      apiVersion: 'v1',
      kind: 'ReplicationController',
      metadata: { name: 'old', namespace: 'default' },
      spec: {
        replicas: 2,
        selector: { app: 'old' },
        template: { metadata: { labels: { app: 'old' } }, spec: { containers: [{ name: 'c', image: 'c' }] } },
      },
    };
    await cluster.client.create(resources.replicationControllers, controller);
    await cluster.eventually(
      'two pods',
      async () => (await cluster.pods('default', { app: 'old' })).length === 2,
    );
  });
});

describe('scale-down order', () => {
  const pod = (
    name: string,
    extra: { node?: string; phase?: string; ready?: string; cost?: string },
  ): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations: extra.cost ? { 'controller.kubernetes.io/pod-deletion-cost': extra.cost } : {},
    },
    spec: { containers: [], ...(extra.node && { nodeName: extra.node }) },
    status: {
      phase: (extra.phase ?? 'Running') as 'Running',
      conditions: extra.ready ? [{ type: 'Ready', status: 'True', lastTransitionTime: extra.ready }] : [],
    },
  });
  const old = '2026-01-01T00:00:00Z';
  const young = '2026-01-01T01:00:00Z';
  const cases: [string, Pod[], string[]][] = [
    ['unassigned first', [pod('b', { node: 'n', ready: old }), pod('a', {})], ['a', 'b']],
    [
      'pending before running',
      [pod('r', { node: 'n' }), pod('p', { node: 'n', phase: 'Pending' })],
      ['p', 'r'],
    ],
    ['not ready before ready', [pod('r', { node: 'n', ready: old }), pod('u', { node: 'n' })], ['u', 'r']],
    [
      'lower cost first',
      [
        pod('dear', { node: 'n', ready: old, cost: '9' }),
        pod('cheap', { node: 'n', ready: old, cost: '-1' }),
      ],
      ['cheap', 'dear'],
    ],
    [
      'crowded node first',
      [
        pod('alone', { node: 'm', ready: old }),
        pod('x', { node: 'n', ready: old }),
        pod('y', { node: 'n', ready: old }),
      ],
      ['x', 'y', 'alone'],
    ],
    [
      'shorter ready first',
      [pod('old', { node: 'n', ready: old }), pod('young', { node: 'n', ready: young })],
      ['young', 'old'],
    ],
  ];
  it.each(cases)('%s', (_name, pods, order) => {
    expect(deletionOrder(pods).map(({ metadata }) => metadata.name)).toEqual(order);
  });
});

describe('slow start', () => {
  it('doubles its batches and stops at the first failure', async () => {
    const tried: number[] = [];
    const result = await slowStart(100, (index) => {
      tried.push(index);
      return index >= 4 ? Promise.reject(new Error('quota')) : Promise.resolve();
    });
    expect(tried).toHaveLength(7); // 1 + 2 + 4
    expect(result.succeeded).toBe(4);
    expect(result.failure).toEqual(new Error('quota'));
  });
});
