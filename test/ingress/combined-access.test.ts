import { createHash } from 'node:crypto';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseCidr } from '../../src/net/cidr.ts';
import { selfSignedCertificate } from '../../src/net/self-signed.ts';
import { Backend } from './support/backend.ts';
import type { Ask } from './support/client.ts';
import { configMap, ingress, secret, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';
import { type Answer, askBy, WAYS } from './support/ways.ts';

/** Who may pass, with annotations and the ConfigMap together: over HTTP/1.1, TLS and HTTP/2. */
let web: Backend;
let auth: Backend;
let authAnswer: { status: number; headers?: Record<string, string> };
let rig: Rig;
let sites = 0;

const sha = (password: string): string => `{SHA}${createHash('sha1').update(password).digest('base64')}`;
const basic = (user: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

beforeAll(async () => {
  web = await Backend.open((_, response) => response.end('web'));
  auth = await Backend.open((_, response) =>
    response.writeHead(authAnswer.status, authAnswer.headers).end('auth'),
  );
  rig = await Rig.open([
    ...service('web', web.endpoint),
    secret('users', { auth: `ann:${sha('right')}\n` }),
    secret('map', { bea: sha('right') }),
  ]);
});

beforeEach(() => {
  authAnswer = { status: 200 };
  web.received.length = 0;
  auth.received.length = 0;
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
  await auth[Symbol.asyncDispose]();
});

describe.each(WAYS)('%s', (way) => {
  const scheme = way === 'plain' ? 'http' : 'https';

  async function site(
    annotations: Record<string, string>,
    on = rig,
  ): Promise<(asked?: Ask) => Promise<Answer>> {
    const host = `a${++sites}.test`;
    await on.apply(ingress({ host, annotations }));
    return (asked = {}) => askBy(way, on, { host, ...asked });
  }

  describe('source ranges and logins', () => {
    test.each([
      [{ 'whitelist-source-range': '10.0.0.0/8' }, 403],
      [{ 'whitelist-source-range': '10.0.0.0/8, 127.0.0.0/8' }, 200],
      [{ 'allowlist-source-range': '127.0.0.1' }, 200],
      [{ 'allowlist-source-range': '127.0.0.0/8', 'denylist-source-range': '127.0.0.1' }, 403],
      [{ 'denylist-source-range': '10.0.0.0/8' }, 200],
      [{ 'whitelist-source-range': 'everybody' }, 503],
    ])('%j answers %d', async (annotations, status) => {
      expect((await (await site(annotations as Record<string, string>))()).status).toBe(status);
    });

    test.each([
      [{}, undefined, 401],
      [{}, basic('ann', 'wrong'), 401],
      [{}, basic('ann', 'right'), 200],
      [{ 'auth-secret': 'map', 'auth-secret-type': 'auth-map' }, basic('bea', 'right'), 200],
      [{ 'whitelist-source-range': '10.0.0.0/8' }, basic('ann', 'right'), 403],
      [{ 'whitelist-source-range': '10.0.0.0/8', satisfy: 'any' }, basic('ann', 'right'), 200],
      [{ 'whitelist-source-range': '10.0.0.0/8', satisfy: 'any' }, undefined, 401],
      [{ 'whitelist-source-range': '127.0.0.0/8', satisfy: 'any' }, undefined, 200],
      [{ 'auth-secret': 'gone' }, basic('ann', 'right'), 503],
    ])('basic auth with %j', async (more, headers, status) => {
      const go = await site({ 'auth-type': 'basic', 'auth-secret': 'users', 'auth-realm': 'Shop', ...more });
      const answer = await go(headers && { headers });
      expect(answer.status).toBe(status);
      if (status === 401) expect(answer.headers['www-authenticate']).toBe('Basic realm="Shop"');
    });
  });

  describe('auth-url', () => {
    const url = (path = '/check'): Record<string, string> => ({
      'auth-url': `http://${auth.endpoint}${path}`,
    });

    test('is told what is asked for, and its fields reach the backend alone', async () => {
      authAnswer = { status: 200, headers: { 'X-User': 'ann', 'X-Other': 'no' } };
      const go = await site({ ...url(), 'auth-response-headers': 'X-User', 'auth-method': 'POST' });
      const headers = { 'x-user': 'forged', cookie: 'a=b' };
      expect((await go({ method: 'PUT', path: '/p?q=1', body: 'body', headers })).status).toBe(200);
      const host = web.last.headers.host!;
      expect(auth.last).toMatchObject({
        method: 'POST',
        body: '',
        headers: {
          'x-original-url': `${scheme}://${host}/p?q=1`,
          'x-original-method': 'PUT',
          'x-auth-request-redirect': '/p?q=1',
          'x-sent-from': 'nginx-ingress-controller',
          cookie: 'a=b',
        },
      });
      expect(web.last.headers).toMatchObject({ 'x-user': 'ann' });
      expect(web.last.headers['x-other']).toBeUndefined();
      expect(auth.last.headers['x-request-id']).toBe(web.last.headers['x-request-id']);
    });

    test.each([
      [202, 200],
      [401, 401],
      [403, 403],
      [302, 500],
      [404, 500],
      [500, 500],
    ])('a service that answers %d leads to %d', async (status, expected) => {
      authAnswer = { status };
      expect((await (await site(url()))()).status).toBe(expected);
      expect(web.received.length).toBe(expected === 200 ? 1 : 0);
    });

    test.each([
      ['https://login.test/start', (back: string) => `https://login.test/start?rd=${back}`],
      ['https://login.test/start?a=b', (back: string) => `https://login.test/start?a=b&rd=${back}`],
    ])('auth-signin %s', async (signin, expected) => {
      authAnswer = { status: 401 };
      const go = await site({ ...url(), 'auth-signin': signin });
      const answer = await go({ path: '/deep?x=1' });
      const host = `a${sites}.test`;
      expect(answer.status).toBe(302);
      expect(answer.headers['location']).toBe(
        expected(`${scheme}://${host}${encodeURIComponent('/deep?x=1')}`),
      );
    });

    test('auth-signin-redirect-param and -request-redirect', async () => {
      authAnswer = { status: 401 };
      const more = { 'auth-signin': 'https://l.test/', 'auth-signin-redirect-param': 'next' };
      const go = await site({ ...url(), ...more, 'auth-request-redirect': 'https://home.test$request_uri' });
      expect(String((await go({ path: '/x' })).headers['location'])).toContain('?next=');
      expect(auth.last.headers['x-auth-request-redirect']).toBe('https://home.test/x');
    });

    test('satisfy any: a login opens what auth-url would close', async () => {
      authAnswer = { status: 401 };
      const go = await site({ ...url(), 'auth-type': 'basic', 'auth-secret': 'users', satisfy: 'any' });
      expect((await go({ headers: basic('ann', 'right') })).status).toBe(200);
      expect((await go()).status).toBe(401);
    });
  });

  describe('global-auth-url', () => {
    const settings = (more: Record<string, string> = {}): Promise<Rig> =>
      Rig.open(
        [
          ...service('web', web.endpoint),
          configMap('settings', { 'global-auth-url': `http://${auth.endpoint}/global`, ...more }),
        ],
        { configMap: 'default/settings' },
      );

    test('is asked where an Ingress has none of its own and does not opt out', async () => {
      await using guarded = await settings({
        'global-auth-response-headers': 'X-User',
        'global-auth-signin': 'https://login.test/',
        'no-auth-locations': '/.well-known/acme-challenge',
      });
      authAnswer = { status: 200, headers: { 'X-User': 'global' } };
      const plain = await site({}, guarded);
      expect((await plain()).status).toBe(200);
      expect([auth.last.target, web.last.headers['x-user']]).toEqual(['/global', 'global']);
      await (
        await site({ 'auth-url': `http://${auth.endpoint}/own` }, guarded)
      )();
      expect(auth.last.target).toBe('/own');
      const asked = auth.received.length;
      expect((await (await site({ 'enable-global-auth': 'false' }, guarded))()).status).toBe(200);
      expect(auth.received.length).toBe(asked);
      authAnswer = { status: 401 };
      expect((await plain()).status).toBe(302);
    });

    test('one that cannot be understood closes, and opting out still works', async () => {
      await using guarded = await settings({ 'global-auth-url': 'ldap://nobody' });
      expect((await (await site({}, guarded))()).status).toBe(503);
      expect((await (await site({ 'enable-global-auth': 'false' }, guarded))()).status).toBe(200);
    });
  });

  describe('the ConfigMap', () => {
    test('block-user-agents and block-referers', async () => {
      await using guarded = await Rig.open(
        [
          ...service('web', web.endpoint),
          configMap('settings', {
            'block-user-agents': 'evil/1.0, ~*bot',
            'block-referers': '~^http://spam\\.',
          }),
        ],
        { configMap: 'default/settings' },
      );
      const go = await site({}, guarded);
      const asks: [Record<string, string>, number][] = [
        [{ 'user-agent': 'EVIL/1.0' }, 403],
        [{ 'user-agent': 'not evil/1.0' }, 200],
        [{ 'user-agent': 'GoogleBot' }, 403],
        [{ referer: 'http://spam.test/' }, 403],
        [{ referer: 'http://ham.test/http://spam.test/' }, 200],
      ];
      for (const [headers, status] of asks)
        expect([headers, (await go({ headers })).status]).toEqual([headers, status]);
    });

    test('disable-proxy-intercept-errors leaves the errors of backends alone', async () => {
      await using pages = await Backend.open((_, response) => response.end('page'));
      await rig.apply(...service('pages', pages.endpoint));
      web.answer = (_, response) => response.writeHead(404).end('mine');
      const errors = { 'custom-http-errors': '404,413', 'default-backend': 'pages', 'proxy-body-size': '1' };
      const go = await site({ ...errors, 'disable-proxy-intercept-errors': 'true' });
      expect((await go()).body).toBe('mine');
      expect((await go({ method: 'POST', body: 'too much' })).body).toBe('page');
      web.answer = (_, response) => response.end('web');
    });
  });

  describe('CORS', () => {
    const preflight = (origin: string): Ask => ({
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PUT' },
    });

    test('several origins and a wildcard: a match is echoed', async () => {
      const go = await site({
        'enable-cors': 'true',
        'cors-allow-origin': 'https://a.test, https://*.b.test:8443',
        'cors-allow-methods': 'PUT',
        'cors-allow-headers': 'X-Own',
        'cors-expose-headers': 'X-Seen',
        'cors-max-age': '7',
      });
      for (const origin of ['https://a.test', 'https://x.b.test:8443']) {
        const answer = await go(preflight(origin));
        expect(answer).toMatchObject({
          status: 204,
          headers: {
            'access-control-allow-origin': origin,
            'access-control-allow-methods': 'PUT',
            'access-control-allow-headers': 'X-Own',
            'access-control-expose-headers': 'X-Seen',
            'access-control-allow-credentials': 'true',
            'access-control-max-age': '7',
          },
        });
      }
      expect(web.received.length).toBe(0);
    });

    test('an origin that is not allowed gets no word of it, and its OPTIONS goes to the backend', async () => {
      const go = await site({ 'enable-cors': 'true', 'cors-allow-origin': 'https://a.test' });
      for (const origin of ['https://x.a.test', 'http://a.test', 'https://a.test.evil.test', 'null']) {
        const answer = await go(preflight(origin));
        expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, undefined]);
      }
      expect(web.received.map(({ method }) => method)).toEqual(['OPTIONS', 'OPTIONS', 'OPTIONS', 'OPTIONS']);
    });

    test('a preflight needs no login, the request after it does', async () => {
      const go = await site({ 'enable-cors': 'true', 'auth-type': 'basic', 'auth-secret': 'users' });
      expect((await go(preflight('https://x.test'))).status).toBe(204);
      const refused = await go({ headers: { origin: 'https://x.test' } });
      expect(refused).toMatchObject({ status: 401, headers: { 'access-control-allow-origin': '*' } });
    });
  });

  describe('limits', () => {
    const many = async (go: (asked?: Ask) => Promise<Answer>, count: number): Promise<number[]> =>
      (await Promise.all(Array.from({ length: count }, () => go()))).map(({ status }) => status);

    test('limit-rps lets the burst through and refuses the rest with 503', async () => {
      const go = await site({ 'limit-rpm': '2', 'limit-burst-multiplier': '3' });
      const statuses = await many(go, 12);
      // 1 and the burst of 6; a busy machine may earn one or two more meanwhile
      const passed = statuses.filter((status) => status === 200).length;
      expect(passed).toBeGreaterThanOrEqual(7);
      expect(passed).toBeLessThan(12);
      expect(new Set(statuses)).toEqual(new Set([200, 503]));
    });

    test('limit-whitelist is not counted', async () => {
      const go = await site({
        'limit-rpm': '1',
        'limit-burst-multiplier': '1',
        'limit-whitelist': '127.0.0.0/8',
      });
      expect(new Set(await many(go, 10))).toEqual(new Set([200]));
    });

    test('limit-connections counts what is under way', async () => {
      const waiting: (() => void)[] = [];
      web.answer = (_, response) => void waiting.push(() => response.end('late'));
      const go = await site({ 'limit-connections': '2' });
      const asked = Array.from({ length: 4 }, () => go());
      await expect.poll(() => waiting.length, { timeout: 20_000 }).toBe(2);
      const refused = await Promise.race(asked);
      expect(refused.status).toBe(503);
      for (const end of waiting) end();
      web.answer = (_, response) => response.end('web');
      expect((await Promise.all(asked)).map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
        200, 200, 503, 503,
      ]);
    });
  });

  describe('TLS to the backend', () => {
    test('HTTPS: nothing is verified unless proxy-ssl-verify says so, and the name is told', async () => {
      const pair = await selfSignedCertificate('inner.test', ['inner.test'], Date.now());
      const names: (string | undefined)[] = [];
      const secure = https.createServer({
        ...pair,
        SNICallback: (name, done) => (names.push(name), done(null)),
      });
      secure.on('request', (_, response) => response.end('secure'));
      await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
      const port = (secure.address() as net.AddressInfo).port;
      await rig.apply(
        ...service(`secure-${way}`, `127.0.0.1:${port}`),
        secret(`trust-${way}`, { 'ca.crt': pair.cert }),
      );
      const secured = async (more: Record<string, string>): Promise<number> => {
        const host = `a${++sites}.test`;
        const annotations = { 'backend-protocol': 'HTTPS', 'proxy-next-upstream-tries': '1', ...more };
        await rig.apply(ingress({ host, service: `secure-${way}`, annotations }));
        return (await askBy(way, rig, { host })).status;
      };
      const verify = { 'proxy-ssl-verify': 'on', 'proxy-ssl-secret': `default/trust-${way}` };
      expect(await secured({})).toBe(200);
      expect(await secured({ ...verify, 'proxy-ssl-name': 'inner.test' })).toBe(200);
      expect(names).toContain('inner.test');
      expect(await secured({ ...verify, 'proxy-ssl-name': 'other.test' })).toBe(502);
      expect(await secured({ 'proxy-ssl-verify': 'on' })).toBe(502);
      secure.close();
      secure.closeAllConnections();
    });
  });
});

