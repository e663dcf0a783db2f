import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import type { Ask } from './support/client.ts';
import { configMap, ingress, type IngressShape, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';
import { type Answer, askBy, WAYS } from './support/ways.ts';

/** Annotations of ingress-nginx together, as clusters have them: over HTTP/1.1, TLS and HTTP/2. */
let web: Backend;
let next: Backend;
let pages: Backend;
let auth: Backend;
let pods: Backend[];
let rig: Rig;
let sites = 0;

beforeAll(async () => {
  web = await Backend.open((_, response) => response.end('web'));
  next = await Backend.open((_, response) => response.end('next'));
  pages = await Backend.open((got, response) => {
    response.statusCode = Number(got.headers['x-code'] ?? 404);
    response.end(`page ${String(got.headers['x-code'])}`);
  });
  auth = await Backend.open((_, response) => response.writeHead(202, { 'X-User': 'ann' }).end());
  pods = await Promise.all([0, 1, 2].map((n) => Backend.open((_, response) => response.end(`pod ${n}`))));
  rig = await Rig.open(
    [
      ...service('web', web.endpoint),
      ...service('next', next.endpoint),
      ...service('pages', pages.endpoint),
      ...service('empty'),
      ...service('pods', ...pods.map(({ endpoint }) => endpoint)),
      configMap('extra', { 'X-Shop': 'blue', 'X-Hidden': 'no' }),
      configMap('settings', { 'global-allowed-response-headers': 'X-Shop' }),
    ],
    { configMap: 'default/settings' },
  );
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  for (const each of [web, next, pages, auth, ...pods]) await each[Symbol.asyncDispose]();
});

describe.each(WAYS)('%s', (way) => {
  const scheme = way === 'plain' ? 'http' : 'https';
  const go = (asked: Ask): Promise<Answer> => askBy(way, rig, asked);

  /** Ingresses for a host of their own; its name. */
  async function site(...shapes: IngressShape[]): Promise<string> {
    const host = `s${++sites}.test`;
    await rig.apply(...shapes.map((shape, n) => ingress({ name: `s${sites}-${n}`, host, ...shape })));
    return host;
  }

  const one = (annotations: Record<string, string>, shape: IngressShape = {}): Promise<string> =>
    site({ annotations, ...shape });

  describe('rewrites', () => {
    test.each([
      ['/api/v1/x?q=1', '/v1/x?q=1'],
      ['/api', '/'],
      ['/api/', '/'],
      ['/API/Upper', '/Upper'],
      ['/api/a%20b', '/a%20b'],
    ])('rewrite-target with captures: %s becomes %s', async (path, target) => {
      const host = await one(
        { 'use-regex': 'true', 'rewrite-target': '/$2' },
        { path: '/api(/|$)(.*)', pathType: 'ImplementationSpecific' },
      );
      expect((await go({ host, path })).status).toBe(200);
      expect(web.last.target).toBe(target);
    });

    test('a rewrite without captures replaces the whole path and keeps the query', async () => {
      const host = await one({ 'rewrite-target': '/fixed' }, { path: '/old' });
      await go({ host, path: '/old/below?a=b&c=' });
      expect(web.last.target).toBe('/fixed?a=b&c=');
    });

    test('x-forwarded-prefix tells the backend what a rewrite took', async () => {
      const host = await one(
        { 'use-regex': 'true', 'rewrite-target': '/$2', 'x-forwarded-prefix': '/shop' },
        { path: '/shop(/|$)(.*)', pathType: 'ImplementationSpecific' },
      );
      await go({ host, path: '/shop/cart', headers: { 'x-forwarded-prefix': '/forged' } });
      expect(web.last).toMatchObject({ target: '/cart', headers: { 'x-forwarded-prefix': '/shop' } });
    });

    test('rewrite, pattern, canary, auth-url and session cookie in one', async () => {
      const path = { path: '/app(/|$)(.*)', pathType: 'ImplementationSpecific' };
      const annotations = {
        'use-regex': 'true',
        'rewrite-target': '/$2',
        'auth-url': `http://${auth.endpoint}/check`,
        'auth-response-headers': 'X-User',
        affinity: 'cookie',
        'session-cookie-name': 'stick',
        'session-cookie-path': '/app',
      };
      const canary = { canary: 'true', 'canary-by-header': 'X-Canary' };
      const host = await site({ annotations, ...path }, { annotations: canary, service: 'next', ...path });
      const main = await go({ host, path: '/app/x', headers: { 'x-user': 'forged' } });
      expect(main).toMatchObject({ status: 200, body: 'web' });
      expect(web.last).toMatchObject({ target: '/x', headers: { 'x-user': 'ann' } });
      expect(String(main.headers['set-cookie'])).toMatch(/^stick=.*; Path=\/app; .*HttpOnly/);
      const canaried = await go({ host, path: '/app/y', headers: { 'x-canary': 'always' } });
      expect(canaried.body).toBe('next');
      expect(next.last).toMatchObject({ target: '/y', headers: { 'x-user': 'ann' } });
      const cookie = String(canaried.headers['set-cookie']).split(';')[0]!;
      expect((await go({ host, path: '/app/z', headers: { cookie } })).body).toBe('next');
    });

    test('app-root sends / there and nothing else', async () => {
      const host = await one({ 'app-root': '/portal' });
      expect(await go({ host })).toMatchObject({
        status: 302,
        headers: { location: `${scheme}://${host}/portal` },
      });
      expect((await go({ host, path: '/portal' })).status).toBe(200);
    });
  });

  describe('redirects', () => {
    test.each([
      [{ 'permanent-redirect': 'https://new.test/a' }, 301],
      [{ 'permanent-redirect': 'https://new.test/a', 'permanent-redirect-code': '308' }, 308],
      [{ 'permanent-redirect': 'https://new.test/a', 'permanent-redirect-code': '299' }, 301],
      [{ 'temporal-redirect': 'https://new.test/a' }, 302],
      [{ 'temporal-redirect': 'https://new.test/a', 'temporal-redirect-code': '307' }, 307],
      [{ 'temporal-redirect': 'https://new.test/a', 'permanent-redirect': 'https://old.test/' }, 302],
    ])('%j answers %d', async (annotations, status) => {
      const host = await one(annotations);
      const answer = await go({ host, path: '/deep?x=1' });
      expect(answer).toMatchObject({ status, headers: { location: 'https://new.test/a' } });
    });

    test('permanent-redirect with $request_uri keeps path and query', async () => {
      const host = await one({ 'permanent-redirect': 'https://new.test$request_uri' });
      const { headers } = await go({ host, path: '/deep?x=1' });
      expect(headers['location']).toBe('https://new.test/deep?x=1');
    });

    test.each([
      ['', 'www.'],
      ['www.', ''],
    ])('from-to-www-redirect of "%s" takes "%s"', async (own, other) => {
      const base = `w${++sites}.test`;
      await rig.apply(ingress({ host: own + base, annotations: { 'from-to-www-redirect': 'true' } }));
      expect(await go({ host: other + base, path: '/p?q' })).toMatchObject({
        status: 308,
        headers: { location: `${scheme}://${own}${base}/p?q` },
      });
      expect((await go({ host: own + base })).status).toBe(200);
    });

    test('from-to-www-redirect leaves a host that has rules of its own', async () => {
      const base = `w${++sites}.test`;
      await rig.apply(
        ingress({ host: base, annotations: { 'from-to-www-redirect': 'true' } }),
        ingress({ host: `www.${base}`, service: 'next' }),
      );
      expect((await go({ host: `www.${base}` })).body).toBe('next');
    });

    test('force-ssl-redirect redirects what came without TLS', async () => {
      const host = await one({ 'force-ssl-redirect': 'true' });
      expect((await go({ host, path: '/a/' })).status).toBe(way === 'plain' ? 308 : 200);
    });

    test('proxy-redirect-from and -to rewrite what the backend answers', async () => {
      web.answer = (_, response) => response.writeHead(302, { location: 'http://inner/here' }).end();
      const host = await one({ 'proxy-redirect-from': 'http://inner/', 'proxy-redirect-to': '/outer/' });
      expect((await go({ host })).headers['location']).toBe('/outer/here');
      web.answer = (_, response) => response.end('web');
    });

    test('proxy-cookie-domain and -path rewrite cookies', async () => {
      web.answer = (_, response) =>
        response.writeHead(200, { 'set-cookie': 'a=b; Domain=in.test; Path=/in/x' }).end();
      const host = await one({ 'proxy-cookie-domain': 'in.test out.test', 'proxy-cookie-path': '/in /out' });
      expect(String((await go({ host })).headers['set-cookie'])).toMatch(/domain=out\.test; path=\/out\/x/i);
      web.answer = (_, response) => response.end('web');
    });
  });

  describe('error pages', () => {
    test('custom-http-errors with default-backend replace what the backend answers', async () => {
      web.answer = (_, response) => response.writeHead(418).end('teapot');
      const host = await one({ 'custom-http-errors': '418,503', 'default-backend': 'pages' });
      expect(await go({ host, path: '/x?y', headers: { accept: 'text/plain' } })).toMatchObject({
        body: 'page 418',
      });
      expect(pages.last).toMatchObject({
        method: 'GET',
        target: '/',
        headers: {
          'x-code': '418',
          'x-format': 'text/plain',
          'x-original-uri': '/x?y',
          'x-namespace': 'default',
          'x-service-name': 'web',
          'x-service-port': '80',
        },
      });
      web.answer = (_, response) => response.writeHead(500).end('mine');
      expect((await go({ host })).body).toBe('mine');
      web.answer = (_, response) => response.end('web');
    });

    test('default-backend answers for a service without endpoints', async () => {
      const host = await one({ 'default-backend': 'pages' }, { service: 'empty' });
      expect(await go({ host })).toMatchObject({ status: 503, body: 'page 503' });
    });

    test('a body that is too large is told by the error page too', async () => {
      const annotations = {
        'custom-http-errors': '413',
        'default-backend': 'pages',
        'proxy-body-size': '1k',
      };
      const host = await one(annotations);
      expect(await go({ host, method: 'POST', body: 'x'.repeat(1025) })).toMatchObject({
        status: 413,
        body: 'page 413',
      });
    });
  });

  describe('bodies', () => {
    test.each([
      ['1k', 1024, 200],
      ['1k', 1025, 413],
      ['2', 3, 413],
      ['0', 3_000_000, 200],
      ['1M', 1_048_577, 413],
      ['1g', 2_000_000, 200],
    ])('proxy-body-size %s takes %d bytes with %d', async (size, bytes, status) => {
      const host = await one({ 'proxy-body-size': size });
      const body = Buffer.alloc(bytes, 'x');
      expect((await go({ host, method: 'POST', body, headers: { 'content-length': bytes } })).status).toBe(
        status,
      );
    });
  });

  describe('canaries', () => {
    const canary = (annotations: Record<string, string>): Promise<string> =>
      site({}, { annotations: { canary: 'true', ...annotations }, service: 'next' });

    test.each([
      [{ 'x-go': 'always' }, 'next'],
      [{ 'x-go': 'never', cookie: 'go=always' }, 'web'],
      [{ 'x-go': 'other', cookie: 'go=always' }, 'next'],
      [{ cookie: 'go=never' }, 'web'],
      [{}, 'web'],
    ])('header, then cookie, then weight: %j goes to %s', async (headers, body) => {
      const host = await canary({
        'canary-by-header': 'X-Go',
        'canary-by-cookie': 'go',
        'canary-weight': '0',
      });
      expect((await go({ host, headers })).body).toBe(body);
    });

    test.each([
      ['eu', 'next'],
      ['always', 'web'],
      ['us', 'web'],
    ])('canary-by-header-value takes only its value: %s goes to %s', async (value, body) => {
      const host = await canary({ 'canary-by-header': 'X-Go', 'canary-by-header-value': 'eu' });
      expect((await go({ host, headers: { 'x-go': value } })).body).toBe(body);
    });

    test('canary-by-header-pattern', async () => {
      const host = await canary({ 'canary-by-header': 'X-Go', 'canary-by-header-pattern': '^(eu|us)-\\d+$' });
      expect((await go({ host, headers: { 'x-go': 'eu-12' } })).body).toBe('next');
      expect((await go({ host, headers: { 'x-go': 'eu-x' } })).body).toBe('web');
    });

    test('canary-weight of the whole takes all, also of a total of its own', async () => {
      const host = await canary({ 'canary-weight': '7', 'canary-weight-total': '7' });
      expect((await go({ host })).body).toBe('next');
    });

    test('a canary has the annotations of its main rule', async () => {
      const host = await site(
        { annotations: { 'rewrite-target': '/main' } },
        {
          annotations: { canary: 'true', 'canary-weight': '100', 'rewrite-target': '/own' },
          service: 'next',
        },
      );
      expect((await go({ host })).body).toBe('next');
      expect(next.last.target).toBe('/main');
    });

    test('affinity-canary-behavior legacy asks the canary rules each time', async () => {
      const annotations = { affinity: 'cookie', 'affinity-canary-behavior': 'legacy' };
      const host = await site(
        { annotations },
        { annotations: { canary: 'true', 'canary-by-header': 'X-Go' }, service: 'next' },
      );
      const first = await go({ host, headers: { 'x-go': 'always' } });
      const cookie = String(first.headers['set-cookie']).split(';')[0]!;
      expect([first.body, (await go({ host, headers: { cookie } })).body]).toEqual(['next', 'web']);
    });
  });

  describe('the choice of a pod', () => {
    const bodies = async (asks: Ask[]): Promise<Set<string>> => {
      const seen = new Set<string>();
      for (const each of asks) seen.add((await go(each)).body);
      return seen;
    };

    test.each([
      ['$request_uri', { path: '/a?b' }],
      ['$http_x_user', { headers: { 'x-user': 'ann' } }],
      ['$cookie_sid', { headers: { cookie: 'a=b; sid=42' } }],
      ['$arg_id', { path: '/?id=9' }],
      ['$remote_addr', {}],
      ['${host}-$uri', { path: '/u?x' }],
    ])('upstream-hash-by %s keeps to one', async (expression, asked) => {
      const host = await one({ 'upstream-hash-by': expression }, { service: 'pods' });
      expect((await bodies(Array.from({ length: 8 }, () => ({ host, ...asked })))).size).toBe(1);
    });

    test('different keys reach all pods', async () => {
      const host = await one({ 'upstream-hash-by': '$arg_id' }, { service: 'pods' });
      const asks = Array.from({ length: 40 }, (_, n) => ({ host, path: `/?id=${n}` }));
      expect((await bodies(asks)).size).toBe(3);
    });

    test('a session cookie keeps a client at its pod', async () => {
      const annotations = {
        affinity: 'cookie',
        'affinity-mode': 'persistent',
        'session-cookie-max-age': '600',
        'session-cookie-samesite': 'Strict',
        'session-cookie-secure': 'true',
      };
      const host = await one(annotations, { service: 'pods' });
      const first = await go({ host });
      expect(String(first.headers['set-cookie'])).toMatch(
        /^INGRESSCOOKIE=(?=.*Max-Age=600)(?=.*SameSite=Strict)(?=.*Secure)(?=.*HttpOnly)/,
      );
      const cookie = String(first.headers['set-cookie']).split(';')[0]!;
      const again = await bodies(Array.from({ length: 8 }, () => ({ host, headers: { cookie } })));
      expect([...again]).toEqual([first.body]);
    });
  });

  describe('what goes along', () => {
    test('upstream-vhost, custom-headers, mirror and its host', async () => {
      const host = await one({
        'upstream-vhost': 'inner.test',
        'custom-headers': 'default/extra',
        'mirror-target': `http://${next.endpoint}/copy$request_uri`,
        'mirror-host': 'mirror.test',
      });
      const before = next.received.length;
      const answer = await go({ host, path: '/m?x=1', method: 'POST', body: 'copied' });
      expect(answer.headers['x-shop']).toBe('blue');
      expect(answer.headers['x-hidden']).toBeUndefined();
      expect(web.last.headers.host).toBe('inner.test');
      await waitFor('the copy', () => next.received.length > before);
      expect(next.last).toMatchObject({
        target: '/copy/m?x=1',
        body: 'copied',
        headers: { host: 'mirror.test' },
      });
    });

    test('mirror-request-body off leaves the body out', async () => {
      const host = await one({ 'mirror-target': `http://${next.endpoint}/n`, 'mirror-request-body': 'off' });
      const before = next.received.length;
      await go({ host, method: 'POST', body: 'secret' });
      await waitFor('the copy', () => next.received.length > before);
      expect(next.last.body).toBe('');
    });

    test('the fields every request gets, whatever the client says', async () => {
      const host = await one({});
      await go({
        host: `${host}:8443`,
        headers: { 'x-forwarded-for': '9.9.9.9', 'x-real-ip': '9.9.9.9', proxy: 'evil' },
      });
      expect(web.last.headers).toMatchObject({
        'x-forwarded-for': '127.0.0.1',
        'x-real-ip': '127.0.0.1',
        'x-original-forwarded-for': '9.9.9.9',
        'x-forwarded-host': `${host}:8443`,
        'x-forwarded-proto': scheme,
        'x-forwarded-scheme': scheme,
        'x-scheme': scheme,
      });
      expect(web.last.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
      expect(web.last.headers['proxy']).toBeUndefined();
    });

    test('a server-alias serves the whole host, patterns too', async () => {
      const host = await one({ 'server-alias': `alias-${sites + 1}.test,~^any-${sites + 1}-\\d+\\.test$` });
      const n = host.slice(1, -5);
      for (const alias of [`alias-${n}.test`, `any-${n}-77.test`])
        expect((await go({ host: alias })).status).toBe(200);
      expect((await go({ host: `any-${n}-x.test` })).status).toBe(404);
    });
  });
});
