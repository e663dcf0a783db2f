import { describe, expect, it } from 'vitest';
import { FairQueue } from '../../../../src/api/server/fairness.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { Registry } from '../../../../src/base/metrics.ts';
import { silentLogger } from '../../../../src/base/log.ts';
import { openMemoryStore } from '../../../../src/store/memory-store.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { caller, MASTER, openTestServer } from '../support.ts';

/** The server's own way: the event loop and the clock of the process. */
const REAL_TURNS = { nowMs: () => systemClock.monotonicMs(), nextTurn: setImmediate };
const MAPS = '/api/v1/namespaces/default/configmaps';

describe('10,000 watches of one client', () => {
  it('end at its limit with 429, and the others go on', async () => {
    const metrics = new Registry();
    await using server = await openTestServer({}, { metrics });
    const greedy = server.server.exchange({ username: 'greedy', groups: ['system:masters'] });
    const abort = new AbortController();
    const statuses = new Map<number, number>();
    const readers: Promise<void>[] = [];
    const before = process.memoryUsage().rss;
    for (let count = 0; count < 10_000; count++) {
      const reply = await greedy(
        { method: 'GET', target: `${MAPS}?watch=1&resourceVersion=0`, headers: {} },
        abort.signal,
      );
      statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
      if (reply.status !== 200) continue;
      const body = reply.body[Symbol.asyncIterator]();
      readers.push(body.next().then(() => {}));
    }
    expect(new Set(statuses.keys())).toEqual(new Set([200, 429]));
    expect(statuses.get(200)).toBe(4_096);
    expect(process.memoryUsage().rss - before).toBeLessThan(1024 ** 3);
    const reader = await server.call('GET', `${MAPS}?watch=1&timeoutSeconds=1`);
    expect(reader.status).toBe(200);
    expect((await server.call('GET', '/metrics')).text).toMatch(/apiserver_longrunning_requests 4\d{3}/);
    abort.abort();
    await Promise.allSettled(readers);
    await waitFor(
      'the slots to be free',
      async () => {
        const again = await greedy(
          { method: 'GET', target: `${MAPS}?watch=1&timeoutSeconds=1`, headers: {} },
          new AbortController().signal,
        );
        return again.status === 200;
      },
      30_000,
    );
  });
});

describe('a watcher that does not read', () => {
  it('is let go; what it held is bounded', async () => {
    await using server = await openTestServer();
    const abort = new AbortController();
    const slow = await server.server.exchange(MASTER)(
      { method: 'GET', target: `${MAPS}?watch=1&resourceVersion=0`, headers: {} },
      abort.signal,
    );
    const half = 'x'.repeat(512 * 1024);
    await server.call('POST', MAPS, { metadata: { name: 'big' }, data: { a: half } });
    for (let count = 0; count < 50; count++) {
      const reply = await server.call('PUT', `${MAPS}/big`, {
        metadata: { name: 'big' },
        data: { a: half, count: String(count) },
      });
      expect(reply.status).toBe(200);
    }
    let sizeBytes = 0;
    for await (const chunk of slow.body) sizeBytes += chunk.length;
    expect(sizeBytes).toBeGreaterThan(half.length);
    expect(sizeBytes).toBeLessThan(20 * 1024 * 1024);
    abort.abort();
  });
});

describe('a request that takes too long', () => {
  it('gets 504 after its timeout, and the server goes on', async () => {
    const clock = new FakeClock();
    const inner = openMemoryStore({ clock: systemClock, log: silentLogger });
    let hanging = false;
    const never = new Promise<never>(() => {});
    const store = new Proxy(inner, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (name === 'put') {
          return (key: string, ...rest: [Uint8Array]) => {
            if (!key.endsWith('/late')) return target.put(key, ...rest);
            hanging = true;
            return never;
          };
        }
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const server = await openTestServer({}, { store, clock });
    const asked = server.call('POST', `${MAPS}?timeout=5s`, { metadata: { name: 'late' } });
    await waitFor('the write to hang', () => hanging);
    await clock.advance(6_000);
    const reply = await asked;
    expect([reply.status, reply.body.reason]).toEqual([504, 'Timeout']);
    expect((await server.call('GET', MAPS)).status).toBe(200);
    const wrong = await server.call('GET', `${MAPS}?timeout=soon`);
    expect([wrong.status, wrong.body.message]).toEqual([
      400,
      'invalid timeout specified in the request URL: soon',
    ]);
    await server[Symbol.asyncDispose]();
    await inner[Symbol.asyncDispose]();
  });
});

describe('a flood of one user', () => {
  it('waits in its own lane: the others take turns with it', async () => {
    const queue = new FairQueue(REAL_TURNS);
    const order: string[] = [];
    const run = async (user: string): Promise<void> => {
      using _place = await queue.enter(user);
      order.push(user);
      const untilMs = systemClock.monotonicMs() + 0.1;
      while (systemClock.monotonicMs() < untilMs); // what a request costs
    };
    const flood = Array.from({ length: 900 }, () => run('flood'));
    const others = Array.from({ length: 10 }, (_, index) => run(`user${index}`));
    await Promise.all(others);
    const before = order.filter((user) => user === 'flood').length;
    expect(before).toBeLessThan(100);
    await Promise.all(flood);
    expect(order).toHaveLength(910);
  });

  it('is refused with Retry-After when its lane is full', async () => {
    const queue = new FairQueue(REAL_TURNS);
    const entered = Array.from({ length: 3_000 }, () =>
      queue.enter('flood').catch((error: unknown) => error),
    );
    const refused = await entered.at(-1);
    expect(refused).toMatchObject({ code: 429, details: { retryAfterSeconds: 1 } });
    using _place = await queue.enter('calm');
  });

  it('of one that is answered late leaves the kubelet its turn', async () => {
    await using server = await openTestServer();
    const flood = caller(server.server.exchange({ username: 'flood', groups: ['system:masters'] }));
    const calm = caller(server.server.exchange({ username: 'calm', groups: ['system:masters'] }));
    const all = Array.from({ length: 800 }, () => flood('GET', MAPS));
    let answered = 0;
    for (const one of all) void one.then(() => answered++);
    const reply = await calm('GET', MAPS);
    expect(reply.status).toBe(200);
    expect(answered).toBeLessThan(800);
    await Promise.all(all);
  });
});