describe('PROXY protocol', () => {
  test('source ranges look at the client it names, plain and before TLS', async () => {
    const settings = { useProxyProtocol: true, trustedProxies: [parseCidr('127.0.0.0/8')!] };
    const annotations = { 'whitelist-source-range': '203.0.113.0/24' };
    await using proxied = await Rig.open([...service('web', web.endpoint), ingress({ annotations })], {
      settings,
    });
    const status = (port: number, from: string, secure: boolean): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = net.connect(port, '127.0.0.1', () => {
          socket.write(`PROXY TCP4 ${from} 10.0.0.1 4660 443\r\n`);
          const wire = secure
            ? tls.connect({ socket, servername: 'web.test', rejectUnauthorized: false })
            : socket;
          wire.on('data', (bytes: Buffer) => {
            resolve(bytes.toString().slice(9, 12));
            socket.destroy();
          });
          wire.on('error', reject);
          wire.write('GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n');
        });
        socket.on('error', reject);
      });
    for (const secure of [false, true]) {
      const port = secure ? proxied.https : proxied.http;
      expect(await status(port, '203.0.113.9', secure)).toBe('200');
      expect(web.last.headers).toMatchObject({ 'x-real-ip': '203.0.113.9', 'x-forwarded-proto': 'https' });
      expect(await status(port, '198.51.100.9', secure)).toBe('403');
    }
  });
});
