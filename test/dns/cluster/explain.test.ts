import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explainName } from '../../../dns/cluster/explain.ts';
import type { KubernetesPlugin } from '../../../dns/plugins/kubernetes/serve.ts';
import type { RecordType } from '../../../dns/wire/numbers.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import { clusterOf } from '../support/cluster.ts';
import { applyStep, clusterStep } from '../support/random-cluster.ts';
import { ask, openServer, type TestServer } from '../support/server.ts';

const COREFILE = '. {\n debug\n kubernetes k 10.0.0.0/8\n}';

function reasonsOf(on: TestServer, name: string, type: RecordType = 'A'): readonly string[] {
  const { view, options } = on.server.plugins.find((one) => one.name === 'kubernetes') as KubernetesPlugin;
  return explainName(view, options, name, type, ['127.0.0.1']).reasons.map(
    ({ topic, text }) => `${topic}: ${text}`,
  );
}

const SERVICE = { apiVersion: 'v1', kind: 'Service' };
const SHOP = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
  {
    ...SERVICE,
    metadata: { namespace: 'shop', name: 'db', resourceVersion: '41' },
    spec: { clusterIP: 'None', ports: [{ port: 5432 }] },
  },
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'shop', name: 'db-1', labels: { 'kubernetes.io/service-name': 'db' } },
    addressType: 'IPv4',
    ports: [{ port: 5432 }],
    endpoints: [
      { addresses: ['10.0.0.1'], nodeName: 'n1', hostname: 'db-0' },
      { addresses: ['10.0.0.2'], conditions: { ready: false } },
      { addresses: ['10.0.0.3'], conditions: { ready: false, terminating: true } },
    ],
  },
];

describe('explaining a name', () => {
  it('tells each endpoint in or out', async () => {
    await using on = await openServer(COREFILE, { cluster: clusterOf(SHOP) });
    expect(reasonsOf(on, 'db.shop.svc.k.')).toEqual([
      'zone: k. is the longest zone that holds the name',
      'namespace: shop exists and is exposed',
      'service: shop/db is headless, resourceVersion 41',
      'endpoint: 10.0.0.1 (db-0) on n1: in, ready',
      'endpoint: 10.0.0.2 (10-0-0-2): out, not ready',
      'endpoint: 10.0.0.3 (10-0-0-3): out, terminating',
      'answer: one record',
      'record: db.shop.svc.k. 5 IN A 10.0.0.1',
    ]);
  });

  it('follows an ExternalName as far as the data of the cluster goes', async () => {
    const alias = (name: string, externalName: string) => ({
      ...SERVICE,
      metadata: { namespace: 'shop', name },
      spec: { type: 'ExternalName', externalName },
    });
    const objects = [...SHOP, alias('pay', 'pay.example.com'), alias('data', 'db.shop.svc.k')];
    await using on = await openServer(COREFILE, { cluster: clusterOf(objects) });
    expect(reasonsOf(on, 'pay.shop.svc.k.').slice(2)).toEqual([
      'service: shop/pay is ExternalName pay.example.com',
      'rule: ExternalName: a CNAME to pay.example.com., which is then looked up by the rest of the Corefile',
      'answer: one record',
      'record: pay.shop.svc.k. 5 IN CNAME pay.example.com.',
    ]);
    expect(reasonsOf(on, 'data.shop.svc.k.').slice(2)).toEqual([
      'service: shop/data is ExternalName db.shop.svc.k',
      'rule: ExternalName: a CNAME to db.shop.svc.k., which is then looked up from cluster data',
      'answer: 2 records',
      'record: data.shop.svc.k. 5 IN CNAME db.shop.svc.k.',
      'record: db.shop.svc.k. 5 IN A 10.0.0.1',
    ]);
  });

  it.each([
    ['web.shop.svc.k.', 'service: there is no service web in shop; there is db'],
    ['db.test.svc.k.', 'namespace: test does not exist'],
    ['db.shop.k.', 'rule: nothing is below the zone but svc and pod, not shop'],
    [
      'example.org.',
      'zone: example.org. lies in none of k. 10.in-addr.arpa.: the plugins behind kubernetes answer',
    ],
    ['1.0.0.10.in-addr.arpa.', 'service: shop/db has 10.0.0.1 as an endpoint'],
    ['10-0-0-1.shop.pod.k.', 'pod: pods disabled: no pod has a name'],
  ])('says of %s what decides', async (name, reason) => {
    await using on = await openServer(COREFILE, { cluster: clusterOf(SHOP) });
    expect(reasonsOf(on, name)).toContain(reason);
  });

  it('is answered as TXT below _why, in a block with debug only', async () => {
    const cluster = clusterOf(SHOP);
    await using on = await openServer(COREFILE, { cluster });
    const { answers } = await ask(on, '_why.db.shop.svc.k. TXT');
    expect(answers.map((one) => (one.type === 'TXT' ? one.data.texts.join('') : ''))).toEqual(
      reasonsOf(on, 'db.shop.svc.k.'),
    );
    await using quiet = await openServer(COREFILE.replace('debug\n', ''), { cluster });
    expect((await ask(quiet, '_why.db.shop.svc.k. TXT')).rcode).toBe('NXDOMAIN');
  });

  it('comes to the answer that is sent', async () => {
    const labels = fc.constantFrom(
      'web',
      'db',
      'kv',
      'ns',
      'svc',
      'pod',
      'h-0',
      '10-244-0-1',
      '_p',
      '_tcp',
      'dns',
    );
    const names = fc.oneof(
      fc.array(labels, { maxLength: 4 }).map((parts) => [...parts, 'k', ''].join('.')),
      fc
        .tuple(fc.array(labels, { maxLength: 2 }), fc.constantFrom('web', 'db', 'kv'))
        .map(([below, service]) => [...below, service, 'ns.svc.k.'].join('.')),
      fc.integer({ min: 0, max: 8 }).map((last) => `${last}.0.244.10.in-addr.arpa.`),
    );
    const asked = fc.tuple(names, fc.constantFrom<RecordType>('A', 'AAAA', 'SRV', 'SOA', 'TXT', 'PTR'));
    const scene = fc.tuple(fc.array(clusterStep, { maxLength: 12 }), fc.array(asked), fc.boolean());
    await fc.assert(
      fc.asyncProperty(scene, async ([steps, questions, strict]) => {
        const cluster = clusterOf([]);
        for (const step of steps) applyStep(cluster, step);
        await using on = await openServer(COREFILE, { cluster, strict });
        for (const [name, type] of questions) {
          const reasons = reasonsOf(on, name, type);
          if (reasons.some((line) => line.includes('ExternalName')) || reasons.length === 0) continue;
          const { rcode, answers } = await ask(on, `${name} ${type}`);
          const records = answers.map((one) => `record: ${formatRecord(one)}`);
          expect(reasons.filter((line) => line.startsWith('record:'))).toEqual(records);
          if (rcode !== 'NOERROR') expect(reasons).toContain(`answer: ${rcode}`);
        }
      }),
      { numRuns: 100 },
    );
  });
});
