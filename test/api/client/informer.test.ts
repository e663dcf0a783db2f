import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createApiClient } from '../../../src/api/client/api-client.ts';
import type { InformerEvent } from '../../../src/api/client/informer.ts';
import { feedSink } from '../../../src/api/client/feed-sink.ts';
import { openInformerFactory } from '../../../src/api/client/informer-factory.ts';
import { WATCH_GRACE_MS, WATCH_LIST_IDLE_MS, WATCH_MAX_SECONDS } from '../../../src/api/client/limits.ts';
import { openInformer, type SharedInformer } from '../../../src/api/client/open-informer.ts';
import { resources } from '../../../src/api/client/resources.ts';
import type { ConfigMap } from '../../../src/api/kinds/config.ts';
import { objectKey } from '../../../src/api/kinds/meta.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { FakeApi } from './fake-api.ts';

interface Stage {
  readonly api: FakeApi;
  readonly clock: FakeClock;
  readonly informer: SharedInformer<ConfigMap>;
}

function stage(prepare: (api: FakeApi) => void = () => {}): Stage {
  const api = new FakeApi();
  prepare(api);
  const clock = new FakeClock();
  const client = createApiClient(api.exchange, { clock });
  const deps = { clock, log: silentLogger, random: () => 0.5 };
  const options = { indices: { value: (object: ConfigMap) => [object.data?.value ?? ''] } };
  return { api, clock, informer: openInformer<ConfigMap>(client, resources.configMaps, options, deps) };
}

const contents = (informer: SharedInformer<ConfigMap>): Record<string, unknown> =>
  Object.fromEntries(Array.from(informer.list(), (object) => [object.metadata.name, object.data?.value]));

const truth = (api: FakeApi): Record<string, unknown> =>
  Object.fromEntries([...api.objects.values()].map((o) => [o.metadata.name, (o as ConfigMap).data?.value]));

