import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resources } from '../../src/api/client/resources.ts';
import type { Endpoints, EndpointSlice } from '../../src/api/kinds/endpoint-slice.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import type { Service } from '../../src/api/kinds/service.ts';
import { Cluster } from './cluster.ts';

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.open({
    enabled: ['endpoint-slice', 'endpoints', 'endpoint-slice-mirroring', 'service-load-balancer'],
    loadBalancerPools: [{ name: 'small', addresses: ['192.0.2.1-192.0.2.2'] }],
  });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

function service(name: string, spec: Service['spec'], annotations: Record<string, string> = {}): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default', annotations }, spec };
}

async function readyPod(name: string): Promise<Pod> {
  const made = await cluster.client.create<Pod>(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: 'web' } },
    spec: {
      nodeName: 'n1',
      containers: [{ name: 'web', image: 'web', ports: [{ name: 'http', containerPort: 8080 }] }],
    },
  });
  await cluster.setReady(made);
  return made;
}

const slices = async (): Promise<EndpointSlice[]> => [
  ...(await cluster.client.list<EndpointSlice>(resources.endpointSlices, { namespace: 'default' })).items,
];
const web: Service['spec'] = { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] };
const ingressOf = async (name: string): Promise<string | undefined> =>
  (await cluster.client.get<Service>(resources.services, name, 'default')).status?.loadBalancer?.ingress?.[0]
    ?.ip;

describe('endpoint controllers', () => {
  it('keeps slices and Endpoints in line with the pods', async () => {
    await cluster.node('n1', { labels: { 'topology.kubernetes.io/zone': 'z1' } });
    await cluster.client.create(resources.services, service('web', web));
    await cluster.eventually('placeholder', async () => (await slices()).length === 1);
    const pod = await readyPod('web-1');
    const [slice] = await cluster.eventually('endpoint', async () => {
      const found = await slices();
      return found.length === 1 && found[0]?.endpoints?.[0]?.conditions?.ready === true && found;
    });
    expect(slice?.ports).toMatchObject([{ port: 8080, protocol: 'TCP' }]);
    expect(slice?.endpoints?.[0]).toMatchObject({ nodeName: 'n1', zone: 'z1', targetRef: { name: 'web-1' } });
    await cluster.eventually('Endpoints', async () => {
      const found = await cluster.client.get<Endpoints>(resources.endpoints, 'web', 'default');
      return found.subsets?.[0]?.addresses?.[0]?.targetRef?.name === 'web-1';
    });
    await cluster.setReady(pod, false);
    await cluster.eventually(
      'not ready',
      async () => (await slices())[0]?.endpoints?.[0]?.conditions?.ready === false,
    );
    await cluster.client.patch(resources.pods, 'web-1', 'default', 'merge', {
      metadata: { labels: { app: 'x' } },
    });
    await cluster.eventually('gone', async () => !(await slices())[0]?.endpoints?.length);
  });

  it('packs 150 pods into two slices of at most 100', async () => {
    await cluster.node('n1');
    for (let i = 0; i < 150; i++) await readyPod(`web-${i}`);
    await cluster.client.create(resources.services, service('web', web));
    const found = await cluster.eventually('two slices', async () => {
      const list = await slices();
      return list.length === 2 && list;
    });
    expect(found.map((one) => one.endpoints?.length ?? 0).toSorted((a, b) => b - a)).toEqual([100, 50]);
  });

  it('mirrors hand-made Endpoints of a service without selector, and takes the slice back with them', async () => {
    await cluster.client.create(resources.services, service('db', { ports: [{ port: 5432 }] }));
    await cluster.client.create<Endpoints>(resources.endpoints, {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: 'db', namespace: 'default' },
      subsets: [{ addresses: [{ ip: '203.0.113.9' }], ports: [{ port: 5432 }] }],
    });
    const [slice] = await cluster.eventually('mirror', async () => {
      const found = await slices();
      return found.length === 1 && found;
    });
    expect(slice?.endpoints?.[0]?.addresses).toEqual(['203.0.113.9']);
    await cluster.client.delete(resources.endpoints, 'db', 'default');
    await cluster.eventually('gone', async () => (await slices()).length === 0);
  });
});

describe('service load balancer', () => {
  const spec: Service['spec'] = { type: 'LoadBalancer', ports: [{ port: 80 }] };

  it('gives the first free address, waits when none is left, and goes on when one is freed', async () => {
    for (const name of ['a', 'b', 'c']) {
      await cluster.client.create(resources.services, service(name, spec));
      if (name !== 'c') await cluster.eventually(`address of ${name}`, () => ingressOf(name));
    }
    expect([await ingressOf('a'), await ingressOf('b')]).toEqual(['192.0.2.1', '192.0.2.2']);
    await cluster.clock.advance(1_000);
    expect(await ingressOf('c')).toBeUndefined();
    await cluster.client.delete(resources.services, 'a', 'default');
    await cluster.eventually('freed', async () => (await ingressOf('c')) === '192.0.2.1');
  });

  it('shares an address by key, obeys a request, refuses one that is taken', async () => {
    const ask = (key: string): Record<string, string> => ({
      'metallb.io/allow-shared-ip': key,
      'metallb.io/loadBalancerIPs': '192.0.2.2',
    });
    await cluster.client.create(resources.services, service('a', spec, ask('k')));
    await cluster.client.create(
      resources.services,
      service('b', { type: 'LoadBalancer', ports: [{ port: 443 }] }, ask('k')),
    );
    await cluster.eventually(
      'shared',
      async () => (await ingressOf('a')) === '192.0.2.2' && (await ingressOf('b')) === '192.0.2.2',
    );
    await cluster.client.create(resources.services, service('c', spec, ask('other')));
    await cluster.clock.advance(1_000);
    expect(await ingressOf('c')).toBeUndefined();
  });
});
