import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import { silentLogger } from '../../src/base/log.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { explainService } from '../../endpoints/explain.ts';
import { NodeViewTracker } from '../../endpoints/node-view-tracker.ts';
import type { EndpointAddressPort, NodeSettings } from '../../endpoints/node-view.ts';
import { servicePortViews } from '../../endpoints/port-views.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import { service, slice } from '../support/kube-objects.ts';

const alpha: NodeSettings = {
  name: 'alpha',
  zone: 'a',
  family: 'IPv4',
  addresses: ['172.20.0.11'],
  primaryAddresses: ['172.20.0.11'],
  nodePortAddresses: [],
  detectLocal: { mode: 'None' },
  masqueradeAll: false,
  localhostNodePorts: true,
  serviceCIDRs: [],
  allowExternalIPs: false,
};

function world(...objects: readonly KubeObject[]) {
  const tracker = new Tracker({ log: silentLogger });
  const views = new NodeViewTracker(tracker, alpha);
  const apply = (...more: readonly KubeObject[]) => {
    for (const object of more) tracker.upsert(object);
    tracker.flush();
    return views.refresh();
  };
  return { tracker, views, apply, first: apply(...objects) };
}

const behind = (owner: string, ...ips: readonly string[]) =>
  slice(`shop/${owner}-1`, owner, { ports: { http: 8080 }, endpoints: ips.map((ip) => ({ ip })) });

describe('deltas', () => {
  test('the first refresh is incomplete, later ones name what changed with its old value', () => {
    const { first, apply, views, tracker } = world(
      service('shop/web', { clusterIP: '10.96.0.1' }),
      behind('web', '10.1.0.1'),
      service('shop/api', { clusterIP: '10.96.0.2' }),
    );
    expect(first.changes).toMatchObject({
      complete: false,
      ports: new Set(['shop/web:http/TCP', 'shop/api:http/TCP']),
    });
    const before = first.view.ports.get('shop/web:http/TCP');
    const second = apply(behind('web', '10.1.0.1', '10.1.0.2'));
    expect(second.changes).toEqual({ complete: true, ports: new Set(['shop/web:http/TCP']) });
    expect(second.previous.get('shop/web:http/TCP')).toBe(before);
    tracker.remove(service('shop/web', {}));
    tracker.flush();
    const third = views.refresh();
    expect(third.changes.ports).toEqual(new Set(['shop/web:http/TCP']));
    expect(third.view.ports.has('shop/web:http/TCP')).toBe(false);
    expect(views.refresh().changes.ports.size).toBe(0);
  });

  test('a change that this node does not act on is none, and keeps the value', () => {
    const spec = { clusterIP: '10.96.0.1' };
    const { first, apply } = world(service('shop/web', spec), behind('web', '10.1.0.1'));
    const labelled = service('shop/web', spec);
    const next = apply({ ...labelled, metadata: { ...labelled.metadata, labels: { tier: 'front' } } });
    expect(next.changes.ports.size).toBe(0);
    expect(next.view.ports.get('shop/web:http/TCP')).toBe(first.view.ports.get('shop/web:http/TCP'));
  });

  test('a renamed port replaces the old key', () => {
    const { apply } = world(service('shop/web', { clusterIP: '10.96.0.1' }));
    const next = apply(service('shop/web', { clusterIP: '10.96.0.1', ports: [{ name: 'www', port: 80 }] }));
    expect([...next.view.ports.keys()]).toEqual(['shop/web:www/TCP']);
    expect(next.previous.has('shop/web:http/TCP')).toBe(true);
  });

  test('new settings look at everything and tell only what differs', () => {
    const { views } = world(
      service('shop/web', { clusterIP: '10.96.0.1', externalIPs: ['192.0.2.1'] }),
      service('shop/api', { clusterIP: '10.96.0.2' }),
    );
    views.reconfigure({ ...alpha, allowExternalIPs: true });
    const { changes, view } = views.refresh();
    expect(changes).toEqual({ complete: false, ports: new Set(['shop/web:http/TCP']) });
    expect(view.ports.get('shop/web:http/TCP')?.externalIPs).toEqual(['192.0.2.1']);
  });
});