describe('informer', () => {
  it('takes a watch-list, freezes what it keeps, and follows changes', async () => {
    const { api, informer } = stage((fake) => fake.set('a', '1'));
    await informer.synced();
    const a = informer.get('default', 'a');
    expect(a?.kind).toBe('ConfigMap');
    expect(Object.isFrozen(a?.data)).toBe(true);
    api.set('b', '2');
    api.delete('a');
    await settle();
    expect(contents(informer)).toEqual({ b: '2' });
    expect(informer.resourceVersion).toBe(String(api.revision));
    expect(api.requests).toHaveLength(1);
    await informer[Symbol.asyncDispose]();
  });

  it.each([
    ['refuses watch-list', false],
    ['has a store that cannot serve watch-lists', 'disabled'],
  ] as const)('lists in pages when the server %s, filling in apiVersion and kind', async (_, watchList) => {
    const { api, informer } = stage((fake) => {
      fake.watchList = watchList;
      for (let i = 0; i < 1100; i++) fake.set(`o${i}`, 'x');
    });
    await informer.synced();
    expect(Array.from(informer.list())).toHaveLength(1100);
    expect(informer.get('default', 'o7')?.kind).toBe('ConfigMap');
    const lists = api.requests.filter((request) => request.target.includes('limit='));
    expect(lists).toHaveLength(3);
    await informer[Symbol.asyncDispose]();
  });

  it('lists when the server ignores sendInitialEvents and never closes them', async () => {
    const api = new FakeApi();
    api.set('a', '1');
    const clock = new FakeClock();
    const client = createApiClient((request, signal) => {
      const target = request.target.replace('&sendInitialEvents=true', '&resourceVersion=0');
      return api.exchange({ ...request, target }, signal);
    });
    const deps = { clock, log: silentLogger, random: () => 0.5 };
    const informer = openInformer<ConfigMap>(client, resources.configMaps, {}, deps);
    await settle();
    expect(informer.hasSynced).toBe(false);
    await clock.advance(WATCH_LIST_IDLE_MS + 1);
    expect(informer.hasSynced).toBe(true);
    expect(contents(informer)).toEqual({ a: '1' });
    await informer[Symbol.asyncDispose]();
  });

  it('gives late subscribers the present objects first', async () => {
    const { api, informer } = stage((fake) => fake.set('a', '1'));
    await informer.synced();
    const seen: string[] = [];
    const subscription = informer.subscribe((event) =>
      seen.push(`${event.type} ${event.object.metadata.name}`),
    );
    api.set('a', '2');
    await settle();
    subscription[Symbol.dispose]();
    api.set('a', '3');
    await settle();
    expect(seen).toEqual(['added a', 'updated a']);
    await informer[Symbol.asyncDispose]();
  });

  it('keeps indices in step, and builds those added later', async () => {
    const { api, informer } = stage((fake) => fake.set('a', 'red'));
    await informer.synced();
    api.set('b', 'red');
    api.set('a', 'blue');
    await settle();
    const names = (index: string, value: string): string[] =>
      Array.from(informer.byIndex(index, value), (object) => object.metadata.name);
    expect(names('value', 'red')).toEqual(['b']);
    informer.addIndex('initial', (object) => [object.metadata.name.slice(0, 1)]);
    expect(names('initial', 'a')).toEqual(['a']);
    expect(() => informer.byIndex('nothing', 'x')).toThrow('no index named nothing');
    await informer[Symbol.asyncDispose]();
  });

  it('relists after 410 as a difference, and tells a recreated object from a changed one', async () => {
    const { api, clock, informer } = stage((fake) => {
      fake.set('gone', '1');
      fake.set('again', '1');
      fake.set('kept', '1');
    });
    await informer.synced();
    const events: InformerEvent<ConfigMap>[] = [];
    informer.subscribe((event) => events.push(event));
    events.length = 0;
    api.failNext(1);
    api.drop();
    await settle();
    api.delete('gone');
    api.delete('again');
    api.set('again', '1');
    api.set('new', '1');
    api.compact();
    await clock.advance(60_000);
    expect(events.map((event) => `${event.type} ${event.object.metadata.name}`)).toEqual([
      'deleted gone',
      'deleted again',
      'added again',
      'added new',
    ]);
    await informer[Symbol.asyncDispose]();
  });

  it('resumes from a bookmark', async () => {
    const { api, clock, informer } = stage((fake) => fake.set('a', '1'));
    await informer.synced();
    api.set('b', '1');
    await settle();
    api.bookmark();
    await settle();
    api.drop();
    await clock.advance(10_000);
    expect(api.requests.at(-1)?.target).toContain(`resourceVersion=${api.revision}`);
    await informer[Symbol.asyncDispose]();
  });

  it('keeps serving its last state while the server is away, and does not hurry', async () => {
    const { api, clock, informer } = stage((fake) => fake.set('a', '1'));
    await informer.synced();
    api.failNext(1e6);
    api.drop();
    await clock.advance(10 * 60_000);
    expect(contents(informer)).toEqual({ a: '1' });
    // 200 ms doubling to 30 s, half of it random: no more than one attempt in 15 s at the end.
    expect(api.requests.length).toBeLessThan(60);
    api.failNext(0);
    api.set('b', '1');
    await clock.advance(60_000);
    expect(contents(informer)).toEqual({ a: '1', b: '1' });
    await informer[Symbol.asyncDispose]();
  });

  it('cuts a watch that outlives what the server promised', async () => {
    const { api, clock, informer } = stage((fake) => fake.set('a', '1'));
    await informer.synced();
    const before = api.requests.length;
    await clock.advance(WATCH_MAX_SECONDS * 1000 + WATCH_GRACE_MS + 60_000);
    expect(api.requests.length).toBeGreaterThan(before);
    expect(api.watchers).toBe(1);
    await informer[Symbol.asyncDispose]();
    await settle();
    expect(api.watchers).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('survives a handler that throws, and counts it', async () => {
    const api = new FakeApi();
    const clock = new FakeClock();
    const metrics = new Registry();
    const client = createApiClient(api.exchange, { clock });
    const deps = { clock, log: silentLogger, random: () => 0, metrics };
    const informer = openInformer<ConfigMap>(client, resources.configMaps, {}, deps);
    await informer.synced();
    const seen: string[] = [];
    informer.subscribe(() => {
      throw new Error('bad handler');
    });
    informer.subscribe((event) => seen.push(event.object.metadata.name));
    api.set('a', '1');
    await settle();
    expect(seen).toEqual(['a']);
    expect(await metrics.metrics()).toContain(
      'weft_informer_errors_total{resource="configmaps",stage="handler"} 1',
    );
    await informer[Symbol.asyncDispose]();
  });

  it('rejects those who wait for the first list when it is disposed', async () => {
    const { informer } = stage((fake) => fake.failNext(1e6));
    const waiting = informer.synced();
    await informer[Symbol.asyncDispose]();
    await expect(waiting).rejects.toThrow('disposed before its first list');
  });

  it('converges under any order of changes, drops, expiries and failures', async () => {
    const action = fc.oneof(
      fc.record({
        do: fc.constant('set' as const),
        name: fc.constantFrom('a', 'b', 'c'),
        value: fc.constantFrom('1', '2'),
      }),
      fc.record({ do: fc.constant('delete' as const), name: fc.constantFrom('a', 'b', 'c') }),
      fc.record({
        do: fc.constantFrom<'drop' | 'compact' | 'bookmark'>('drop', 'compact', 'bookmark'),
      }),
      fc.record({ do: fc.constant('fail' as const), count: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 100, 5_000) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 30 }), fc.boolean(), async (actions, watchList) => {
        const { api, clock, informer } = stage((fake) => {
          fake.watchList = watchList;
        });
        const replayed = new Map<string, string | undefined>();
        informer.subscribe((event) => {
          const key = objectKey(event.object);
          expect(event.type === 'added').toBe(!replayed.has(key));
          if (event.type === 'deleted') replayed.delete(key);
          else replayed.set(key, event.object.data?.value);
        });
        for (const step of actions) {
          if (step.do === 'set') api.set(step.name, step.value);
          else if (step.do === 'delete') api.delete(step.name);
          else if (step.do === 'drop') api.drop();
          else if (step.do === 'compact') api.compact();
          else if (step.do === 'bookmark') api.bookmark();
          else if (step.do === 'fail') api.failNext(step.count);
          else if (step.do === 'wait') await clock.advance(step.ms);
        }
        api.failNext(0);
        await clock.advance(120_000);
        expect(contents(informer)).toEqual(truth(api));
        expect(Object.fromEntries([...replayed].map(([key, value]) => [key.split('/')[1], value]))).toEqual(
          truth(api),
        );
        await informer[Symbol.asyncDispose]();
      }),
      { numRuns: 60 },
    );
  });
});

