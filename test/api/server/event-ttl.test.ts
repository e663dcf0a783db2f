import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/log.ts';
import { openMemoryStore } from '../../../src/store/memory-store.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { MASTER, openTestServer, type WatchFrame, watchFrames } from './support.ts';

const EVENTS = '/api/v1/namespaces/default/events';
const HOUR_MS = 60 * 60_000;

describe('an Event', () => {
  it('goes an hour after it was last written, in both groups, and watchers hear it', async () => {
    const clock = new FakeClock();
    await using store = openMemoryStore({ clock, log: silentLogger });
    await using server = await openTestServer({}, { clock, store });
    const event = (name: string): object => ({
      metadata: { name },
      involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
      reason: 'Test',
    });
    for (const name of ['old', 'kept'])
      expect((await server.call('POST', EVENTS, event(name))).status).toBe(201);
    const seen: WatchFrame[] = [];
    const abort = new AbortController();
    const watching = (async () => {
      for await (const frame of watchFrames(
        server.server.exchange(MASTER),
        `${EVENTS}?watch=1&timeoutSeconds=36000`,
        abort.signal,
      ))
        seen.push(frame);
    })().catch(() => {}); // aborted at the end
    await waitFor('both', () => seen.length === 2);
    await clock.advance(HOUR_MS / 2);
    const path = `${EVENTS}/kept`;
    const patch = { count: 2 };
    const type = { 'content-type': 'application/merge-patch+json' };
    expect((await server.call('PATCH', path, patch, type)).status).toBe(200);
    await clock.advance(HOUR_MS / 2 + 2 * 60_000);
    await waitFor('the deletion', () => seen.some((frame) => frame.type === 'DELETED'));
    expect(seen.at(-1)?.object.metadata.name).toBe('old');
    expect((await server.call('GET', `${EVENTS}/old`)).status).toBe(404);
    expect((await server.call('GET', path)).status).toBe(200);
    await clock.advance(HOUR_MS);
    const { body } = await server.call('GET', '/apis/events.k8s.io/v1/namespaces/default/events');
    expect(body.items).toEqual([]);
    abort.abort();
    await watching;
  });
});
