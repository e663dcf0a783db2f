import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import { silentLogger } from '../../src/base/log.ts';
import { Registry } from '../../src/base/metrics.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import { namespace, node, pod, service, serviceImport, slice } from '../support/kube-objects.ts';

function open(options = {}): Tracker {
  return new Tracker({ log: silentLogger }, options);
}

function feed(objects: readonly KubeObject[], options = {}): Tracker {
  const tracker = open(options);
  for (const object of objects) tracker.upsert(object);
  tracker.flush();
  return tracker;
}

const web = service('shop/web', { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80 }] });

describe('merging slices', () => {
  const cases = [
    {
      name: 'two slices with different ports join by port name',
      slices: [
        slice('shop/web-a', 'web', { ports: { http: 8080 }, endpoints: [{ ip: '10.1.0.2' }] }),
        slice('shop/web-b', 'web', { ports: { http: 9090 }, endpoints: [{ ip: '10.1.0.1' }] }),
      ],
      expected: [
        ['10.1.0.1', { 'http/TCP': 9090 }],
        ['10.1.0.2', { 'http/TCP': 8080 }],
      ],
    },
    {
      name: 'the same ip:port in two slices counts once',
      slices: [
        slice('shop/web-a', 'web', { ports: { http: 8080 }, endpoints: [{ ip: '10.1.0.1' }] }),
        slice('shop/web-b', 'web', { ports: { http: 8080 }, endpoints: [{ ip: '10.1.0.1' }] }),
      ],
      expected: [['10.1.0.1', { 'http/TCP': 8080 }]],
    },
    {
      name: 'one address with two numbers of one port stays two endpoints',
      slices: [
        slice('shop/web-a', 'web', { ports: { http: 8080 }, endpoints: [{ ip: '10.1.0.1' }] }),
        slice('shop/web-b', 'web', { ports: { http: 9090 }, endpoints: [{ ip: '10.1.0.1' }] }),
      ],
      expected: [
        ['10.1.0.1', { 'http/TCP': 8080 }],
        ['10.1.0.1', { 'http/TCP': 9090 }],
      ],
    },
    {
      name: 'one address with different ports in three slices becomes one endpoint',
      slices: [
        slice('shop/web-a', 'web', { ports: { a: 1 }, endpoints: [{ ip: '10.1.0.1' }] }),
        slice('shop/web-b', 'web', { ports: { b: 2 }, endpoints: [{ ip: '10.1.0.1' }] }),
        slice('shop/web-c', 'web', { ports: { c: 3 }, endpoints: [{ ip: '10.1.0.1' }] }),
      ],
      expected: [['10.1.0.1', { 'a/TCP': 1, 'b/TCP': 2, 'c/TCP': 3 }]],
    },
    {
      name: 'an endpoint without ports is kept once',
      slices: [
        slice('shop/web-a', 'web', { ports: {}, endpoints: [{ ip: '10.1.0.1' }] }),
        slice('shop/web-b', 'web', { ports: {}, endpoints: [{ ip: '10.1.0.1' }] }),
      ],
      expected: [['10.1.0.1', {}]],
    },
    {
      name: 'null and zero ports are left out, leading zeros are decimal, IPv4 sorts before IPv6 and by value',
      slices: [
        slice('shop/web-6', 'web', {
          addressType: 'IPv6',
          ports: { http: 8080 },
          endpoints: [{ ip: 'FD00::0:1' }],
        }),
        slice('shop/web-4', 'web', {
          ports: { http: 8080, nil: null, zero: 0 },
          endpoints: [{ ip: '10.1.0.010' }, { ip: '10.1.0.9' }],
        }),
      ],
      expected: [
        ['10.1.0.9', { 'http/TCP': 8080 }],
        ['10.1.0.10', { 'http/TCP': 8080 }],
        ['fd00::1', { 'http/TCP': 8080 }],
      ],
    },
    {
      name: 'FQDN slices and slices of other namespaces do not count',
      slices: [
        slice('shop/web-f', 'web', { addressType: 'FQDN', ports: { http: 1 }, endpoints: [{ ip: 'a.b' }] }),
        slice('other/web-a', 'web', { ports: { http: 1 }, endpoints: [{ ip: '10.1.0.1' }] }),
      ],
      expected: [],
    },
  ];
  test.each(cases)('$name', ({ slices, expected }) => {
    const entry = feed([web, ...slices]).snapshot.services.get('shop/web');
    const found = entry?.endpoints.map((endpoint) => [endpoint.address, Object.fromEntries(endpoint.ports)]);
    expect(found).toEqual(expected);
  });

  test('a live duplicate beats a terminating one, whichever slice comes first by name', () => {
    const live = { ip: '10.1.0.1', ready: true };
    const going = { ip: '10.1.0.1', ready: false, terminating: true };
    for (const [a, b] of [
      [live, going],
      [going, live],
    ] as const) {
      const tracker = feed([
        web,
        slice('shop/web-a', 'web', { ports: { http: 80 }, endpoints: [a] }),
        slice('shop/web-b', 'web', { ports: { http: 80 }, endpoints: [b] }),
      ]);
      const endpoints = tracker.snapshot.services.get('shop/web')?.endpoints;
      expect(endpoints).toMatchObject([{ ready: true, terminating: false }]);
    }
  });
});

