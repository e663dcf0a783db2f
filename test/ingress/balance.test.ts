import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { ActiveChecks } from '../../ingress/balance/active-checks.ts';
import { Chooser } from '../../ingress/balance/chooser.ts';
import { defaultHealth } from '../../ingress/balance/health.ts';
import { hashText, Ring } from '../../ingress/balance/ring.ts';
import { noRoute } from '../../ingress/compile/no-route.ts';
import { defaultSettings } from '../../ingress/default-settings.ts';
import { Fields } from '../../ingress/http/fields.ts';
import type { AffinityPolicy, BalancePolicy, HealthPolicy } from '../../ingress/policy.ts';
import { contextOf, type RoutedRequest } from '../../ingress/relay/context.ts';
import { EndpointState } from '../../ingress/upstream/cluster.ts';
import { Cluster } from '../../ingress/upstream/clusters.ts';
import { silentLogger } from '../../src/base/log.ts';
import { systemClock } from '../../src/base/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';

/** A cluster of endpoints on 10.0.0.1 and up. */
function clusterOf(count: number, nowMs = 0): Cluster {
  const backend = { namespace: 'default', service: 'web', port: undefined };
  const cluster = new Cluster('default/web:', backend, false);
  cluster.endpoints = Array.from(
    { length: count },
    (_, n) => new EndpointState({ host: `10.0.0.${n + 1}`, port: 80 }, nowMs),
  );
  return cluster;
}

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface World {
  readonly clock: FakeClock;
  readonly cluster: Cluster;
  readonly chooser: Chooser;
  readonly ejected: string[];
  request(fields?: Record<string, string>): RoutedRequest;
}

function world(
  count: number,
  balance: Partial<Omit<BalancePolicy, 'health'>> & { health?: Partial<HealthPolicy> } = {},
  affinity?: Partial<AffinityPolicy>,
): World {
  const clock = new FakeClock();
  const ejected: string[] = [];
  const cluster = clusterOf(count);
  const chooser = new Chooser({
    clock,
    random: mulberry(7),
    ejected: (_, endpoint) => ejected.push(endpoint.id),
  });
  const policy = {
    ...noRoute.policy,
    balance: { ...noRoute.policy.balance, ...balance, health: { ...defaultHealth, ...balance.health } },
    affinity: affinity && { ...AFFINITY, ...affinity },
  };
  const request = (fields: Record<string, string> = {}): RoutedRequest => {
    const context = contextOf(
      {
        method: 'GET',
        target: '/',
        version: 11,
        authority: 'web.test',
        fields: Fields.of(...Object.entries(fields)),
        bodyLength: 0,
        keepAlive: true,
        upgrade: undefined,
        expectContinue: false,
        connectionNames: undefined,
      },
      {
        clientAddress: '127.0.0.1',
        clientPort: 1,
        peerAddress: '127.0.0.1',
        localPort: 80,
        secure: false,
        tls: undefined,
        proxiedPort: undefined,
      },
      defaultSettings(false),
    );
    return { ...context, route: { ...noRoute, policy, path: '/' }, path: '/', captures: undefined };
  };
  return { clock, cluster, chooser, ejected, request };
}

const AFFINITY: AffinityPolicy = {
  cookie: 'route',
  path: undefined,
  domain: undefined,
  maxAgeSeconds: undefined,
  expiresSeconds: undefined,
  sameSite: undefined,
  conditionalSameSiteNone: false,
  secure: undefined,
  changeOnFailure: false,
  persistent: false,
  canarySticky: true,
};

/** Serves one request to its end; `status` 0 = it failed. */
function serve(
  at: World,
  fields: Record<string, string> = {},
  status = 200,
): { endpoint: string; cookie: string | undefined } {
  const choice = at.chooser.choose(at.request(fields), at.cluster, false, at.clock.monotonicMs());
  const endpoint = choice.pick([]);
  if (!endpoint) return { endpoint: 'none', cookie: undefined };
  choice.started(endpoint);
  if (status === 0) choice.failed(endpoint, 'connect');
  else choice.answered(endpoint, status);
  choice.finished(at.clock.monotonicMs());
  return { endpoint: endpoint.id, cookie: choice.cookie };
}

function counts(
  at: World,
  requests: number,
  fields: (n: number) => Record<string, string> = () => ({}),
): Map<string, number> {
  const found = new Map<string, number>();
  for (let n = 0; n < requests; n++) {
    const { endpoint } = serve(at, fields(n));
    found.set(endpoint, (found.get(endpoint) ?? 0) + 1);
  }
  return found;
}

describe('round robin', () => {
  test('gives every endpoint the same', () => {
    expect([...counts(world(4), 40).values()]).toEqual([10, 10, 10, 10]);
  });

  test('a new endpoint starts slowly', async () => {
    const at = world(3, { health: { slowStartMs: 30_000 } });
    await at.clock.advance(60_000);
    at.cluster.endpoints = [
      ...at.cluster.endpoints,
      new EndpointState({ host: '10.0.0.9', port: 80 }, 60_000),
    ];
    const early = counts(at, 400).get('10.0.0.9:80') ?? 0;
    await at.clock.advance(60_000);
    const late = counts(at, 400).get('10.0.0.9:80') ?? 0;
    expect(early).toBeGreaterThan(0);
    expect(early).toBeLessThan(40);
    expect(late).toBe(100);
  });
});

