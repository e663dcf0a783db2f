import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resources } from '../../src/api/client/resources.ts';
import type { DaemonSet } from '../../src/api/kinds/apps.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import { Cluster } from './cluster.ts';

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.open({ enabled: ['daemon-set', 'scheduler'] });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

function daemonSet(image: string, extra: Partial<DaemonSet['spec']> = {}): DaemonSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'agent' } },
      template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'agent', image }] } },
      ...extra,
    },
  };
}

const status = async (): Promise<NonNullable<DaemonSet['status']>> =>
  (await cluster.client.get<DaemonSet>(resources.daemonSets, 'agent', 'default')).status ?? {};
const alive = async (): Promise<Pod[]> =>
  (await cluster.pods()).filter(({ metadata }) => !metadata.deletionTimestamp);
const placed = async (): Promise<string> =>
  (await alive())
    .map(({ spec }) => spec.nodeName ?? '?')
    .sort()
    .join(' ');
const placedAre = (nodes: string): Promise<unknown> =>
  cluster.eventually(`daemons on ${nodes}`, async () => (await placed()) === nodes);
const images = async (): Promise<string> =>
  (await alive())
    .map(({ spec }) => spec.containers[0]?.image ?? '')
    .sort()
    .join(' ');
const setImage = (image: string): Promise<unknown> =>
  cluster.client.patch(resources.daemonSets, 'agent', 'default', 'strategic', {
    spec: { template: { spec: { containers: [{ name: 'agent', image }] } } },
  });

describe('daemon set', () => {
  it('runs one pod on each node that fits, cordoned ones too, and follows the nodes', async () => {
    using _ = cluster.kubelet();
    await cluster.node('a');
    await cluster.node('b', { spec: { unschedulable: true } });
    await cluster.node('c', { spec: { taints: [{ key: 'gpu', effect: 'NoSchedule' }] } });
    await cluster.client.create(resources.daemonSets, daemonSet('agent:1'));
    await placedAre('a b');
    await cluster.node('d');
    await placedAre('a b d');
    await cluster.eventually('counted', async () => (await status()).numberAvailable === 3);
    expect(await status()).toMatchObject({
      desiredNumberScheduled: 3,
      currentNumberScheduled: 3,
      updatedNumberScheduled: 3,
      numberReady: 3,
      observedGeneration: 1,
    });
    await cluster.client.patch(resources.nodes, 'a', undefined, 'merge', {
      spec: { taints: [{ key: 'broken', effect: 'NoExecute' }] },
    });
    await placedAre('b d');
  });

  it('keeps to its node selector and leaves a node that no longer matches', async () => {
    await cluster.node('a', { labels: { role: 'edge' } });
    await cluster.node('b');
    const set = daemonSet('agent:1');
    set.spec.template.spec.nodeSelector = { role: 'edge' };
    await cluster.client.create(resources.daemonSets, set);
    await placedAre('a');
    await cluster.client.patch(resources.nodes, 'b', undefined, 'merge', {
      metadata: { labels: { role: 'edge' } },
    });
    await placedAre('a b');
    await cluster.client.patch(resources.nodes, 'a', undefined, 'merge', {
      metadata: { labels: { role: null } },
    });
    await placedAre('b');
  });

  it('replaces a lost daemon, and a failed one after a wait that doubles', async () => {
    await cluster.node('a');
    await cluster.client.create(resources.daemonSets, daemonSet('agent:1'));
    await placedAre('a');
    const fail = async (): Promise<string> => {
      const [pod] = await alive();
      if (!pod) throw new Error('no pod');
      const failed = { ...pod, status: { ...pod.status, phase: 'Failed' } };
      await cluster.client.update(resources.pods, failed, { subresource: 'status' });
      return pod.metadata.name;
    };
    const replaced = (name: string): Promise<unknown> =>
      cluster.eventually('replaced', async () => {
        for (const pod of await cluster.pods()) if (pod.metadata.deletionTimestamp) await cluster.finish(pod);
        const [pod] = await alive();
        return pod?.spec.nodeName && pod.metadata.name !== name;
      });
    await replaced(await fail());
    const before = cluster.clock.monotonicMs();
    await replaced(await fail());
    expect(cluster.clock.monotonicMs() - before).toBeGreaterThanOrEqual(900);
    const [pod] = await alive();
    await cluster.finish(pod as Pod);
    await replaced(pod?.metadata.name ?? '');
  });

  it('updates one node at a time, and rolls back to the earlier revision', async () => {
    let ready = true;
    using _ = cluster.kubelet('default', () => ready);
    for (const name of ['a', 'b', 'c']) await cluster.node(name);
    await cluster.client.create(resources.daemonSets, daemonSet('agent:1'));
    await cluster.eventually('available', async () => (await status()).numberAvailable === 3);
    ready = false;
    await setImage('agent:2');
    await cluster.eventually('one replaced', async () => (await images()) === 'agent:1 agent:1 agent:2');
    await cluster.clock.advance(60_000);
    expect(await images()).toBe('agent:1 agent:1 agent:2');
    expect(await status()).toMatchObject({ updatedNumberScheduled: 1, numberUnavailable: 1 });
    ready = true;
    for (const pod of await alive()) if (!pod.status?.podIP) await cluster.setReady(pod);
    await cluster.eventually('all new', async () => (await status()).updatedNumberScheduled === 3);
    await setImage('agent:1');
    await cluster.eventually('all old', async () => (await images()) === 'agent:1 agent:1 agent:1');
    const revisions = await cluster.client.list(resources.controllerRevisions, { namespace: 'default' });
    expect(revisions.items).toHaveLength(2);
  });

  it('with a surge the new daemon is there before the old one goes', async () => {
    let ready = true;
    using _ = cluster.kubelet('default', () => ready);
    await cluster.node('a');
    const updateStrategy: DaemonSet['spec']['updateStrategy'] = {
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
    };
    await cluster.client.create(resources.daemonSets, daemonSet('agent:1', { updateStrategy }));
    await cluster.eventually('available', async () => (await status()).numberAvailable === 1);
    ready = false;
    await setImage('agent:2');
    await cluster.eventually('both', async () => (await images()) === 'agent:1 agent:2');
    await cluster.clock.advance(60_000);
    expect(await images()).toBe('agent:1 agent:2');
    for (const pod of await alive()) if (!pod.status?.podIP) await cluster.setReady(pod);
    ready = true;
    await cluster.eventually('only the new one', async () => (await images()) === 'agent:2');
  });

  it('OnDelete waits for the user', async () => {
    using _ = cluster.kubelet();
    await cluster.node('a');
    await cluster.client.create(
      resources.daemonSets,
      daemonSet('agent:1', { updateStrategy: { type: 'OnDelete' } }),
    );
    await cluster.eventually('available', async () => (await status()).numberAvailable === 1);
    await setImage('agent:2');
    await cluster.clock.advance(60_000);
    expect(await images()).toBe('agent:1');
    const [pod] = await alive();
    await cluster.finish(pod as Pod);
    await cluster.eventually('new one', async () => (await images()) === 'agent:2');
  });
});