describe('informer factory', () => {
  it('shares one informer a collection and keeps the indices of all callers', async () => {
    const api = new FakeApi();
    api.set('a', '1');
    const clock = new FakeClock();
    const client = createApiClient(api.exchange, { clock });
    await using factory = openInformerFactory(client, { clock, log: silentLogger, random: () => 0 });
    const first = factory.informer<ConfigMap>(resources.configMaps);
    await factory.synced();
    const second = factory.informer<ConfigMap>(resources.configMaps, { name: (o) => [o.metadata.name] });
    expect(second).toBe(first);
    expect(Array.from(second.byIndex('name', 'a'))).toHaveLength(1);
    expect(factory.has(resources.configMaps)).toBe(true);
    expect(factory.has(resources.pods)).toBe(false);
    expect(api.requests).toHaveLength(1);
  });

  it('follows what a field selector names apart from the whole collection', async () => {
    const api = new FakeApi();
    const clock = new FakeClock();
    const remembered: string[] = [];
    const memory = {
      recall: () => undefined,
      remember: ({ resource }: { resource: { plural: string } }) => void remembered.push(resource.plural),
    };
    const deps = { clock, log: silentLogger, random: () => 0, memory };
    await using factory = openInformerFactory(createApiClient(api.exchange, { clock }), deps);
    const bundles = factory.selected<ConfigMap>(resources.configMaps, 'metadata.name=a');
    expect(factory.selected(resources.configMaps, 'metadata.name=a')).toBe(bundles);
    expect(factory.has(resources.configMaps)).toBe(false);
    await factory.synced();
    expect(remembered).toEqual([]); // it would be taken for the whole collection after a restart
    expect(api.requests).toHaveLength(1);
    expect(new URL(api.requests[0]!.target, 'http://fake').searchParams.get('fieldSelector')).toBe(
      'metadata.name=a',
    );
    expect(factory.informer(resources.configMaps)).not.toBe(bundles);
    await factory.synced();
    expect(remembered).toEqual(['configmaps']);
  });
});

describe('feedSink', () => {
  it('delivers the first list, then says synced once, then changes', async () => {
    const { api, informer } = stage((fake) => fake.set('a', '1'));
    const calls: string[] = [];
    const fed = feedSink(informer, {
      upsert: (object) => calls.push(`upsert ${objectKey(object)}`),
      remove: (object) => calls.push(`remove ${objectKey(object)}`),
      synced: (apiVersion, kind) => calls.push(`synced ${apiVersion} ${kind}`),
    });
    await informer.synced();
    api.delete('a');
    await settle();
    fed[Symbol.dispose]();
    expect(calls).toEqual(['upsert default/a', 'synced v1 ConfigMap', 'remove default/a']);
    await informer[Symbol.asyncDispose]();
  });
});