describe('source ranges', () => {
  const cases = [
    { name: 'of this family', ranges: [' 10.0.0.0/8 '], strict: false, expected: ['10.0.0.0/8'] },
    { name: 'with /0', ranges: ['10.0.0.0/8', '0.0.0.0/0'], strict: false, expected: [] },
    { name: 'of the other family only', ranges: ['fd00::/8'], strict: false, expected: ['0.0.0.0/32'] },
    { name: 'of the other family only, strict', ranges: ['fd00::/8'], strict: true, expected: [] },
    { name: 'that cannot be read', ranges: ['10.0.0.0/99'], strict: true, expected: ['0.0.0.0/32'] },
    { name: 'none', ranges: [], strict: false, expected: [] },
  ];
  test.each(cases)('$name', ({ ranges, strict, expected }) => {
    const { tracker } = world(
      service('shop/web', { type: 'LoadBalancer', clusterIP: '10.96.0.1', loadBalancerSourceRanges: ranges }),
    );
    const entry = tracker.snapshot.services.get('shop/web')!;
    expect(servicePortViews(entry, { ...alpha, strict })[0]?.sourceRanges).toEqual(expected);
  });
});

describe('properties', () => {
  const endpoint = fc.record({
    ip: fc.integer({ min: 1, max: 9 }).map((n) => `10.1.0.${n}`),
    ready: fc.boolean(),
    serving: fc.boolean(),
    terminating: fc.boolean(),
    nodeName: fc.constantFrom('alpha', 'beta'),
    zoneHints: fc.subarray(['a', 'b']),
    nodeHints: fc.subarray(['alpha', 'beta']),
  });
  const anyService = fc
    .record({
      name: fc.constantFrom('web', 'api'),
      internalTrafficPolicy: fc.constantFrom('Cluster' as const, 'Local' as const),
      externalTrafficPolicy: fc.constantFrom('Cluster' as const, 'Local' as const),
      type: fc.constantFrom('ClusterIP' as const, 'NodePort' as const),
    })
    .map(({ name, type, ...policies }) => {
      const nodePort = type === 'NodePort' ? 30080 : 0;
      const ports = [{ name: 'http', port: 80, nodePort }];
      return service(`shop/${name}`, { clusterIP: '10.96.0.1', type, ports, ...policies });
    });
  const anySlice = fc
    .record({ owner: fc.constantFrom('web', 'api'), endpoints: fc.array(endpoint, { maxLength: 6 }) })
    .map(({ owner, endpoints }) => slice(`shop/${owner}-1`, owner, { ports: { http: 80 }, endpoints }));

  test('following changes ends in the same view as compiling everything', () => {
    const event = fc.record({ object: fc.oneof(anyService, anySlice), refresh: fc.boolean() });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const { tracker, views } = world();
        for (const { object, refresh } of events) {
          tracker.upsert(object);
          tracker.flush();
          if (refresh) views.refresh();
        }
        const followed = views.refresh().view.ports;
        const fresh = new NodeViewTracker(tracker, alpha).refresh().view.ports;
        expect(followed).toEqual(fresh);
      }),
    );
  });

  test('explanations name exactly the endpoints of the view', () => {
    fc.assert(
      fc.property(anyService, anySlice, (owner, members) => {
        const { tracker, first } = world();
        expect(first.view.ports.size).toBe(0);
        tracker.upsert(owner);
        tracker.upsert(members);
        tracker.flush();
        const entry = tracker.snapshot.services.get(`shop/${owner.metadata.name}`)!;
        const [view] = servicePortViews(entry, alpha);
        const reasons = explainService(entry, alpha).ports[0]?.endpoints ?? [];
        const ids = (list: readonly EndpointAddressPort[]) =>
          list.map(({ address, port }) => joinHostPort(address, port));
        expect(reasons.filter(({ cluster }) => cluster).map((each) => each.endpoint)).toEqual(
          ids(view!.clusterEndpoints),
        );
        expect(reasons.filter(({ local }) => local).map((each) => each.endpoint)).toEqual(
          ids(view!.localEndpoints),
        );
        expect(reasons.every(({ reason }) => reason.length > 0)).toBe(true);
      }),
    );
  });
});
