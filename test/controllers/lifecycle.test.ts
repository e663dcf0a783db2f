import { describe, expect, it } from 'vitest';
import { ApiError } from '../../src/api/client/client.ts';
import { resources } from '../../src/api/client/resources.ts';
import type { ConfigMap } from '../../src/api/kinds/config.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import type { Node } from '../../src/api/kinds/node.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import { Cluster } from './cluster.ts';

function configMap(name: string, metadata: Partial<KubeObject['metadata']> = {}): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default', ...metadata } };
}

function pod(name: string, spec: Partial<Pod['spec']> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'c' }], ...spec },
  };
}

async function isThere(read: Promise<unknown>): Promise<boolean> {
  try {
    await read;
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false;
    throw error;
  }
}

describe('garbage collector', () => {
  const owned = (owner: ConfigMap): Partial<KubeObject['metadata']> => ({
    ownerReferences: [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        name: owner.metadata.name,
        uid: owner.metadata.uid ?? '',
        blockOwnerDeletion: true,
      },
    ],
  });

  it.each(['Background', 'Foreground', 'Orphan'] as const)('%s', async (propagationPolicy) => {
    await using cluster = await Cluster.open({ enabled: ['garbage-collector'] });
    const { client } = cluster;
    const owner = await client.create(resources.configMaps, configMap('owner'));
    await client.create(resources.configMaps, configMap('child', owned(owner)));
    const there = (name: string): Promise<boolean> =>
      isThere(client.get(resources.configMaps, name, 'default'));
    await client.delete(resources.configMaps, 'owner', 'default', { propagationPolicy });
    await cluster.eventually('owner gone', async () => !(await there('owner')));
    if (propagationPolicy !== 'Orphan')
      return void (await cluster.eventually('child gone', async () => !(await there('child'))));
    await cluster.clock.advance(5_000);
    const child = await client.get<ConfigMap>(resources.configMaps, 'child', 'default');
    expect(child.metadata.ownerReferences ?? []).toEqual([]);
  });

  it('keeps what has another live owner, and collects what names a uid that never was', async () => {
    await using cluster = await Cluster.open({ enabled: ['garbage-collector'] });
    const { client } = cluster;
    const owner = await client.create(resources.configMaps, configMap('owner'));
    const ghost = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: 'never' };
    const both = [...(owned(owner).ownerReferences ?? []), ghost];
    await client.create(resources.configMaps, configMap('kept', { ownerReferences: both }));
    await client.create(resources.configMaps, configMap('lost', { ownerReferences: [ghost] }));
    await cluster.eventually(
      'lost is collected',
      async () => !(await isThere(client.get(resources.configMaps, 'lost', 'default'))),
    );
    await cluster.eventually('ghost dropped', async () => {
      const kept = await client.get<ConfigMap>(resources.configMaps, 'kept', 'default');
      return kept.metadata.ownerReferences?.length === 1;
    });
  });
});

describe('namespaces', () => {
  it('get their account and root CA, and are emptied before they go', async () => {
    await using cluster = await Cluster.open({ enabled: ['namespace', 'service-account'], rootCaPem: 'PEM' });
    const { client } = cluster;
    await client.create(resources.namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'team' },
    });
    await cluster.eventually('default account', () =>
      isThere(client.get(resources.serviceAccounts, 'default', 'team')),
    );
    await cluster.eventually('root CA', async () => {
      const found = await client.get<ConfigMap>(resources.configMaps, 'kube-root-ca.crt', 'team');
      return found.data?.['ca.crt'] === 'PEM';
    });
    await client.create(
      resources.configMaps,
      configMap('held', { namespace: 'team', finalizers: ['example.com/hold'] }),
    );
    await client.delete(resources.namespaces, 'team');
    await cluster.eventually('waits for the finalizer', async () => {
      const found = await client.get<KubeObject & { status?: { conditions?: { message?: string }[] } }>(
        resources.namespaces,
        'team',
      );
      return found.status?.conditions?.some(({ message }) => message?.includes('example.com/hold'));
    });
    await client.patch(resources.configMaps, 'held', 'team', 'merge', { metadata: { finalizers: null } });
    await cluster.eventually('gone', async () => !(await isThere(client.get(resources.namespaces, 'team'))));
  });
});