describe('least request and peak EWMA', () => {
  test('least_request avoids the busy one', () => {
    const at = world(3, { algorithm: 'least_request' });
    at.cluster.endpoints[0]!.active = 100;
    expect(counts(at, 300).get('10.0.0.1:80') ?? 0).toBe(0);
  });

  test('ewma avoids the slow one, and forgives by and by', async () => {
    const at = world(2, { algorithm: 'ewma' });
    const slow = at.cluster.endpoints[0]!;
    slow.latencyMs = 1_000;
    at.cluster.endpoints[1]!.latencyMs = 10;
    expect(counts(at, 50).get(slow.id)).toBeUndefined();
    const choice = at.chooser.choose(at.request(), at.cluster, false, at.clock.monotonicMs());
    choice.started(slow);
    choice.answered(slow, 200);
    await at.clock.advance(60_000);
    choice.finished(at.clock.monotonicMs());
    expect(slow.latencyMs).toBeGreaterThan(1_000);
    for (let i = 0; i < 40; i++) {
      const quick = at.chooser.choose(at.request(), at.cluster, false, at.clock.monotonicMs());
      quick.started(slow);
      quick.answered(slow, 200);
      await at.clock.advance(5_000);
      quick.finished(at.clock.monotonicMs() + 5);
    }
    expect(slow.latencyMs).toBeLessThan(6_000);
  });
});

describe('hashing', () => {
  test('the same key finds the same endpoint; one that leaves moves its own keys only', () => {
    const at = world(5, { hashBy: '$http_x_user' });
    const where = (): string[] =>
      Array.from({ length: 500 }, (_, n) => serve(at, { 'x-user': `user-${n}` }).endpoint);
    const before = where();
    expect(where()).toEqual(before);
    expect(new Set(before).size).toBe(5);
    const [gone, ...rest] = at.cluster.endpoints;
    at.cluster.endpoints = rest;
    at.cluster.derived.clear();
    const after = where();
    for (const [n, endpoint] of before.entries()) if (endpoint !== gone!.id) expect(after[n]).toBe(endpoint);
  });

  test('with subsets one of a few', () => {
    const at = world(9, { hashBy: '$http_x_user', hashSubset: true, hashSubsetSize: 3 });
    const found = counts(at, 600, () => ({ 'x-user': 'meg' }));
    expect(found.size).toBe(3);
    for (const count of found.values()) expect(count).toBeGreaterThan(120);
  });

  test('shares are even', () => {
    const ring = new Ring(clusterOf(10).endpoints);
    const found = new Map<string, number>();
    for (let n = 0; n < 20_000; n++) {
      const { id } = ring.walk(`key ${n}`).next().value!;
      found.set(id, (found.get(id) ?? 0) + 1);
    }
    for (const count of found.values()) expect(Math.abs(count - 2_000)).toBeLessThan(600);
  });

  test('a walk visits every endpoint once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.string(), (count, key) => {
        const ids = [...new Ring(clusterOf(count).endpoints).walk(key)].map(({ id }) => id);
        expect(new Set(ids).size).toBe(count);
        expect(ids).toHaveLength(count);
        expect(hashText(key)).toBe(hashText(key));
      }),
    );
  });
});

describe('cookie affinity', () => {
  const cookieOf = (text: string | undefined): Record<string, string> => ({
    cookie: text?.split(';')[0] ?? '',
  });

  test('the first answer sets it, later ones follow it', () => {
    const at = world(5, {}, {});
    const first = serve(at);
    expect(first.cookie).toMatch(/^route=[0-9a-f]{32}; Path=\/; HttpOnly$/);
    for (let i = 0; i < 20; i++) {
      const next = serve(at, cookieOf(first.cookie));
      expect(next).toEqual({ endpoint: first.endpoint, cookie: undefined });
    }
  });

  test('a forged one is replaced', () => {
    const at = world(5, {}, {});
    for (const cookie of ['route=', 'route=x', 'route=../../etc', `route=${'f'.repeat(99)}`])
      expect(serve(at, { cookie }).cookie).toBeDefined();
  });

  test('balanced moves few when endpoints come, persistent none', () => {
    for (const persistent of [false, true]) {
      const at = world(4, {}, { persistent });
      const clients = Array.from({ length: 200 }, () => serve(at));
      at.cluster.endpoints = [...at.cluster.endpoints, new EndpointState({ host: '10.0.0.99', port: 80 }, 0)];
      at.cluster.derived.clear();
      const moved = clients.filter(
        ({ endpoint, cookie }) => serve(at, cookieOf(cookie)).endpoint !== endpoint,
      );
      if (persistent) expect(moved).toEqual([]);
      else expect(moved.length).toBeLessThan(100);
    }
  });

  test('change-on-failure gives a new cookie after a retry', () => {
    const at = world(3, {}, { changeOnFailure: true });
    const { cookie } = serve(at);
    const choice = at.chooser.choose(at.request(cookieOf(cookie)), at.cluster, false, 0);
    const first = choice.pick([])!;
    expect(choice.cookie).toBeUndefined();
    expect(choice.pick([first])).not.toBe(first);
    expect(choice.cookie).toBeDefined();
  });
});

