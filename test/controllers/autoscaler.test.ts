import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Resource } from '../../src/api/client/client.ts';
import { resources } from '../../src/api/client/resources.ts';
import type { Deployment } from '../../src/api/kinds/apps.ts';
import type { HorizontalPodAutoscaler, MetricTarget, ScalingRules } from '../../src/api/kinds/autoscaler.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import { replicasFor } from '../../src/controllers/autoscale/replica-count.ts';
import { ScalingHistory } from '../../src/controllers/autoscale/scaling-rules.ts';
import { Cluster } from './cluster.ts';

const pod = (name: string, ready = true): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', resources: { requests: { cpu: '100m' } } }] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

describe('the replica count', () => {
  const half: MetricTarget = { type: 'Utilization', averageUtilization: 50 };
  const average: MetricTarget = { type: 'AverageValue', averageValue: '100m' };
  const cases: [string, MetricTarget, (number | undefined)[], number, number | string][] = [
    ['grows with the usage', half, [0.1, 0.1], 0, 4],
    ['shrinks with it', half, [0.01, 0.01, 0.01, 0.01], 0, 1],
    ['stays within the tolerance', half, [0.054, 0.054], 0, 2],
    ['takes unmeasured pods as idle when growing', half, [0.1, 0.1, undefined], 0, 4],
    ['takes unmeasured pods as at their target when shrinking', half, [0.01, 0.01, undefined], 0, 2],
    ['takes unready pods as idle when growing', half, [0.2, 0.2], 2, 8],
    ['never turns round for a guess', half, [0.06, undefined, undefined], 0, 3],
    ['follows an average value', average, [0.3, 0.1], 0, 4],
    ['is not known without metrics', half, [undefined], 0, 'did not receive metrics for any ready pods'],
  ];
  it.each(cases)('%s', (_name, target, usages, unready, expected) => {
    const pods = usages.map((_, i) => pod(`p${i}`));
    for (let i = 0; i < unready; i++) pods.push(pod(`u${i}`, false));
    const usage = new Map<string, number>();
    for (const [i, amount] of usages.entries()) if (amount !== undefined) usage.set(`p${i}`, amount);
    const found = replicasFor({ pods, usage, resource: 'cpu', target, currentReplicas: pods.length });
    expect(typeof found === 'string' ? found : found.replicas).toBe(expected);
  });

  it('needs requests for a utilization', () => {
    const bare: Pod = { ...pod('p'), spec: { containers: [{ name: 'c' }] } };
    const usage = new Map([['p', 1]]);
    expect(replicasFor({ pods: [bare], usage, resource: 'cpu', target: half, currentReplicas: 1 })).toBe(
      'failed to get cpu utilization: missing request for cpu in container c of Pod p',
    );
  });
});

describe('scaling rules', () => {
  const scaler = (behavior?: {
    scaleUp?: ScalingRules;
    scaleDown?: ScalingRules;
  }): HorizontalPodAutoscaler => ({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web' },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web' },
      minReplicas: 2,
      maxReplicas: 20,
      ...(behavior && { behavior }),
    },
  });

  it('let it grow by four pods or double in 15 s, up to the maximum', () => {
    const history = new ScalingHistory();
    const of = scaler();
    const ask = (current: number, recommended: number, nowMs: number): number => {
      const { replicas } = history.limited(of, { current, recommended, nowMs });
      history.changed(replicas - current, nowMs);
      return replicas;
    };
    expect([ask(2, 50, 0), ask(6, 50, 5_000), ask(6, 50, 16_000), ask(12, 50, 32_000)]).toEqual([
      6, 6, 12, 20,
    ]);
  });

  it('let it shrink only when five minutes wanted less', () => {
    const history = new ScalingHistory();
    const ask = (recommended: number, nowMs: number): number =>
      history.limited(scaler(), { current: 10, recommended, nowMs }).replicas;
    expect([ask(10, 0), ask(3, 60_000), ask(4, 299_000), ask(3, 301_000)]).toEqual([10, 10, 10, 4]);
    expect(ask(1, 700_000)).toBe(2);
  });

  it('obey policies of the user', () => {
    const one = { policies: [{ type: 'Pods' as const, value: 1, periodSeconds: 60 }] };
    const down = { ...one, stabilizationWindowSeconds: 0 };
    const history = new ScalingHistory();
    const of = scaler({ scaleUp: { selectPolicy: 'Disabled' }, scaleDown: down });
    expect(history.limited(of, { current: 5, recommended: 9, nowMs: 0 })).toEqual({
      replicas: 5,
      limit: 'ScaleUpLimit',
    });
    expect(history.limited(of, { current: 5, recommended: 2, nowMs: 1 }).replicas).toBe(4);
    history.changed(-1, 1);
    expect(history.limited(of, { current: 4, recommended: 2, nowMs: 30_000 }).replicas).toBe(4);
    expect(history.limited(of, { current: 4, recommended: 2, nowMs: 61_000 }).replicas).toBe(3);
  });
});

