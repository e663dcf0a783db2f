import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Registry } from '../../../src/base/metrics.ts';
import { waitFor } from '../../support/wait-for.ts';
import { Backend } from '../support/backend.ts';
import { ask, statusesOf, talk } from '../support/client.ts';
import { dial } from '../support/dial.ts';
import { configMap, ingress, service } from '../support/objects.ts';
import type { Rig } from '../support/rig.ts';

/** What annotations and settings ask for stays with the native worker wherever it needs no state and no waiting. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
const { Rig: NativeRig } = await import('../support/rig.ts');

interface Served {
  readonly annotations: Readonly<Record<string, string>>;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: number;
  /** What the endpoint was asked for. */
  readonly target?: string;
  /** A field of the answer. */
  readonly field?: readonly [string, string | RegExp];
}

const FIELDS = { 'x-from': 'here' };
const served: Readonly<Record<string, Served>> = {
  'rewrite-target': { annotations: { 'rewrite-target': '/x' }, target: '/x' },
  'use-regex': {
    annotations: { 'use-regex': 'true', 'rewrite-target': '/new/$1' },
    path: '/old/(.*)',
    target: '/new/a',
  },
  'app-root': { annotations: { 'app-root': '/start' }, status: 302, field: ['location', /\/start$/] },
  'permanent-redirect': { annotations: { 'permanent-redirect': 'https://new.test/' }, status: 301 },
  'force-ssl-redirect': { annotations: { 'force-ssl-redirect': 'true' }, status: 308 },
  'enable-cors': {
    annotations: { 'enable-cors': 'true' },
    headers: { origin: 'https://a.test' },
    field: ['access-control-allow-origin', '*'],
  },
  'whitelist-source-range': { annotations: { 'whitelist-source-range': '192.0.2.0/24' }, status: 403 },
  'denylist-source-range': { annotations: { 'denylist-source-range': '192.0.2.0/24' } },
  affinity: { annotations: { affinity: 'cookie' }, field: ['set-cookie', /^INGRESSCOOKIE=/] },
  'upstream-hash-by': { annotations: { 'upstream-hash-by': '$request_uri' } },
  'load-balance': { annotations: { 'load-balance': 'ewma' } },
  'upstream-vhost': { annotations: { 'upstream-vhost': 'inner.test' } },
  'x-forwarded-prefix': { annotations: { 'x-forwarded-prefix': '/p' } },
  'connection-proxy-header': { annotations: { 'connection-proxy-header': 'close' } },
  'proxy-cookie-path': { annotations: { 'proxy-cookie-path': '/ /y' } },
  'custom-headers': { annotations: { 'custom-headers': 'default/fields' }, field: ['x-from', 'here'] },
};

const metrics = new Registry();
let backend: Backend;
let rig: Rig;

beforeAll(async () => {
  backend = await Backend.open();
  const routes = Object.entries(served).map(([name, { annotations, path }]) =>
    ingress({
      host: `${name}.test`,
      annotations,
      ...(path !== undefined && { path, pathType: 'ImplementationSpecific' }),
    }),
  );
  rig = await NativeRig.open(
    [
      ...service('web', backend.endpoint),
      ...service('next', backend.endpoint),
      configMap('fields', FIELDS),
      configMap('settings', { 'global-allowed-response-headers': 'x-from' }),
      ...routes,
      ingress({ host: 'canary.test' }),
      ingress({
        name: 'canary',
        host: 'canary.test',
        service: 'next',
        annotations: { canary: 'true', 'canary-by-header': 'x-try' },
      }),
    ],
    { deps: { metrics }, configMap: 'default/settings' },
  );
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

async function handedOver(): Promise<number> {
  const { values } = await metrics.getSingleMetric('weft_ingress_handed_over_total')!.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

describe('a route stays with the worker for', () => {
  test.for(Object.entries(served))('%s', async ([name, wanted]) => {
    const path = name === 'use-regex' ? '/old/a' : '/';
    const { status, headers } = await ask(rig.http, {
      host: `${name}.test`,
      path,
      headers: { ...wanted.headers },
    });
    expect(status).toBe(wanted.status ?? 200);
    if (wanted.target !== undefined) expect(backend.last.target).toBe(wanted.target);
    const [field, value] = wanted.field ?? ['server', /^|/];
    expect(String(headers[field])).toMatch(value);
    expect(await handedOver()).toBe(0);
  });

  test('canary', async () => {
    expect((await ask(rig.http, { host: 'canary.test', headers: { 'x-try': 'always' } })).status).toBe(200);
    await waitFor('its canary to be logged', () => rig.logged.length > 0);
    expect(await handedOver()).toBe(0);
  });
});

test('a connection is kept after an answer of ours, and serves what was pipelined behind it', async () => {
  const { text, closed } = await talk(
    rig.http,
    'GET / HTTP/1.1\r\nHost: permanent-redirect.test\r\n\r\nHEAD / HTTP/1.1\r\nHost: permanent-redirect.test\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: rewrite-target.test\r\n\r\n',
  );
  expect([statusesOf(text), closed]).toEqual([[301, 301, 200], false]);
});

test('thousands of pipelined requests that are answered here are answered one after the other', async () => {
  const COUNT = 4_000; // more than a connection may have
  const socket = dial(rig.http);
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: permanent-redirect.test\r\n\r\n'.repeat(COUNT));
  await waitFor('all of them', () => statusesOf(text).length >= 1_000);
  socket.destroy();
  expect(new Set(statusesOf(text))).toEqual(new Set([301]));
});

test('a body that nobody wants goes to the portable engine', async () => {
  const { status } = await ask(rig.http, {
    method: 'POST',
    host: 'whitelist-source-range.test',
    body: 'x'.repeat(10_000),
  });
  expect([status, await handedOver()]).toEqual([403, 1]);
});

test('custom headers follow their ConfigMap', async () => {
  await rig.apply(configMap('fields', { 'x-from': 'there' }));
  expect((await ask(rig.http, { host: 'custom-headers.test' })).headers['x-from']).toBe('there');
});

test('settings for all routes are obeyed in the worker', async () => {
  await rig.apply(
    configMap('settings', {
      'use-forwarded-headers': 'true',
      'hide-headers': 'x-secret',
      'enable-underscores-in-headers': 'true',
    }),
    ingress({ host: 'plain.test' }),
  );
  const before = await handedOver();
  backend.answer = (_, response) => {
    response.setHeader('x-secret', '1');
    response.end('ok');
  };
  const { status, headers } = await ask(rig.http, {
    host: 'plain.test',
    headers: { 'x-forwarded-for': '192.0.2.9', 'x-forwarded-proto': 'https' },
  });
  expect([status, headers['x-secret'], await handedOver()]).toEqual([200, undefined, before]);
  expect(backend.last.headers).toMatchObject({
    'x-forwarded-for': '192.0.2.9',
    'x-forwarded-proto': 'https',
  });
});
