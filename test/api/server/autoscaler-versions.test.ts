import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, patchType, type TestServer } from './support.ts';

const V1 = '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers';
const V2 = '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers';
const TARGET = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
const METRICS = 'autoscaling.alpha.kubernetes.io/metrics';

describe('autoscaling/v1', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await openTestServer();
  });
  afterAll(async () => await server[Symbol.asyncDispose]());

  it('is autoscaling/v2 under another name', async () => {
    const made = await server.call('POST', V1, {
      metadata: { name: 'web' },
      spec: { scaleTargetRef: TARGET, maxReplicas: 5, targetCPUUtilizationPercentage: 70 },
    });
    expect(made.status).toBe(201);
    expect(made.body.apiVersion).toBe('autoscaling/v1');
    expect(made.body.spec).toEqual({
      scaleTargetRef: TARGET,
      minReplicas: 1,
      maxReplicas: 5,
      targetCPUUtilizationPercentage: 70,
    });
    const modern = await server.call('GET', `${V2}/web`);
    expect(modern.body.apiVersion).toBe('autoscaling/v2');
    expect(modern.body.spec.metrics).toEqual([
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } },
      },
    ]);
  });

  it('keeps what it has no field for', async () => {
    const memory = {
      type: 'Resource',
      resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '100Mi' } },
    };
    const behavior = { scaleDown: { stabilizationWindowSeconds: 60, selectPolicy: 'Max' } };
    await server.call('POST', V2, {
      metadata: { name: 'both' },
      spec: { scaleTargetRef: TARGET, maxReplicas: 5, metrics: [memory], behavior },
    });
    const stored = await server.call('GET', `${V2}/both`);
    const old = await server.call('GET', `${V1}/both`);
    expect(JSON.parse(old.body.metadata.annotations[METRICS])).toEqual([memory]);
    expect(old.body.spec.targetCPUUtilizationPercentage).toBeUndefined();
    const patch = { spec: { maxReplicas: 7, targetCPUUtilizationPercentage: 60 } };
    const patched = await server.call('PATCH', `${V1}/both`, patch, patchType.merge);
    expect(patched.status).toBe(200);
    const now = await server.call('GET', `${V2}/both`);
    expect(now.body.spec.maxReplicas).toBe(7);
    expect(now.body.spec.behavior).toEqual(stored.body.spec.behavior);
    const sources = now.body.spec.metrics.map((one: { resource: { name: string } }) => one.resource.name);
    expect(sources).toEqual(['cpu', 'memory']);
    expect(now.body.metadata.annotations).toBeUndefined();
  });

  it('is judged in the same words', async () => {
    const wrong = await server.call('POST', V1, {
      metadata: { name: 'wrong' },
      spec: { scaleTargetRef: TARGET, maxReplicas: 0 },
    });
    expect(wrong.status).toBe(422);
    expect(wrong.body.message).toContain('spec.maxReplicas: Invalid value: 0: must be greater than 0');
  });

  it('shows the same table', async () => {
    const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    const [old, modern] = await Promise.all([
      server.call('GET', `${V1}/both`, undefined, accept),
      server.call('GET', `${V2}/both`, undefined, accept),
    ]);
    expect(old.body.rows[0].cells.slice(0, 6)).toEqual(modern.body.rows[0].cells.slice(0, 6));
  });
});
