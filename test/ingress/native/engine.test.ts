import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Registry } from '../../../src/base/metrics.ts';
import { waitFor } from '../../support/wait-for.ts';
import { Backend } from '../support/backend.ts';
import { ask, statusesOf, talk } from '../support/client.ts';
import { dial } from '../support/dial.ts';
import { ingress, service } from '../support/objects.ts';
import type { Rig } from '../support/rig.ts';

/** What only the native engine has: the fast path and its borders, and that nothing leaks. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
const { Rig: NativeRig } = await import('../support/rig.ts');

const metrics = new Registry();
let backend: Backend;
let rig: Rig;

beforeAll(async () => {
  backend = await Backend.open();
  rig = await NativeRig.open(
    [
      ...service('web', backend.endpoint),
      ingress({ annotations: { 'proxy-body-size': '0' } }),
      ingress({ host: 'exact.test', path: '/one', pathType: 'Exact' }),
      ingress({ host: '*.wild.test', path: '/deep' }),
      ingress({ host: 'slow.test', annotations: { 'custom-http-errors': '418' } }),
    ],
    { deps: { metrics } },
  );
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

async function sample(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const values = (await metrics.getSingleMetric(name)!.get()).values;
  const match = values.filter((value) =>
    Object.entries(labels).every(([key, wanted]) => value.labels[key as never] === wanted),
  );
  return match.reduce((sum, { value }) => sum + value, 0);
}
/** Waits until a metric has this value. */
async function counted(
  name: string,
  labels: Readonly<Record<string, string>>,
  wanted: number,
): Promise<void> {
  await waitFor(`${name} to be ${wanted}`, async () => (await sample(name, labels)) === wanted);
}
const handedOver = (): Promise<number> => sample('weft_ingress_handed_over_total');
const descriptors = (): number => readdirSync('/proc/self/fd').length;

const plain: readonly [string, string, number][] = [
  ['a host', 'GET /x HTTP/1.1\r\nHost: web.test\r\n\r\n', 200],
  ['an exact path', 'GET /one?a=b HTTP/1.1\r\nHost: exact.test\r\n\r\n', 200],
  ['a wildcard host', 'GET /deep/er HTTP/1.1\r\nHost: a.wild.test:80\r\n\r\n', 200],
  ['a body', 'POST /x HTTP/1.1\r\nHost: web.test\r\nContent-Length: 5\r\n\r\nhello', 200],
  [
    'a body in chunks',
    'POST /x HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    200,
  ],
  ['HEAD', 'HEAD /x HTTP/1.1\r\nHost: web.test\r\n\r\n', 200],
  ['a farewell', 'GET /x HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n', 200],
];
const other: readonly [string, string, number][] = [
  ['no rule', 'GET /x HTTP/1.1\r\nHost: nobody.test\r\n\r\n', 404],
  ['another exact path', 'GET /one/more HTTP/1.1\r\nHost: exact.test\r\n\r\n', 404],
  ['an annotation', 'GET /y HTTP/1.1\r\nHost: slow.test\r\n\r\n', 200],
  ['HTTP/1.0', 'GET /y HTTP/1.0\r\nHost: web.test\r\n\r\n', 200],
  ['Expect', 'POST / HTTP/1.1\r\nHost: web.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na', 200],
  ['doubts', 'GET /y HTTP/1.1\r\nHost: web.test\r\nX-A:b\r\n\r\n', 200],
  ['errors', 'GET /y HTTP/1.1\r\nHost: web.test\r\nX A: b\r\n\r\n', 400],
];