describe('events', () => {
  const one = slice('shop/web-a', 'web', { ports: { http: 8080 }, endpoints: [{ ip: '10.1.0.1' }] });

  test('a slice before its service waits for it', () => {
    const tracker = feed([one]);
    expect(tracker.snapshot.services.size).toBe(0);
    tracker.upsert(web);
    tracker.flush();
    expect(tracker.snapshot.services.get('shop/web')?.endpoints).toHaveLength(1);
  });

  test('a slice that changes its label moves to the other service', () => {
    const tracker = feed([web, service('shop/api', { clusterIP: '10.96.0.2' }), one]);
    const before = tracker.snapshot.version;
    tracker.upsert({
      ...one,
      metadata: { ...one.metadata, labels: { 'kubernetes.io/service-name': 'api' } },
    });
    tracker.flush();
    expect(tracker.snapshot.services.get('shop/web')?.endpoints).toHaveLength(0);
    expect(tracker.snapshot.services.get('shop/api')?.endpoints).toHaveLength(1);
    expect([...tracker.changesSince(before).services].sort()).toEqual(['shop/api', 'shop/web']);
  });

  test('repeating an unchanged object is no change and keeps the value', () => {
    const tracker = feed([web, one]);
    const entry = tracker.snapshot.services.get('shop/web');
    tracker.upsert(structuredClone(web));
    tracker.upsert(structuredClone(one));
    expect(tracker.flush()).toBe(1);
    expect(tracker.snapshot.services.get('shop/web')).toBe(entry);
  });

  test('events are applied together in the next microtask', async () => {
    const tracker = open();
    const versions: number[] = [];
    using subscription = tracker.subscribe((version) => versions.push(version));
    tracker.upsert(web);
    tracker.upsert(one);
    expect(tracker.snapshot.version).toBe(0);
    await Promise.resolve();
    expect(versions).toEqual([1]);
    subscription[Symbol.dispose]();
    tracker.remove(web);
    tracker.flush();
    expect(versions).toEqual([1]);
  });

  test('a listener that throws does not keep others from hearing', () => {
    const tracker = open();
    let heard = 0;
    tracker.subscribe(() => {
      throw new Error('broken');
    });
    tracker.subscribe(() => heard++);
    tracker.upsert(web);
    tracker.flush();
    expect(heard).toBe(1);
  });

  test('synced needs services and slices, and is itself told', () => {
    const tracker = open();
    tracker.synced('v1', 'Service');
    tracker.flush();
    expect(tracker.snapshot.synced).toBe(false);
    tracker.synced('discovery.k8s.io/v1', 'EndpointSlice');
    expect(tracker.flush()).toBe(1);
    expect(tracker.snapshot.synced).toBe(true);
  });

  test('a reader that lags beyond the change log is told to rebuild', () => {
    const tracker = open({ changeLogKeysMax: 3 });
    for (let i = 0; i < 5; i++) {
      tracker.upsert(service(`shop/s${i}`, { clusterIP: `10.96.1.${i}` }));
      tracker.flush();
    }
    expect(tracker.changesSince(5)).toMatchObject({ complete: true, version: 5, services: new Set() });
    expect(tracker.changesSince(2)).toMatchObject({
      complete: true,
      services: new Set(['shop/s2', 'shop/s3', 'shop/s4']),
    });
    expect(tracker.changesSince(1).complete).toBe(false);
  });

  test('imports gather the slices of each cluster', () => {
    const tracker = feed([
      serviceImport('shop/web', ['10.97.0.1'], [{ name: 'http', port: 80 }]),
      slice('shop/i1', 'web', { imported: 'east', ports: { http: 80 }, endpoints: [{ ip: '10.1.0.1' }] }),
      slice('shop/i2', 'web', { imported: 'west', ports: { http: 80 }, endpoints: [{ ip: '10.1.0.1' }] }),
    ]);
    const found = tracker.snapshot.imports.get('shop/web')?.endpoints.map((endpoint) => endpoint.clusterId);
    expect(found).toEqual(['east', 'west']);
  });

  test('pods by address prefer the one with an address of its own', () => {
    const pods = [
      pod('a/host', '10.1.0.1', { hostNetwork: true }),
      pod('b/own', '10.1.0.1', {}),
      pod('c/done', '10.1.0.1', { phase: 'Succeeded' }),
    ];
    const tracker = feed(pods, { pods: true });
    expect(tracker.snapshot.podsByAddress.get('10.1.0.1')?.name).toBe('own');
    expect(feed(pods).snapshot.podsByAddress.size).toBe(0);
  });

  test('odd objects are counted, never thrown, and stand for nothing', async () => {
    const metrics = new Registry();
    const tracker = new Tracker({ log: silentLogger, metrics });
    tracker.upsert(web);
    tracker.upsert({ apiVersion: 'v1', kind: 'Service', metadata: web.metadata });
    tracker.upsert({ apiVersion: 'v1', kind: 'Service' } as KubeObject);
    tracker.upsert(null as unknown as KubeObject);
    tracker.flush();
    expect(tracker.snapshot.services.size).toBe(0);
    expect(tracker.oddObjectCount).toBe(3);
    expect(await metrics.getSingleMetricAsString('weft_endpoints_odd_objects_total')).toContain(
      'kind="Service"} 2',
    );
  });
});

