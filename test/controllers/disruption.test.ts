import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApiError } from '../../src/api/client/client.ts';
import { resources } from '../../src/api/client/resources.ts';
import type { PodDisruptionBudget } from '../../src/api/kinds/disruption-budget.ts';
import type { IntOrString, KubeObject } from '../../src/api/kinds/meta.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import { budgetStatus } from '../../src/controllers/policy/disruption.ts';
import { Cluster } from './cluster.ts';

const pod = (name: string, ready: boolean): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { containers: [] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

function budget(spec: PodDisruptionBudget['spec']): PodDisruptionBudget {
  const selector = { matchLabels: { app: 'web' } };
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector, ...spec },
  };
}

describe('disruption budget arithmetic', () => {
  const cases: [string, PodDisruptionBudget['spec'], number, number, { desired: number; allowed: number }][] =
    [
      ['a number that must stay', { minAvailable: 2 }, 3, 3, { desired: 2, allowed: 1 }],
      ['a share that must stay, rounded up', { minAvailable: '50%' }, 3, 3, { desired: 2, allowed: 1 }],
      ['a number that may go', { maxUnavailable: 1 }, 3, 3, { desired: 2, allowed: 1 }],
      ['a share that may go, rounded up', { maxUnavailable: '30%' }, 5, 5, { desired: 3, allowed: 2 }],
      ['unready pods use it up', { maxUnavailable: 1 }, 3, 2, { desired: 2, allowed: 0 }],
      ['no pods, no disruptions', { minAvailable: 0 }, 0, 0, { desired: 0, allowed: 0 }],
      ['all may go', { maxUnavailable: '100%' }, 4, 4, { desired: 0, allowed: 4 }],
    ];
  it.each(cases)('%s', (_name, spec, expected, ready, { desired, allowed }) => {
    const pods = Array.from({ length: expected }, (_, i) => pod(`p${i}`, i < ready));
    const replicasOf = (): { uid: string; replicas: number } => ({ uid: 'rs', replicas: expected });
    const { status } = budgetStatus(budget(spec), pods, { replicasOf, nowMs: 0 });
    expect(status).toMatchObject({
      desiredHealthy: desired,
      disruptionsAllowed: allowed,
      currentHealthy: ready,
      expectedPods: expected,
    });
  });
});

describe('disruption budget', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.open({ enabled: ['disruption', 'replica-set', 'deployment'] });
  });
  afterEach(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const evict = (name: string): Promise<unknown> => {
    const eviction: KubeObject = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace: 'default' },
    };
    return cluster.client.create(resources.pods, eviction, { subresource: 'eviction' });
  };
  const allowed = async (): Promise<number | undefined> => {
    const found = await cluster.client.get<PodDisruptionBudget>(
      resources.podDisruptionBudgets,
      'web',
      'default',
    );
    return found.status?.observedGeneration === found.metadata.generation
      ? (found.status?.disruptionsAllowed ?? 0)
      : undefined;
  };
  const deploy = async (replicas: number, maxUnavailable: IntOrString): Promise<void> => {
    await cluster.client.create(resources.deployments, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'c' }] } },
      },
    } as KubeObject);
    await cluster.client.create(resources.podDisruptionBudgets, budget({ maxUnavailable }));
  };

  it('grants evictions one at a time, as pods become ready again', async () => {
    let ready = true;
    using _ = cluster.kubelet('default', () => ready);
    await deploy(3, 1);
    await cluster.eventually('one allowed', async () => (await allowed()) === 1);
    ready = false;
    const [first, second] = await cluster.pods();
    await cluster.eventually('granted', () => evict(first?.metadata.name ?? ''));
    // The client asks again after Retry-After, ten times.
    let refused: unknown;
    void evict(second?.metadata.name ?? '').catch((error: unknown) => (refused = error));
    await cluster.eventually('refused', async () => {
      await cluster.clock.advance(10_000);
      return refused !== undefined;
    });
    expect((refused as ApiError).status).toBe(429);
    await cluster.eventually('replaced', async () => (await cluster.pods()).length === 3);
    expect(await cluster.eventually('counted', async () => String(await allowed()))).toBe('0');
    for (const one of await cluster.pods()) await cluster.setReady(one);
    await cluster.eventually('allowed again', async () => (await allowed()) === 1);
    await cluster.eventually('granted', () => evict(second?.metadata.name ?? ''));
  });

  it('follows the scale of the controller', async () => {
    using _ = cluster.kubelet();
    await deploy(4, '50%');
    await cluster.eventually('two allowed', async () => (await allowed()) === 2);
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', { spec: { replicas: 8 } });
    await cluster.eventually('four allowed', async () => (await allowed()) === 4);
  });
});