describe('scheduler', () => {
  it('binds by taints, selector and room, and says why it cannot', async () => {
    await using cluster = await Cluster.open({ enabled: ['scheduler'] });
    const { client } = cluster;
    const nodeOf = async (name: string): Promise<string | undefined> =>
      (await client.get<Pod>(resources.pods, name, 'default')).spec.nodeName;
    await cluster.node('tainted', { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } });
    await cluster.node('ssd', { labels: { disk: 'ssd' }, cpu: '1' });
    await client.create(resources.pods, pod('plain'));
    await cluster.eventually('plain', async () => (await nodeOf('plain')) === 'ssd');
    await client.create(
      resources.pods,
      pod('tolerant', { nodeSelector: { disk: 'hdd' }, tolerations: [{ operator: 'Exists' }] }),
    );
    const resourcesOf = { requests: { cpu: '2' } };
    await client.create(
      resources.pods,
      pod('big', { containers: [{ name: 'c', image: 'c', resources: resourcesOf }] }),
    );
    const refused = await cluster.eventually('refusal', async () => {
      const found = await client.get<Pod>(resources.pods, 'big', 'default');
      return found.status?.conditions?.find(
        ({ type, status }) => type === 'PodScheduled' && status === 'False',
      );
    });
    expect(refused.message).toBe(
      '0/2 nodes are available: 1 node(s) had untolerated taint {k: }, 1 Insufficient cpu.',
    );
    await cluster.node('hdd', { labels: { disk: 'hdd' } });
    await cluster.eventually(
      'new node',
      async () => (await nodeOf('tolerant')) === 'hdd' && (await nodeOf('big')) === 'hdd',
    );
  });
});

describe('node lifecycle', () => {
  it('takes the taint of a new node off when it is ready, and tells it how long it may keep things', async () => {
    await using cluster = await Cluster.open({ enabled: ['node-lifecycle', 'node-ttl'] });
    const { client } = cluster;
    const node: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } };
    const made = await client.create<Node>(resources.nodes, node);
    const [taint] = made.spec?.taints ?? [];
    expect(taint).toEqual({ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' });
    const told = await cluster.eventually('annotated', async () => {
      const found = await client.get<Node>(resources.nodes, 'n');
      return found.metadata.annotations?.['node.alpha.kubernetes.io/ttl'] === '0' && found;
    });
    expect(told.spec?.taints).toEqual([taint]);
    const conditions = [{ type: 'Ready', status: 'True' }];
    await client.patch(
      resources.nodes,
      'n',
      undefined,
      'merge',
      { status: { conditions } },
      { subresource: 'status' },
    );
    await cluster.eventually('free of taints', async () => {
      const found = await client.get<Node>(resources.nodes, 'n');
      return (found.spec?.taints ?? []).length === 0;
    });
  });

  it('marks a silent node Unknown, its pods not ready, and evicts after the toleration ends', async () => {
    await using cluster = await Cluster.open({ enabled: ['node-lifecycle', 'taint-eviction'] });
    const { client } = cluster;
    await cluster.node('silent');
    await cluster.node('alive');
    const tolerations = [
      {
        key: 'node.kubernetes.io/unreachable',
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 30,
      },
    ];
    const made = await client.create<Pod>(resources.pods, pod('p', { nodeName: 'silent', tolerations }));
    await cluster.setReady(made);
    let beat = 0;
    const heartbeat = async (): Promise<void> => {
      const lease = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'alive', namespace: 'kube-node-lease' },
      };
      const renewTime = new Date(cluster.clock.nowMs() + beat++).toISOString().replace('Z', '000Z');
      if (beat === 1) await client.create(resources.leases, { ...lease, spec: { renewTime } } as KubeObject);
      else await client.patch(resources.leases, 'alive', 'kube-node-lease', 'merge', { spec: { renewTime } });
    };
    for (let i = 0; i < 8; i++) {
      await heartbeat();
      await cluster.clock.advance(10_000);
    }
    const silent = await cluster.eventually('unreachable', async () => {
      const found = await client.get<Node>(resources.nodes, 'silent');
      return found.spec?.taints?.some(({ effect }) => effect === 'NoExecute') && found;
    });
    expect(silent.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('Unknown');
    const alive = await client.get<Node>(resources.nodes, 'alive');
    expect(alive.spec?.taints ?? []).toEqual([]);
    const marked = await client.get<Pod>(resources.pods, 'p', 'default');
    expect(marked.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('False');
    await heartbeat();
    await cluster.clock.advance(31_000);
    await cluster.eventually('evicted', async () => {
      const found = (await cluster.pods()).find(({ metadata }) => metadata.name === 'p');
      return !found || found.metadata.deletionTimestamp !== undefined;
    });
  });
});
