import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/log.ts';
import { openMemoryStore } from '../../../src/store/memory-store.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { openTestServer, type TestReply } from './support.ts';

const EVENTS = '/api/v1/namespaces/default/events';
const MAPS = '/api/v1/namespaces/default/configmaps';
const HOUR_MS = 3_600_000;

const names = (reply: TestReply): string[] =>
  (reply.body.items as { metadata: { name: string } }[]).map((item) => item.metadata.name);
const event = (name: string): object => ({
  metadata: { name },
  involvedObject: { kind: 'ConfigMap', namespace: 'default', name: 'some' },
  reason: 'Tested',
});

describe('Events', () => {
  it('go an hour after they were last written, with a DELETED for who watches; other objects stay', async () => {
    const clock = new FakeClock();
    await using store = openMemoryStore({ clock, log: silentLogger });
    await using test = await openTestServer({}, { clock, store });
    expect((await test.call('POST', EVENTS, event('first'))).status).toBe(201);
    await test.call('POST', MAPS, { metadata: { name: 'stays' } });
    await clock.advance(HOUR_MS / 2);
    await test.call('POST', EVENTS, event('second'));
    const { body } = await test.call('GET', EVENTS);
    expect(body.items).toHaveLength(2);
    await clock.advance(HOUR_MS / 2 + 61_000); // what is written within a minute shares a lease
    const after = await test.call('GET', EVENTS);
    expect(names(after)).toEqual(['second']);
    const since = `${EVENTS}?watch=1&timeoutSeconds=1&resourceVersion=${body.metadata.resourceVersion}`;
    const watched = test.call('GET', since);
    await clock.advance(2_000);
    expect((await watched).text).toMatch(/"type":"DELETED".*"name":"first"/);
    await clock.advance(HOUR_MS);
    expect(names(await test.call('GET', EVENTS))).toEqual([]);
    expect(names(await test.call('GET', MAPS))).toContain('stays');
  });
});

describe('a list in pages', () => {
  it('stays at its revision until that is compacted; then 410 has a token for the rest as it is now', async () => {
    await using store = openMemoryStore({ clock: new FakeClock(), log: silentLogger });
    await using test = await openTestServer({}, { store });
    const base = '/api/v1/namespaces/kube-public/configmaps';
    for (const name of ['p1', 'p2', 'p3', 'p4']) await test.call('POST', base, { metadata: { name } });
    const first = await test.call('GET', `${base}?limit=2`);
    const page = (token: string): Promise<TestReply> =>
      test.call('GET', `${base}?limit=2&continue=${encodeURIComponent(token)}`);
    const { resourceVersion, continue: token } = first.body.metadata as Record<string, string>;
    await test.call('DELETE', `${base}/p4`);
    await test.call('POST', base, { metadata: { name: 'p5' } });

    await store.compact(Number(resourceVersion));
    const second = await page(token ?? '');
    expect([...names(first), ...names(second)]).toEqual(['kube-root-ca.crt', 'p1', 'p2', 'p3']);
    expect(second.body.metadata.resourceVersion).toBe(resourceVersion);
    expect(names(await page(second.body.metadata.continue as string))).toEqual(['p4']);

    await store.compact(await store.currentRevision());
    const expired = await page(token ?? '');
    expect([expired.status, expired.body.reason]).toEqual([410, 'Expired']);
    const rest = await page(expired.body.metadata.continue as string);
    expect(names(rest)).toEqual(['p2', 'p3']);
    expect(names(await page(rest.body.metadata.continue as string))).toEqual(['p5']);
  });
});
