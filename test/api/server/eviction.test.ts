import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestServer, patchType, type TestReply, type TestServer } from './support.ts';

const PODS = '/api/v1/namespaces/default/pods';
const BUDGETS = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';

/** The subresource alone, with budgets whose status the test writes. */
describe('pods/eviction', () => {
  let test: TestServer;
  beforeEach(async () => {
    test = await openTestServer();
    await test.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    await test.call('POST', '/api/v1/nodes', { metadata: { name: 'n' } });
  });
  afterEach(() => test[Symbol.asyncDispose]());

  async function pod(name: string, ready: boolean): Promise<void> {
    const spec = { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] };
    await test.call('POST', PODS, { metadata: { name, labels: { app: 'web' } }, spec });
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
    const status = { phase: 'Running', conditions };
    expect((await test.call('PATCH', `${PODS}/${name}/status`, { status }, patchType.merge)).status).toBe(
      200,
    );
  }

  async function budget(status: object, spec: object = {}): Promise<void> {
    const selector = { matchLabels: { app: 'web' } };
    const made = { metadata: { name: 'web' }, spec: { minAvailable: 1, selector, ...spec } };
    expect((await test.call('POST', BUDGETS, made)).status).toBe(201);
    const full = { currentHealthy: 0, desiredHealthy: 1, expectedPods: 1, disruptionsAllowed: 0, ...status };
    const written = await test.call('PATCH', `${BUDGETS}/web/status`, { status: full }, patchType.merge);
    expect(written.status).toBe(200);
  }

  const evict = (name: string): Promise<TestReply> =>
    test.call('POST', `${PODS}/${name}/eviction`, {
      kind: 'Eviction',
      apiVersion: 'policy/v1',
      metadata: { name, namespace: 'default' },
    });

  it('is refused without Retry-After: clients that retry by themselves would not say why they wait', async () => {
    await pod('p', true);
    await budget({ observedGeneration: 1, currentHealthy: 1 });
    const { status, headers, body } = await evict('p');
    expect(status).toBe(429);
    expect(headers).not.toHaveProperty('retry-after');
    expect(body).toMatchObject({
      reason: 'TooManyRequests',
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      details: {
        causes: [
          {
            reason: 'DisruptionBudget',
            message: 'The disruption budget web needs 1 healthy pods and has 1 currently',
          },
        ],
      },
    });
  });

  it('waits for a budget nobody has looked at yet', async () => {
    await pod('p', true);
    await budget({ observedGeneration: 0, disruptionsAllowed: 1 });
    const { status, headers } = await evict('p');
    expect([status, headers['retry-after']]).toEqual([429, '10']);
  });

  it('marks the pod as disrupted and uses up the budget, however many ask at once', async () => {
    for (const name of ['a', 'b', 'c']) await pod(name, true);
    await budget({ observedGeneration: 1, currentHealthy: 3, disruptionsAllowed: 2 });
    const replies = await Promise.all(['a', 'b', 'c'].map(evict));
    expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 201, 429]);
    const gone = ['a', 'b', 'c'].find((_, index) => replies[index]?.status === 201) ?? '';
    const { body } = await test.call('GET', `${PODS}/${gone}`);
    expect(body.metadata.deletionTimestamp).toBeTruthy();
    expect(body.status.conditions).toContainEqual(
      expect.objectContaining({
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'EvictionByEvictionAPI',
      }),
    );
    const after = await test.call('GET', `${BUDGETS}/web`);
    expect(after.body.status.disruptionsAllowed).toBe(0);
    expect(Object.keys(after.body.status.disruptedPods)).toHaveLength(2);
  });

  it('takes pods that are not ready when enough others are', async () => {
    await pod('sick', false);
    await budget({ observedGeneration: 1, currentHealthy: 1, desiredHealthy: 1 });
    expect((await evict('sick')).status).toBe(201);
  });

  it('takes pods that are not ready in any case where the budget says so', async () => {
    await pod('sick', false);
    await budget({ observedGeneration: 1 }, { unhealthyPodEvictionPolicy: 'AlwaysAllow' });
    expect((await evict('sick')).status).toBe(201);
  });

  it('keeps pods that are not ready while too few are', async () => {
    await pod('sick', false);
    await budget({ observedGeneration: 1 });
    expect((await evict('sick')).status).toBe(429);
  });
});