describe('the border of the fast path', () => {
  test.for(plain)('%s stays', async ([, bytes, status]) => {
    const before = await handedOver();
    expect(statusesOf((await talk(rig.http, bytes)).text)).toEqual([status]);
    expect(await handedOver()).toBe(before);
  });

  test.for(other)('%s is handed over, once a connection', async ([, bytes, status]) => {
    const before = await handedOver();
    const { text } = await talk(rig.http, bytes, 'GET /z HTTP/1.1\r\nHost: web.test\r\n\r\n');
    expect(statusesOf(text)[0]).toBe(status);
    expect(await handedOver()).toBe(before + 1);
  });

  test('what was pipelined behind it goes along', async () => {
    const one = (path: string, host: string): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const socket = dial(rig.http);
    let text = '';
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
    socket.write(one('/1', 'web.test') + one('/2', 'nobody.test') + one('/3', 'web.test'));
    await waitFor('three answers', () => statusesOf(text).length === 3);
    socket.destroy();
    expect(statusesOf(text)).toEqual([200, 404, 200]);
  });

  test("an endpoint that is gone is the portable engine's to judge", async () => {
    await rig.apply(...service('gone', '127.0.0.1:1'), ingress({ host: 'gone.test', service: 'gone' }));
    expect((await ask(rig.http, { host: 'gone.test' })).status).toBe(502);
    expect(rig.logged.at(-1)!.tries).toMatchObject([{ endpoint: '127.0.0.1:1', detail: 'ECONNREFUSED' }]);
    expect(await sample('weft_ingress_handed_over_total', { why: 'tried' })).toBe(1);
  });
});

describe('bodies', () => {
  test("of many megabytes arrive whole, both ways, at the client's pace", async () => {
    const big = Buffer.alloc(8 * 1024 * 1024, 'abcdefghijklmnop');
    backend.answer = (_, response) => response.end(big);
    const { status, body } = await ask(rig.http, { method: 'POST', body: big });
    backend.answer = (_, response) => response.end('ok');
    expect([status, body === big.toString('latin1')]).toEqual([200, true]);
    expect(backend.last.body.length).toBe(big.length);
  });

  test('a client that reads in sips gets every byte', async () => {
    const big = Buffer.alloc(6 * 1024 * 1024, '0123456789');
    backend.answer = (_, response) => response.end(big);
    const got = await new Promise<number>((resolve) => {
      const socket = dial(rig.http);
      let size = 0;
      socket.write('GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n');
      socket.on('data', (bytes: Buffer) => {
        size += bytes.length;
        socket.pause();
        setTimeout(() => socket.resume(), 2);
      });
      socket.on('end', () => resolve(size));
    });
    backend.answer = (_, response) => response.end('ok');
    expect(got).toBeGreaterThan(big.length);
  });
});

test('requests are counted once, under the names of ingress-nginx', async () => {
  const labels = { host: 'exact.test', path: '/one', method: 'GET', status: '200' };
  const before = await sample('nginx_ingress_controller_requests', labels);
  for (let n = 0; n < 10; n++) await ask(rig.http, { host: 'exact.test', path: '/one' });
  // the worker counts when it has answered
  await counted('nginx_ingress_controller_requests', labels, before + 10);
  const buckets = await sample('nginx_ingress_controller_request_duration_seconds', {
    ...labels,
    le: '+Inf',
  });
  expect(buckets).toBeGreaterThanOrEqual(10);
});

test('clients that reset at every point leave nothing behind', async () => {
  const bytes = 'POST /x HTTP/1.1\r\nHost: web.test\r\nContent-Length: 5\r\n\r\nhello';
  expect((await ask(rig.http)).status).toBe(200);
  const connections = (): Promise<number> =>
    sample('nginx_ingress_controller_nginx_process_connections', { state: 'active' });
  const active = await connections();
  const before = descriptors();
  for (let at = 1; at <= bytes.length; at++) {
    await new Promise<void>((resolve) => {
      const socket = dial(rig.http, () => {
        socket.write(bytes.slice(0, at), () => socket.resetAndDestroy());
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve());
    });
  }
  await waitFor('the connections to be gone', () => descriptors() <= before + 16);
  expect((await ask(rig.http)).status).toBe(200);
  await waitFor('the count of connections', async () => (await connections()) <= active);
  await counted('weft_ingress_requests_active', {}, 0);
});
