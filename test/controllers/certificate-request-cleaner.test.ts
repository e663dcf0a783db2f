import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resources } from '../../src/api/client/resources.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import { Cluster } from './cluster.ts';
import { signingRequest } from '../support/signing-request.ts';

const HOUR_MS = 60 * 60_000;

describe('certificate request cleaner', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.open({ enabled: ['certificate-request-cleaner'] });
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  async function request(name: string, condition?: string): Promise<void> {
    const resource = resources.certificateSigningRequests;
    await cluster.client.create(resource, {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name },
      spec: {
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth'],
        request: signingRequest(`/CN=${name}`),
      },
    } as KubeObject);
    if (condition === undefined) return;
    const conditions = [{ type: condition, status: 'True', reason: 'Test', message: '' }];
    await cluster.client.patch(
      resource,
      name,
      undefined,
      'merge',
      { status: { conditions } },
      {
        subresource: 'approval',
      },
    );
  }
  const names = async (): Promise<string[]> =>
    (await cluster.client.list(resources.certificateSigningRequests, {})).items
      .map(({ metadata }) => metadata.name)
      .toSorted();

  /** Jumps, for a day of ticks is long, and wakes the loop by a change. */
  async function pass(durationMs: number): Promise<void> {
    cluster.clock.jumpWall(durationMs);
    const labels = { at: String(cluster.clock.nowMs()) };
    for (const name of await names()) {
      const resource = resources.certificateSigningRequests;
      await cluster.client.patch(resource, name, undefined, 'merge', { metadata: { labels } });
    }
    await cluster.clock.advance(1_000);
  }

  it('takes away what was answered an hour ago, and what nobody answered for a day', async () => {
    await request('pending');
    await request('denied', 'Denied');
    await request('approved', 'Approved');
    await cluster.eventually('the certificate', async () => {
      const found = await cluster.client.get<KubeObject & { status?: { certificate?: string } }>(
        resources.certificateSigningRequests,
        'approved',
      );
      return found.status?.certificate !== undefined;
    });
    expect(await names()).toEqual(['approved', 'denied', 'pending']);
    await pass(HOUR_MS / 2);
    expect(await names()).toEqual(['approved', 'denied', 'pending']);
    await pass(HOUR_MS);
    await cluster.eventually('the answered to go', async () => (await names()).join() === 'pending');
    await pass(23 * HOUR_MS);
    await cluster.eventually('the pending to go', async () => (await names()).length === 0);
  });
});
