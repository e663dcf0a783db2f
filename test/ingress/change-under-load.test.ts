import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { ask, talk } from './support/client.ts';
import { configMap, ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** Tables, endpoints and listeners that change while requests are under way: nothing is dropped. */
let backends: Backend[];
let rig: Rig;

beforeAll(async () => {
  backends = await Promise.all([1, 2, 3].map(() => Backend.open()));
  rig = await Rig.open([...service('web', ...backends.map(({ endpoint }) => endpoint)), ingress()], {
    configMap: 'default/settings',
  });
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  for (const backend of backends) await backend[Symbol.asyncDispose]();
});

/** Requests on kept connections, one after the other on each, until told to stop. */
class Load {
  readonly statuses = new Map<string, number>();
  total = 0;
  #stopped = false;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  readonly #workers: Promise<void>[];

  constructor(port: number, connections: number, only?: 'GET') {
    this.#workers = Array.from({ length: connections }, (_, n) =>
      this.#work(port, n, only === undefined && n % 4 === 0 ? 'x'.repeat(10_000) : undefined),
    );
  }

  async stop(): Promise<ReadonlyMap<string, number>> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    this.#agent.destroy();
    return this.statuses;
  }

  async #work(port: number, nth: number, body: string | undefined): Promise<void> {
    while (!this.#stopped) {
      const path = `/load/${nth}`;
      const outcome = await ask(port, {
        path,
        agent: this.#agent,
        ...(body && { method: 'POST', body }),
      }).then(
        ({ status, cut }) => (cut ? 'cut' : String(status)),
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      );
      this.statuses.set(outcome, (this.statuses.get(outcome) ?? 0) + 1);
      this.total++;
    }
  }
}

describe('a new table', () => {
  test('200 swaps of routes and settings under load drop nothing', async () => {
    const load = new Load(rig.http, 16);
    for (let n = 0; n < 200; n++) {
      await rig.apply(
        ingress({ annotations: { 'x-forwarded-prefix': `/${n}` } }),
        ingress({ host: `other-${n % 7}.test` }),
        ...(n % 20 === 0 ? [configMap('settings', { 'keep-alive': String(60 + n) })] : []),
      );
    }
    await waitFor('enough requests', () => load.total > 500);
    expect([...(await load.stop()).keys()]).toEqual(['200']);
  });

  test('a request under way keeps the route it began with', async () => {
    const waiting: (() => void)[] = [];
    for (const backend of backends)
      backend.answer = (_, response) => void waiting.push(() => response.end('late'));
    const told = ask(rig.http);
    await waitFor('the request', () => waiting.length === 1);
    await rig.remove(ingress());
    expect((await ask(rig.http)).status).toBe(404);
    for (const backend of backends) backend.answer = (_, response) => response.end('ok');
    waiting[0]!();
    expect(await told).toMatchObject({ status: 200, body: 'late' });
    await rig.apply(ingress());
  });
});

describe('a rolling update of the backend', () => {
  async function roll(load: Load, leave: (old: Backend) => Promise<void> | void): Promise<void> {
    for (let round = 0; round < 12; round++) {
      const fresh = await Backend.open();
      backends.push(fresh);
      const old = backends.shift()!;
      // The pod refuses new connections at once; that its endpoint is gone we hear a moment later. (http.Server.close
      // would cut kept connections too, with requests already on their way in them.)
      net.Server.prototype.close.call(old.server);
      const seen = load.total;
      await waitFor('requests meanwhile', () => load.total > seen + 10);
      await rig.apply(...service('web', ...backends.map(({ endpoint }) => endpoint)), ...gone(old, backends));
      await leave(old);
    }
  }

  test('of pods that finish what they have: no request fails', async () => {
    const load = new Load(rig.http, 16);
    await roll(load, (old) =>
      waitFor('its connections to be given up', () => old.sockets.size === 0).then(() => {}),
    );
    expect([...(await load.stop()).keys()]).toEqual(['200']);
  });

  test('of pods that just vanish: no request that may be repeated fails', async () => {
    const load = new Load(rig.http, 16, 'GET');
    await roll(load, (old) => {
      for (const socket of old.sockets) socket.destroy();
    });
    expect([...(await load.stop()).keys()]).toEqual(['200']);
  });

  /** The slice of an endpoint that left: its port has no endpoints now. */
  function gone(old: Backend, left: readonly Backend[]): ReturnType<typeof service> {
    const port = old.endpoint.split(':')[1]!;
    if (left.some(({ endpoint }) => endpoint.endsWith(`:${port}`))) return [];
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        namespace: 'default',
        name: `web-${port}`,
        labels: { 'kubernetes.io/service-name': 'web' },
      },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: Number(port), protocol: 'TCP' }],
      endpoints: [],
    };
    return [slice];
  }
});

describe('drain', () => {
  test('finishes what is under way, takes what was on its way, and closes', async () => {
    await using backend = await Backend.open();
    const leaving = await Rig.open([...service('web', backend.endpoint), ingress()], {
      settings: { drainMs: 20_000 },
    });
    const waiting: (() => void)[] = [];
    backend.answer = ({ target }, response) => {
      if (target === '/slow') waiting.push(() => response.end('late'));
      else response.end('ok');
    };
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await ask(leaving.http, { agent })).status).toBe(200);
    const session = http2.connect(`http://127.0.0.1:${leaving.http}`);
    await once(session, 'remoteSettings');
    let goaways = 0;
    session.on('goaway', () => goaways++);
    const slow = ask(leaving.http, { path: '/slow' });
    await waitFor('the slow request', () => waiting.length === 1);
    const { http: port } = leaving;
    const drained = leaving[Symbol.asyncDispose]();
    const last = await ask(port, { agent });
    expect([last.status, last.headers.connection]).toEqual([200, 'close']);
    await waitFor('GOAWAY', () => goaways > 0);
    await expect(ask(port)).rejects.toThrow(/ECONNREFUSED/);
    waiting[0]!();
    expect(await slow).toMatchObject({ status: 200, body: 'late' });
    await drained;
    await waitFor('the HTTP/2 connection to end', () => session.closed || session.destroyed);
    agent.destroy();
  });

  test('a request that never ends is cut at the deadline', async () => {
    await using backend = await Backend.open(() => {});
    const leaving = await Rig.open([...service('web', backend.endpoint), ingress()], {
      settings: { drainMs: 200 },
    });
    const cut = talk(leaving.http, 'GET / HTTP/1.1\r\nHost: web.test\r\n\r\n');
    await waitFor('the request', () => backend.received.length === 1);
    await leaving[Symbol.asyncDispose]();
    expect(await cut).toEqual({ text: '', closed: true });
  });
});
