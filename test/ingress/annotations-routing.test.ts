import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UnknownObject } from '../../src/api/kinds/meta.ts';
import { Backend } from './support/backend.ts';
import { type Ask, ask } from './support/client.ts';
import { ingress, type IngressShape, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** Rows 1 to 8, 28 and 33 of the annotations: where a request goes and what it looks like there. */
let backend: Backend;
let rig: Rig;

beforeAll(async () => {
  backend = await Backend.open();
  rig = await Rig.open(service('web', backend.endpoint));
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

async function serve(annotations: Record<string, string>, shape: IngressShape = {}): Promise<UnknownObject> {
  const object = ingress({ ...shape, annotations });
  await rig.apply(object);
  return object;
}

describe('redirects', () => {
  const rows: readonly [string, Record<string, string>, Ask, number, string][] = [
    ['permanent-redirect', { 'permanent-redirect': 'https://new.test/x' }, {}, 301, 'https://new.test/x'],
    [
      'permanent-redirect with a code and variables',
      { 'permanent-redirect': 'https://new.test$request_uri', 'permanent-redirect-code': '308' },
      { path: '/a?b=c' },
      308,
      'https://new.test/a?b=c',
    ],
    [
      'temporal-redirect wins over permanent-redirect',
      { 'permanent-redirect': 'https://a.test', 'temporal-redirect': 'https://b.test/' },
      {},
      302,
      'https://b.test/',
    ],
    [
      'temporal-redirect-code',
      { 'temporal-redirect': '/other', 'temporal-redirect-code': '307' },
      {},
      307,
      '/other',
    ],
    ['app-root', { 'app-root': '/app' }, { path: '/' }, 302, 'http://web.test/app'],
    [
      'force-ssl-redirect keeps path and query',
      { 'force-ssl-redirect': 'true' },
      { path: '/a/?b' },
      308,
      'https://web.test:HTTPS/a/?b',
    ],
    [
      'a rewrite to another site',
      { 'rewrite-target': 'https://other.test/$1', 'use-regex': 'true' },
      { path: '/' },
      302,
      'https://other.test/',
    ],
  ];

  test.for(rows)('%s', async ([, annotations, asked, status, location]) => {
    await serve(annotations);
    const told = await ask(rig.http, asked);
    expect(told.status).toBe(status);
    expect(told.headers.location).toBe(location.replace('HTTPS', String(rig.https)));
    expect(Date.parse(String(told.headers.date))).toBeGreaterThan(0);
  });

  test('nothing a client sends breaks out of a Location', async () => {
    await serve({ 'temporal-redirect': 'https://new.test/$arg_next/$http_x_name' });
    const told = await ask(rig.http, {
      path: '/?next=%0d%0aSet-Cookie:%20a=b',
      headers: { 'x-name': Buffer.from('ü ü', 'latin1').toString('latin1') },
    });
    expect(told.headers.location).toBe('https://new.test/%0d%0aSet-Cookie:%20a=b/%FC%20%FC');
    expect(told.headers['set-cookie']).toBeUndefined();
  });

  test('from-to-www-redirect keeps the port the client used', async () => {
    await serve({ 'from-to-www-redirect': 'true' }, { host: 'from.test' });
    const told = await ask(rig.http, { host: 'www.from.test:8080', path: '/x?y' });
    expect([told.status, told.headers.location]).toEqual([308, 'http://from.test:8080/x?y']);
    const own = ingress({ host: 'www.from.test' });
    await rig.apply(own);
    expect((await ask(rig.http, { host: 'www.from.test' })).status).toBe(200);
    await rig.remove(own);
  });

  test('app-root moves nothing but the root', async () => {
    await serve({ 'app-root': '/app' });
    expect((await ask(rig.http, { path: '/app' })).status).toBe(200);
  });

  test('an unknown variable makes the annotation refused, not literal', async () => {
    await serve({ 'permanent-redirect': 'https://new.test$no_such_thing' });
    expect((await ask(rig.http)).status).toBe(200);
    expect(rig.reports.get('web.test')!.verdicts).toContainEqual({
      annotation: 'permanent-redirect',
      verdict: 'refused',
      detail: 'names a variable that is not known here',
    });
  });
});

describe('rewrites and patterns', () => {
  const rows: readonly [string, Record<string, string>, string, string, string][] = [
    [
      'captures',
      { 'rewrite-target': '/$2', 'use-regex': 'true' },
      '/api(/|$)(.*)',
      '/api/v1/x?q=1',
      '/v1/x?q=1',
    ],
    ['without captures', { 'rewrite-target': '/fixed' }, '/old', '/old/deep?q', '/fixed?q'],
    ['case does not matter in a pattern', { 'use-regex': 'true' }, '/P[a-z]+', '/path', '/path'],
    ['an empty capture', { 'rewrite-target': '/$1', 'use-regex': 'true' }, '/e(/.*)?', '/e', '/'],
  ];
  test.for(rows)('%s', async ([, annotations, path, asked, seen]) => {
    await serve(annotations, { path, pathType: 'ImplementationSpecific' });
    expect((await ask(rig.http, { path: asked })).status).toBe(200);
    expect(backend.last.target).toBe(seen);
  });

  test('a pattern that would backtrack for ever answers at once', async () => {
    await serve({ 'use-regex': 'true' }, { path: '/(a+)+$', pathType: 'ImplementationSpecific' });
    const told = await ask(rig.http, { path: `/${'a'.repeat(5_000)}!` });
    expect(told.status).toBe(404);
  });

  test('a pattern RE2 does not have is refused and its rule is not served', async () => {
    await serve(
      { 'use-regex': 'true' },
      { path: '/(?!x).*', pathType: 'ImplementationSpecific', host: 'look.test' },
    );
    expect((await ask(rig.http, { host: 'look.test', path: '/y' })).status).toBe(404);
  });
});

describe('the request upstream', () => {
  test('upstream-vhost, x-forwarded-prefix and their variables', async () => {
    await serve({ 'upstream-vhost': '$service_name.$namespace.svc', 'x-forwarded-prefix': '/pre' });
    await ask(rig.http);
    expect(backend.last.headers).toMatchObject({ host: 'web.default.svc', 'x-forwarded-prefix': '/pre' });
  });

  test('connection-proxy-header close ends the upstream connection', async () => {
    await serve({ 'connection-proxy-header': 'close' });
    await ask(rig.http);
    expect(backend.last.headers.connection).toBe('close');
  });

  test('proxy-http-version 1.0', async () => {
    await serve({ 'proxy-http-version': '1.0' });
    expect((await ask(rig.http)).status).toBe(200);
    expect(backend.last.headers.connection).toBe('close');
  });

  test('server-alias names and patterns reach the host', async () => {
    await serve({ 'server-alias': 'alias.test, ~^api[0-9]+\\.test$' }, { host: 'main.test' });
    for (const host of ['alias.test', 'api7.test']) expect((await ask(rig.http, { host })).status).toBe(200);
    expect((await ask(rig.http, { host: 'apix.test' })).status).toBe(404);
  });
});

describe('the answer', () => {
  test('proxy-redirect-from/-to and proxy-cookie-*', async () => {
    backend.answer = (_, response) => {
      response.writeHead(302, {
        location: 'http://inner.test/a',
        'set-cookie': 'k=v; Domain=inner.test; Path=/inner/x',
      });
      response.end();
    };
    await serve({
      'proxy-redirect-from': 'http://inner.test/',
      'proxy-redirect-to': 'https://outer.test/',
      'proxy-cookie-domain': 'inner.test outer.test',
      'proxy-cookie-path': '/inner /outer',
    });
    const told = await ask(rig.http);
    backend.answer = (_, response) => response.end('ok');
    expect(told.headers.location).toBe('https://outer.test/a');
    expect(told.headers['set-cookie']).toEqual(['k=v; Domain=outer.test; Path=/outer/x']);
  });

  test('enable-cors: preflight here, fields on every answer', async () => {
    await serve({
      'enable-cors': 'true',
      'cors-allow-origin': 'https://*.a.test, https://b.test:8443',
      'cors-allow-methods': 'GET, PUT',
      'cors-allow-headers': 'X-One',
      'cors-expose-headers': 'X-Two',
      'cors-max-age': '600',
    });
    const count = backend.received.length;
    const preflight = await ask(rig.http, { method: 'OPTIONS', headers: { origin: 'https://x.a.test' } });
    expect(backend.received).toHaveLength(count);
    expect([preflight.status, preflight.headers]).toMatchObject([
      204,
      {
        'access-control-allow-origin': 'https://x.a.test',
        'access-control-allow-methods': 'GET, PUT',
        'access-control-allow-headers': 'X-One',
        'access-control-allow-credentials': 'true',
        'access-control-max-age': '600',
      },
    ]);
    const plain = await ask(rig.http, { headers: { origin: 'https://b.test:8443' } });
    expect(plain.headers).toMatchObject({
      'access-control-allow-origin': 'https://b.test:8443',
      'access-control-expose-headers': 'X-Two',
    });
    for (const origin of [
      'https://a.test',
      'https://y.x.a.test',
      'http://x.a.test',
      'https://evil.test/x.a.test',
    ])
      expect((await ask(rig.http, { headers: { origin } })).headers).not.toHaveProperty(
        'access-control-allow-origin',
      );
  });
});