describe('outliers', () => {
  test('failures in a row take an endpoint out for a while that grows', async () => {
    const at = world(3, { health: { consecutiveFailuresMax: 3, ejectionMs: 10_000 } });
    const bad = at.cluster.endpoints[0]!;
    const round = (): string[] =>
      Array.from({ length: 3 }, () => {
        const choice = at.chooser.choose(at.request(), at.cluster, false, 0);
        const endpoint = choice.pick([])!;
        choice.started(endpoint);
        if (endpoint === bad) choice.failed(endpoint, 'connect');
        else choice.answered(endpoint, 200);
        choice.finished(0);
        return endpoint.id;
      });
    for (let i = 0; i < 3; i++) expect(round()).toContain(bad.id);
    expect(at.ejected).toEqual([bad.id]);
    expect([...round(), ...round()]).not.toContain(bad.id);
    await at.clock.advance(10_001);
    for (let i = 0; i < 3; i++) expect(round()).toContain(bad.id);
    await at.clock.advance(10_001);
    expect([...round(), ...round()]).not.toContain(bad.id);
    await at.clock.advance(10_001);
    expect(round()).toContain(bad.id);
  });

  test('when too few are left all of them are used', () => {
    const at = world(4);
    for (const endpoint of at.cluster.endpoints.slice(1)) endpoint.healthy = false;
    expect(counts(at, 40).size).toBe(4);
    at.cluster.endpoints[1]!.healthy = true;
    expect(counts(at, 40).size).toBe(2);
  });

  test('an endpoint at its limit is left alone; all of them at it is 503', () => {
    const at = world(2, { health: { endpointRequestsMax: 1 } });
    at.cluster.endpoints[0]!.active = 1;
    expect(counts(at, 10)).toEqual(new Map([['10.0.0.2:80', 10]]));
    at.cluster.endpoints[1]!.active = 1;
    const choice = at.chooser.choose(at.request(), at.cluster, false, 0);
    expect(choice.pick([])).toBeUndefined();
    expect(choice.reason()).toBe('every endpoint is at its limit');
  });

  test('books balance whatever happens to requests', () => {
    const step = fc.record({ status: fc.constantFrom(0, 200, 503), retry: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, size) => {
        const at = world(size);
        for (const { status, retry } of steps) {
          const choice = at.chooser.choose(at.request(), at.cluster, false, 0);
          const first = choice.pick([]);
          if (first) choice.started(first);
          const second = first && retry ? choice.pick([first]) : undefined;
          if (second) choice.started(second);
          const last = second ?? first;
          if (last && status === 0) choice.failed(last, 'connect');
          else if (last) choice.answered(last, status);
          choice.finished(1);
          expect(at.cluster.endpoints.map(({ active }) => active)).toEqual(
            Array.from({ length: size }, () => 0),
          );
        }
      }),
    );
  });
});

describe('active checks', () => {
  const open: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
  });

  test('failures in a row take an endpoint out, successes bring it back', async () => {
    let healthy = true;
    const backend = await Backend.open((_, response) => {
      response.statusCode = healthy ? 204 : 500;
      response.end();
    });
    const checks = new ActiveChecks({ clock: systemClock, log: silentLogger });
    open.push(checks, backend);
    const cluster = clusterOf(0);
    const [host, port] = backend.endpoint.split(':') as [string, string];
    const endpoint = new EndpointState({ host, port: Number(port) }, 0);
    cluster.endpoints = [endpoint];
    const policy = {
      path: '/healthz',
      host: 'web.test',
      tls: false,
      intervalMs: 20,
      timeoutMs: 20_000,
      unhealthyCount: 3,
      healthyCount: 2,
    };
    for (let i = 0; i < 5; i++) checks.watch(cluster, policy);
    await waitFor('two checks', () => backend.received.length >= 2);
    expect(endpoint.healthy).toBe(true);
    expect([backend.last.target, backend.last.headers.host]).toEqual(['/healthz', 'web.test']);
    healthy = false;
    const before = backend.received.length;
    await waitFor('the endpoint to be out', () => !endpoint.healthy);
    expect(backend.received.length - before).toBeGreaterThanOrEqual(2);
    healthy = true;
    await waitFor('the endpoint to be back', () => endpoint.healthy);
    cluster.forgotten = true;
    await waitFor(
      'checks to end',
      async () => {
        const count = backend.received.length;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return backend.received.length === count;
      },
      20_000,
    );
  });
});