describe('any order of events gives the same Snapshot', () => {
  const ip = fc.integer({ min: 1, max: 6 }).map((n) => `10.1.0.${n}`);
  const endpoint = fc.record({
    ip,
    ready: fc.boolean(),
    serving: fc.boolean(),
    terminating: fc.boolean(),
    nodeName: fc.constantFrom('alpha', 'beta'),
  });
  const name = fc.constantFrom('web', 'api');
  const anySlice = fc
    .record({
      id: fc.integer({ min: 0, max: 4 }),
      owner: name,
      port: fc.constantFrom(8080, 9090),
      portName: fc.constantFrom('http', 'admin'),
      endpoints: fc.array(endpoint, { maxLength: 4 }),
    })
    .map(({ id, owner, port, portName, endpoints }) =>
      slice(`shop/slice-${id}`, owner, { ports: { [portName]: port }, endpoints }),
    );
  const anyService = fc.record({ name, local: fc.boolean() }).map(({ name: owner, local }) =>
    service(`shop/${owner}`, {
      clusterIP: '10.96.0.9',
      ports: [{ name: 'http', port: 80 }],
      internalTrafficPolicy: local ? 'Local' : 'Cluster',
    }),
  );
  const anyOther = fc.constantFrom<KubeObject>(
    node('alpha', '172.20.0.1', 'zone-a'),
    node('alpha', '172.20.0.2', 'zone-b'),
    namespace('shop'),
    pod('shop/p1', '10.1.0.1', {}),
    pod('shop/p2', '10.1.0.1', { hostNetwork: true }),
  );
  const anyEvent = fc.record({
    object: fc.oneof(anySlice, anyService, anyOther),
    remove: fc.boolean(),
    flush: fc.boolean(),
  });

  test('of the last states alone, shuffled', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40 }), fc.infiniteStream(fc.nat()), (events, dice) => {
        const tracker = open({ pods: true });
        const last = new Map<string, KubeObject>();
        for (const { object, remove, flush } of events) {
          const key = `${object.kind} ${object.metadata.name}`;
          if (remove) last.delete(key);
          else last.set(key, object);
          if (remove) tracker.remove(object);
          else tracker.upsert(object);
          if (flush) tracker.flush();
        }
        tracker.flush();
        const shuffled = [...last.values()]
          .map((object) => ({ object, at: dice.next().value ?? 0 }))
          .sort((a, b) => a.at - b.at);
        const fresh = feed(
          [...shuffled, ...shuffled].map(({ object }) => object),
          { pods: true },
        );
        expect(tables(tracker)).toEqual(tables(fresh));
      }),
      { numRuns: 300 },
    );
  });

  test('a reader that follows changesSince sees the same as one that reads everything', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
        const tracker = open({ changeLogKeysMax: 6 });
        const copy = new Map<string, unknown>();
        let seen = 0;
        for (const { object, remove, flush } of events) {
          if (remove) tracker.remove(object);
          else tracker.upsert(object);
          if (!flush) continue;
          tracker.flush();
          if (object.kind !== 'Service') continue; // lag for a while
          const changes = tracker.changesSince(seen);
          seen = changes.version;
          if (!changes.complete) copy.clear();
          for (const key of changes.complete ? changes.services : tracker.snapshot.services.keys()) {
            const entry = tracker.snapshot.services.get(key);
            if (entry) copy.set(key, entry);
            else copy.delete(key);
          }
          expect(copy).toEqual(tracker.snapshot.services);
        }
      }),
    );
  });
});

function tables(tracker: Tracker): unknown {
  const { services, imports, namespaces, nodes, podsByAddress } = tracker.snapshot;
  return { services, imports, namespaces, nodes, podsByAddress };
}

test('a slice labelled headless counts only while its service is headless', () => {
  const one = slice('shop/web-a', 'web', { ports: { http: 8080 }, endpoints: [{ ip: '10.1.0.1' }] });
  const labels = { ...one.metadata.labels, 'service.kubernetes.io/headless': '' };
  const labelled = { ...one, metadata: { ...one.metadata, labels } };
  const count = (clusterIP: string): number | undefined =>
    feed([service('shop/web', { clusterIP }), labelled]).snapshot.services.get('shop/web')?.endpoints.length;
  expect(count('10.96.0.1')).toBe(0);
  expect(count('None')).toBe(1);
});

test('a port that is there twice is taken once', () => {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'http', port: 81 },
  ];
  const tracker = feed([service('shop/web', { clusterIP: '10.96.0.1', ports })]);
  expect(tracker.snapshot.services.get('shop/web')?.ports.map(({ port }) => port)).toEqual([80]);
  expect(tracker.oddObjectCount).toBe(1);
});
