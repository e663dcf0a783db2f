import https from 'node:https';
import { once } from 'node:events';
import type net from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { selfSignedCertificate } from '../../src/net/self-signed.ts';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { type Ask, ask } from './support/client.ts';
import { configMap, ingress, type IngressShape, secret, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** Rows 9, 22 to 30 and 34: which backend, what it gets, and what is made of its answer. */
let backend: Backend;
let canary: Backend;
let mirror: Backend;
let errors: Backend;
let rig: Rig;

beforeAll(async () => {
  backend = await Backend.open();
  canary = await Backend.open((_, response) => response.end('canary'));
  mirror = await Backend.open();
  errors = await Backend.open(({ headers }, response) => {
    response.statusCode = Number(headers['x-code']);
    response.end(`page for ${String(headers['x-code'])}`);
  });
  rig = await Rig.open(
    [
      ...service('web', backend.endpoint),
      ...service('canary', canary.endpoint),
      ...service('mirror', mirror.endpoint),
      ...service('errors', errors.endpoint),
      ...service('none'),
      configMap('fields', { 'X-Frame-Options': 'DENY', 'X-Secret': 'no' }),
      configMap('settings', { 'global-allowed-response-headers': 'X-Frame-Options' }),
    ],
    { configMap: 'default/settings' },
  );
});

beforeEach(() => {
  for (const each of [backend, canary, mirror, errors]) each.received.length = 0;
  backend.answer = (_, response) => response.end('ok');
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  for (const each of [backend, canary, mirror, errors]) await each[Symbol.asyncDispose]();
});

const serve = (annotations: Record<string, string>, shape: IngressShape = {}): Promise<void> =>
  rig.apply(ingress({ ...shape, annotations }));

describe('body limits', () => {
  const rows: readonly [string, number, number][] = [
    ['1k', 1_024, 200],
    ['1k', 1_025, 413],
    ['0', 2_000_000, 200],
  ];
  test.for(rows)('proxy-body-size %s and %i bytes is %i', async ([size, bytes, status]) => {
    await serve({ 'proxy-body-size': size });
    const body = Buffer.alloc(bytes, 'x');
    expect((await ask(rig.http, { method: 'POST', body })).status).toBe(status);
    if (status === 413) expect(backend.received).toEqual([]);
    const chunked = await ask(rig.http, {
      method: 'POST',
      body,
      headers: { 'transfer-encoding': 'chunked' },
    });
    expect(chunked.status).toBe(status);
  });
});

describe('canary', () => {
  const canaryOf = async (annotations: Record<string, string>): Promise<void> => {
    await serve({});
    await serve({ canary: 'true', ...annotations }, { name: 'canary', service: 'canary' });
  };
  const reached = async (asked: Ask = {}): Promise<string> => (await ask(rig.http, asked)).body;
  afterAll(async () => rig.remove(ingress({ name: 'canary', service: 'canary' })));

  const rows: readonly [string, Record<string, string>, Ask['headers'], string][] = [
    ['header always', { 'canary-by-header': 'X-Beta' }, { 'x-beta': 'always' }, 'canary'],
    [
      'header never beats the weight',
      { 'canary-by-header': 'X-Beta', 'canary-weight': '100' },
      { 'x-beta': 'never' },
      'ok',
    ],
    [
      'another value falls on',
      { 'canary-by-header': 'X-Beta', 'canary-weight': '100' },
      { 'x-beta': 'maybe' },
      'canary',
    ],
    [
      'only the value',
      { 'canary-by-header': 'X-Beta', 'canary-by-header-value': 'eu' },
      { 'x-beta': 'always' },
      'ok',
    ],
    [
      'the value',
      { 'canary-by-header': 'X-Beta', 'canary-by-header-value': 'eu' },
      { 'x-beta': 'eu' },
      'canary',
    ],
    [
      'the pattern',
      { 'canary-by-header': 'X-Beta', 'canary-by-header-pattern': '^e[uv]$' },
      { 'x-beta': 'ev' },
      'canary',
    ],
    ['cookie always', { 'canary-by-cookie': 'beta' }, { cookie: 'a=b; beta=always' }, 'canary'],
    ['cookie never', { 'canary-by-cookie': 'beta', 'canary-weight': '100' }, { cookie: 'beta=never' }, 'ok'],
    [
      'header before cookie',
      { 'canary-by-header': 'X-Beta', 'canary-by-cookie': 'beta' },
      { 'x-beta': 'never', cookie: 'beta=always' },
      'ok',
    ],
    ['no weight', { 'canary-weight': '0' }, {}, 'ok'],
    ['all the weight of another total', { 'canary-weight': '10', 'canary-weight-total': '10' }, {}, 'canary'],
  ];
  test.for(rows)('%s', async ([, annotations, headers, want]) => {
    await canaryOf(annotations);
    expect(await reached(headers && { headers })).toBe(want);
  });

  test('one without endpoints takes nothing away', async () => {
    await serve({});
    await serve({ canary: 'true', 'canary-weight': '100' }, { name: 'canary', service: 'none' });
    expect(await reached()).toBe('ok');
  });

  test('affinity keeps a client where its first request went', async () => {
    await serve({ affinity: 'cookie' });
    await serve({ canary: 'true', 'canary-weight': '100' }, { name: 'canary', service: 'canary' });
    const first = await ask(rig.http);
    const cookie = first.headers['set-cookie']![0]!.split(';')[0]!;
    await serve({ canary: 'true', 'canary-weight': '0' }, { name: 'canary', service: 'canary' });
    expect(await reached({ headers: { cookie } })).toBe('canary');
    expect(await reached()).toBe('ok');
  });
});

describe('mirror', () => {
  test('gets the request with its body; its answer is nobody’s', async () => {
    mirror.answer = (_, response) => {
      response.statusCode = 500;
      response.end('broken');
    };
    await serve({
      'mirror-target': 'http://mirror.default.svc/copy$request_uri',
      'mirror-host': 'mirror.test',
    });
    const body = 'x'.repeat(200_000);
    const told = await ask(rig.http, { method: 'POST', path: '/a?b', body });
    expect([told.status, told.body]).toEqual([200, 'ok']);
    await waitFor('the copy', () => mirror.received.length === 1);
    expect(mirror.last).toMatchObject({ method: 'POST', target: '/copy/a?b', body });
    expect(mirror.last.headers.host).toBe('mirror.test');
    expect(backend.last.body).toBe(body);
  });

  test('without the body when asked', async () => {
    await serve({ 'mirror-target': 'http://mirror.default.svc/', 'mirror-request-body': 'off' });
    await ask(rig.http, { method: 'POST', body: 'secret' });
    await waitFor('the copy', () => mirror.received.length === 1);
    expect(mirror.last.body).toBe('');
  });

  test('one that never answers delays nothing', async () => {
    mirror.answer = () => {};
    await serve({ 'mirror-target': 'http://mirror.default.svc/' });
    for (let i = 0; i < 5; i++) expect((await ask(rig.http)).status).toBe(200);
  });
});

describe('error pages', () => {
  const pages = { 'default-backend': 'errors', 'custom-http-errors': '404,503' };

  test('a listed code is replaced, another one is not', async () => {
    backend.answer = ({ target }, response) => {
      response.statusCode = Number(target.slice(1));
      response.end('own');
    };
    await serve(pages);
    const told = await ask(rig.http, { path: '/404', headers: { accept: 'text/html' } });
    expect([told.status, told.body]).toEqual([404, 'page for 404']);
    expect(errors.last).toMatchObject({ method: 'GET', target: '/' });
    expect(errors.last.headers).toMatchObject({
      'x-code': '404',
      'x-format': 'text/html',
      'x-original-uri': '/404',
      'x-namespace': 'default',
      'x-ingress-name': 'web.test',
      'x-service-name': 'web',
      'x-service-port': '80',
    });
    expect((await ask(rig.http, { path: '/500' })).body).toBe('own');
  });

  test('stands in for a backend without endpoints', async () => {
    await serve({ 'default-backend': 'errors' }, { host: 'empty.test', service: 'none' });
    expect((await ask(rig.http, { host: 'empty.test' })).body).toBe('page for 503');
  });

  test('is never sent the rest of the body it stands for', async () => {
    backend.answer = (_, response) => response.end('ok');
    await using early = await Backend.open();
    early.server.removeAllListeners('request');
    early.server.on('request', (_, response) => {
      response.writeHead(503).end('early');
    });
    await rig.apply(...service('early', early.endpoint));
    await serve({ ...pages, 'proxy-body-size': '0' }, { host: 'early.test', service: 'early' });
    for (let i = 0; i < 3; i++) {
      const told = await ask(rig.http, {
        host: 'early.test',
        method: 'POST',
        body: Buffer.alloc(900_000, 'G'),
      });
      expect([told.status, told.body]).toEqual([503, 'page for 503']);
    }
    expect(errors.received.map(({ method, body }) => `${method} ${body}`)).toEqual(['GET ', 'GET ', 'GET ']);
  });
});

describe('the default backend of the controller', () => {
  test('takes what no rule takes, as it came', async () => {
    await using other = await Rig.open([...service('web', backend.endpoint), ingress({ path: '/only' })], {
      settings: { defaultBackend: { namespace: 'default', service: 'web', port: undefined } },
    });
    expect((await ask(other.http, { host: 'nobody.test', path: '/x?y' })).status).toBe(200);
    expect(backend.last.target).toBe('/x?y');
    expect((await ask(other.http, { path: '/other' })).status).toBe(200);
  });
});

describe('TLS to the backend', () => {
  test('backend-protocol HTTPS, proxy-ssl-verify and proxy-ssl-name', async () => {
    const pair = await selfSignedCertificate('inner.test', ['inner.test'], Date.now());
    const server = https.createServer({ ...pair }, (request, response) => {
      response.end(`tls ${(request.socket as unknown as { servername: string }).servername}`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    await rig.apply(
      ...service('tls', `127.0.0.1:${(server.address() as net.AddressInfo).port}`),
      secret('ca', { 'ca.crt': pair.cert }),
      secret('wrong', { 'ca.crt': (await selfSignedCertificate('x', ['x'], Date.now())).cert }),
    );
    const tls = { 'backend-protocol': 'HTTPS', 'proxy-ssl-verify': 'on', 'proxy-ssl-name': 'inner.test' };
    const get = async (annotations: Record<string, string>): Promise<string> => {
      await serve(annotations, { host: 'tls.test', service: 'tls' });
      const told = await ask(rig.http, { host: 'tls.test' });
      return told.status === 200 ? told.body : String(told.status);
    };
    expect(await get({ 'backend-protocol': 'HTTPS' })).toBe('tls false');
    expect(await get({ ...tls, 'proxy-ssl-secret': 'default/ca' })).toBe('tls inner.test');
    expect(await get({ ...tls, 'proxy-ssl-secret': 'default/ca', 'proxy-ssl-name': 'other.test' })).toBe(
      '502',
    );
    expect(await get({ ...tls, 'proxy-ssl-secret': 'default/wrong' })).toBe('502');
    server.closeAllConnections();
    server.close();
  });
});

describe('fields of the answer', () => {
  test('custom-headers lets through what the controller allows', async () => {
    await serve({ 'custom-headers': 'default/fields' });
    const told = await ask(rig.http);
    expect(told.headers['x-frame-options']).toBe('DENY');
    expect(told.headers).not.toHaveProperty('x-secret');
  });

  test('HSTS on https of a host with a certificate only', async () => {
    const pair = await selfSignedCertificate('hsts.test', ['hsts.test'], Date.now());
    await rig.apply(secret('hsts', { 'tls.crt': pair.cert, 'tls.key': pair.key }, 'kubernetes.io/tls'));
    await serve({ 'ssl-redirect': 'false' }, { host: 'hsts.test', tls: 'hsts' });
    const name = 'strict-transport-security';
    const secure = await ask(rig.https, { host: 'hsts.test', sni: 'hsts.test' });
    expect(secure.headers[name]).toBe('max-age=31536000; includeSubDomains');
    expect((await ask(rig.http, { host: 'hsts.test' })).headers).not.toHaveProperty(name);
    await serve({});
    expect((await ask(rig.https, { sni: 'web.test' })).headers).not.toHaveProperty(name);
  });
});