describe('autoscaler', () => {
  const podMetrics: Resource = {
    group: 'metrics.k8s.io',
    version: 'v1beta1',
    plural: 'pods',
    kind: 'PodMetrics',
    namespaced: true,
  };
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.open({ enabled: ['horizontal-autoscaler', 'deployment', 'replica-set'] });
  });
  afterEach(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  /** The metrics API as a custom kind: what a metrics server would answer. */
  async function offerMetrics(): Promise<void> {
    const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    await cluster.client.create(resources.customResourceDefinitions, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: 'pods.metrics.k8s.io',
        annotations: { 'api-approved.kubernetes.io': 'https://github.com/kubernetes/metrics' },
      },
      spec: {
        group: 'metrics.k8s.io',
        scope: 'Namespaced',
        names: { plural: 'pods', singular: 'pod', kind: 'PodMetrics', listKind: 'PodMetricsList' },
        versions: [{ name: 'v1beta1', served: true, storage: true, schema: { openAPIV3Schema } }],
      },
    } as KubeObject);
  }

  async function use(cpu: string): Promise<void> {
    for (const { metadata } of await cluster.pods()) {
      const { name, namespace = '', labels = {} } = metadata;
      await cluster.client.delete(podMetrics, name, namespace).catch(() => {});
      await cluster.client.create(podMetrics, {
        apiVersion: 'metrics.k8s.io/v1beta1',
        kind: 'PodMetrics',
        metadata: { name, namespace, labels },
        containers: [{ name: 'c', usage: { cpu, memory: '1Mi' } }],
      } as KubeObject);
    }
  }

  const scaler = (): Promise<HorizontalPodAutoscaler> =>
    cluster.client.get<HorizontalPodAutoscaler>(resources.horizontalPodAutoscalers, 'web', 'default');
  const condition = async (type: string): Promise<string | undefined> => {
    const found = (await scaler()).status?.conditions?.find((one) => one.type === type);
    return found && `${found.status} ${found.reason}`;
  };
  const replicasAre = (count: number): Promise<unknown> =>
    cluster.eventually(`${count} replicas`, async () => {
      await cluster.clock.advance(5_000);
      const found = await cluster.client.get<Deployment>(resources.deployments, 'web', 'default');
      return found.spec.replicas === count && found.status?.readyReplicas === count;
    });

  it('scales a deployment by its cpu, and says when it cannot', async () => {
    using _ = cluster.kubelet();
    const container = { name: 'c', image: 'c', resources: { requests: { cpu: '100m' } } };
    await cluster.client.create(resources.deployments, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } },
      },
    } as KubeObject);
    const target = { type: 'Utilization', averageUtilization: 50 };
    await cluster.client.create(resources.horizontalPodAutoscalers, {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        maxReplicas: 4,
        metrics: [{ type: 'Resource', resource: { name: 'cpu', target } }],
      },
    } as KubeObject);
    await cluster.eventually('no metrics', async () => {
      return (await condition('ScalingActive')) === 'False FailedGetResourceMetric';
    });
    await offerMetrics();
    await cluster.eventually('pods', async () => (await cluster.pods()).length === 1);
    await cluster.eventually('metrics kept', () => use('150m').then(() => true));
    await replicasAre(3);
    expect(await condition('ScalingActive')).toBe('True ValidMetricFound');
    await use('200m');
    await replicasAre(4);
    await cluster.eventually(
      'limited',
      async () => (await condition('ScalingLimited')) === 'True TooManyReplicas',
    );
    await use('10m');
    await cluster.clock.advance(320_000);
    await replicasAre(1);
  });
});
