import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resources } from '../../src/api/client/resources.ts';
import type { ControllerRevision, StatefulSet } from '../../src/api/kinds/apps.ts';
import type { Event } from '../../src/api/kinds/event.ts';
import { Cluster } from './cluster.ts';

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.open({ enabled: ['stateful-set'] });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

function statefulSet(extra: Partial<StatefulSet['spec']> = {}): StatefulSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default' },
    spec: {
      replicas: 3,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: {
        metadata: { labels: { app: 'db' } },
        spec: { containers: [{ name: 'db', image: 'db:1' }] },
      },
      ...extra,
    },
  };
}

const get = (): Promise<StatefulSet> =>
  cluster.client.get<StatefulSet>(resources.statefulSets, 'db', 'default');
const patch = (spec: unknown): Promise<unknown> =>
  cluster.client.patch(resources.statefulSets, 'db', 'default', 'strategic', { spec });
const images = async (): Promise<string[]> =>
  (await cluster.pods()).map((pod) => `${pod.metadata.name} ${pod.spec.containers[0]?.image}`).toSorted();

describe('stateful set', () => {
  it('makes pods in order, each after the one before is ready, with stable names', async () => {
    await cluster.client.create(resources.statefulSets, statefulSet());
    for (const count of [1, 2, 3]) {
      const pods = await cluster.eventually(`${count} pods`, async () => {
        const found = await cluster.pods();
        return found.length === count && found;
      });
      await cluster.clock.advance(1_000);
      expect(await cluster.pods()).toHaveLength(count);
      const newest = pods.find((pod) => pod.metadata.name === `db-${count - 1}`);
      expect(newest?.spec).toMatchObject({ hostname: `db-${count - 1}`, subdomain: 'db' });
      expect(newest?.metadata.labels?.['apps.kubernetes.io/pod-index']).toBe(String(count - 1));
      if (newest) await cluster.setReady(newest);
    }
    await cluster.eventually('status', async () => (await get()).status?.readyReplicas === 3);
    await cluster.eventually('the events', async () => {
      const { items } = await cluster.client.list<Event>(resources.events, { namespace: 'default' });
      const told = items.find(({ message }) => message === 'create Pod db-0 in StatefulSet db successful');
      return told?.source?.component === 'statefulset-controller';
    });
  });

  it('updates from the top down, leaves ordinals under the partition, and keeps revisions', async () => {
    using _ = cluster.kubelet();
    const rollingUpdate = { type: 'RollingUpdate' as const, rollingUpdate: { partition: 1 } };
    await cluster.client.create(resources.statefulSets, statefulSet({ updateStrategy: rollingUpdate }));
    await cluster.eventually('ready', async () => (await get()).status?.readyReplicas === 3);
    await patch({ template: { spec: { containers: [{ name: 'db', image: 'db:2' }] } } });
    await cluster.eventually('two updated', async () => {
      const { status } = await get();
      return status?.updatedReplicas === 2 && status.readyReplicas === 3;
    });
    expect(await images()).toEqual(['db-0 db:1', 'db-1 db:2', 'db-2 db:2']);
    await patch({ updateStrategy: { rollingUpdate: { partition: 0 } } });
    await cluster.eventually('all updated', async () => {
      const { status } = await get();
      return status?.updatedReplicas === 3 && status.currentRevision === status.updateRevision;
    });
    expect(await images()).toEqual(['db-0 db:2', 'db-1 db:2', 'db-2 db:2']);
    const revisions = await cluster.client.list<ControllerRevision>(resources.controllerRevisions);
    expect(revisions.items.map(({ revision }) => revision).toSorted((a, b) => a - b)).toEqual([1, 2]);
  });

  it('scales down from the highest ordinal, and all at once when Parallel', async () => {
    using _ = cluster.kubelet();
    await cluster.client.create(resources.statefulSets, statefulSet({ podManagementPolicy: 'Parallel' }));
    await cluster.eventually('ready', async () => (await get()).status?.readyReplicas === 3);
    await patch({ replicas: 1 });
    await cluster.eventually('one left', async () => (await images()).length === 1);
    expect(await images()).toEqual(['db-0 db:1']);
  });
});
