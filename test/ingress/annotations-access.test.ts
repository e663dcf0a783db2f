import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { type Ask, ask } from './support/client.ts';
import { configMap, ingress, type IngressShape, secret, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** Rows 13 to 21: who gets in. */
let backend: Backend;
let auth: Backend;
let rig: Rig;
let authAnswer: (path: string) => { status: number; headers?: Record<string, string | string[]> };

beforeAll(async () => {
  backend = await Backend.open();
  auth = await Backend.open(({ target }, response) => {
    const { status, headers } = authAnswer(target);
    response.writeHead(status, headers).end('body of the auth service');
  });
  rig = await Rig.open([
    ...service('web', backend.endpoint),
    ...service('auth', auth.endpoint),
    secret('users', {
      auth: [
        '# a comment',
        'bea:$2y$05$MqgO6XwfC4gVclJSF51qtO/Dy1BrsYDSkduJM1.GWzQvZosiV7VjO',
        'ann:$apr1$1SDUhS7S$740ydu9fpW6ntNWjFEBXv0',
        'sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=',
        'plain:secret',
        'odd:$9$what',
      ].join('\r\n'),
    }),
    secret('map', { bea: '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=' }),
    secret('empty', { other: 'x' }),
    configMap('auth-fields', { 'X-Tenant': 'blue' }),
  ]);
});

beforeEach(() => {
  authAnswer = () => ({ status: 200 });
  backend.received.length = 0;
  auth.received.length = 0;
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
  await auth[Symbol.asyncDispose]();
});

const login = (user: string, password: string): Ask => ({
  headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
});

async function statusOf(
  annotations: Record<string, string>,
  asked: Ask = {},
  shape: IngressShape = {},
): Promise<number> {
  await rig.apply(ingress({ ...shape, annotations }));
  return (await ask(rig.http, asked)).status;
}

describe('source ranges', () => {
  const rows: readonly [string, Record<string, string>, number][] = [
    ['inside', { 'whitelist-source-range': '10.0.0.0/8, 127.0.0.0/8' }, 200],
    ['outside', { 'whitelist-source-range': '10.0.0.0/8' }, 403],
    [
      'the newer name wins',
      { 'whitelist-source-range': '10.0.0.0/8', 'allowlist-source-range': '127.0.0.1' },
      200,
    ],
    ['denied', { 'denylist-source-range': '127.0.0.0/8' }, 403],
    [
      'denied although allowed',
      { 'denylist-source-range': '127.0.0.1', 'whitelist-source-range': '127.0.0.1' },
      403,
    ],
    ['what does not parse lets nobody in', { 'whitelist-source-range': '127.0.0.1, nonsense' }, 503],
  ];
  test.for(rows)('%s', async ([, annotations, status]) => {
    expect(await statusOf(annotations)).toBe(status);
    expect(backend.received).toHaveLength(status === 200 ? 1 : 0);
  });
});

describe('basic auth', () => {
  const basic = { 'auth-type': 'basic', 'auth-secret': 'users', 'auth-realm': 'Say "who"' };
  const rows: readonly [string, Record<string, string>, Ask, number][] = [
    ['bcrypt', basic, login('bea', 'secret'), 200],
    ['bcrypt again, remembered', basic, login('bea', 'secret'), 200],
    ['bcrypt, wrong', basic, login('bea', 'Secret'), 401],
    ['apr1', basic, login('ann', 'secret'), 200],
    ['apr1, wrong', basic, login('ann', 'x'), 401],
    ['sha', basic, login('sha', 'secret'), 200],
    ['sha, wrong', basic, login('sha', ''), 401],
    ['a password in the clear is none', basic, login('plain', 'secret'), 401],
    ['an unknown hash', basic, login('odd', '$9$what'), 401],
    ['nobody', basic, {}, 401],
    ['an unknown user', basic, login('eve', 'secret'), 401],
    ['names of an object', basic, login('constructor', 'secret'), 401],
    ['another scheme', basic, { headers: { authorization: 'Bearer abc' } }, 401],
    ['no base64', basic, { headers: { authorization: 'Basic %%%' } }, 401],
    ['no colon', basic, { headers: { authorization: 'Basic YWJj' } }, 401],
    [
      'auth-map',
      { ...basic, 'auth-secret': 'map', 'auth-secret-type': 'auth-map' },
      login('bea', 'secret'),
      200,
    ],
    ['a missing secret', { ...basic, 'auth-secret': 'gone' }, login('bea', 'secret'), 503],
    ['a secret without the key', { ...basic, 'auth-secret': 'empty' }, login('bea', 'secret'), 503],
  ];
  test.for(rows)('%s', async ([, annotations, asked, status]) => {
    expect(await statusOf(annotations, asked)).toBe(status);
    expect(backend.received).toHaveLength(status === 200 ? 1 : 0);
  });

  test('the challenge names the realm, without its quotes', async () => {
    await rig.apply(ingress({ annotations: basic }));
    expect((await ask(rig.http)).headers['www-authenticate']).toBe('Basic realm="Say who"');
  });

  test('a password that changes holds at once', async () => {
    await rig.apply(secret('turning', { auth: 'a:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=' }));
    expect(await statusOf({ 'auth-type': 'basic', 'auth-secret': 'turning' }, login('a', 'secret'))).toBe(
      200,
    );
    await rig.apply(secret('turning', { auth: 'a:{SHA}0000000000000000000000000000' }));
    expect((await ask(rig.http, login('a', 'secret'))).status).toBe(401);
  });

  test('satisfy any: the range or the password', async () => {
    const any = { ...basic, satisfy: 'any' };
    expect(await statusOf({ ...any, 'whitelist-source-range': '127.0.0.1' })).toBe(200);
    expect(await statusOf({ ...any, 'whitelist-source-range': '10.0.0.0/8' })).toBe(401);
    expect(await statusOf({ ...any, 'whitelist-source-range': '10.0.0.0/8' }, login('bea', 'secret'))).toBe(
      200,
    );
    expect(await statusOf({ ...basic, 'whitelist-source-range': '10.0.0.0/8' }, login('bea', 'secret'))).toBe(
      403,
    );
  });
});

describe('external auth', () => {
  const external = {
    'auth-url': 'http://auth.default.svc.cluster.local/check',
    'auth-response-headers': 'X-User, X-Group',
  };

  test('2xx passes; what was asked and what the backend hears', async () => {
    authAnswer = () => ({ status: 202, headers: { 'x-user': 'bea', 'set-cookie': 's=1' } });
    await rig.apply(
      ingress({ annotations: { ...external, 'auth-proxy-set-headers': 'default/auth-fields' } }),
    );
    const told = await ask(rig.http, {
      method: 'POST',
      path: '/pay?x=1',
      body: 'secret body',
      headers: { 'x-user': 'forged', 'x-group': 'admins', cookie: 'c=1', 'content-type': 'text/plain' },
    });
    expect([told.status, told.headers['set-cookie']]).toEqual([200, ['s=1']]);
    expect(auth.last).toMatchObject({ method: 'GET', target: '/check', body: '' });
    expect(auth.last.headers).toMatchObject({
      'x-original-url': 'http://web.test/pay?x=1',
      'x-original-method': 'POST',
      'x-auth-request-redirect': '/pay?x=1',
      'x-real-ip': '127.0.0.1',
      'x-tenant': 'blue',
      cookie: 'c=1',
    });
    expect(backend.last.body).toBe('secret body');
    expect(backend.last.headers).toMatchObject({ 'x-user': 'bea' });
    expect(backend.last.headers).not.toHaveProperty('x-group');
  });

  const answers: readonly [string, number, number][] = [
    ['401', 401, 401],
    ['403', 403, 403],
    ['404', 404, 500],
    ['302', 302, 500],
    ['500', 500, 500],
  ];
  test.for(answers)('an auth service that says %s', async ([, said, status]) => {
    authAnswer = () => ({ status: said, headers: said === 401 ? { 'www-authenticate': 'Bearer' } : {} });
    await rig.apply(ingress({ annotations: external }));
    const told = await ask(rig.http);
    expect(told.status).toBe(status);
    if (said === 401) expect(told.headers['www-authenticate']).toBe('Bearer');
    expect(backend.received).toEqual([]);
  });

  test.for([
    ['is gone', 'http://127.0.0.9:9/'],
    ['has no endpoints', 'http://nobody.default.svc/'],
    ['has a name that does not resolve', 'http://auth.example.invalid/'],
  ] as const)('an auth service that %s lets nobody in', async ([, url]) => {
    expect(await statusOf({ 'auth-url': url })).toBe(500);
    expect(backend.received).toEqual([]);
  });

  test('auth-signin redirects a 401 with the way back', async () => {
    authAnswer = () => ({ status: 401 });
    await rig.apply(
      ingress({
        annotations: {
          ...external,
          'auth-signin': 'https://login.test/start?a=b',
          'auth-signin-redirect-param': 'next',
        },
      }),
    );
    const told = await ask(rig.http, { path: '/deep?x=1&y=2' });
    expect([told.status, told.headers.location]).toEqual([
      302,
      'https://login.test/start?a=b&next=http://web.test%2Fdeep%3Fx%3D1%26y%3D2',
    ]);
  });

  test('auth-cache-key spares questions for the same key only', async () => {
    await rig.apply(
      ingress({
        annotations: {
          ...external,
          'auth-cache-key': '$http_authorization',
          'auth-cache-duration': '200 10m',
        },
      }),
    );
    for (const who of ['a', 'a', 'b', 'a', 'b']) await ask(rig.http, { headers: { authorization: who } });
    expect(auth.received.map(({ headers }) => headers.authorization)).toEqual(['a', 'b']);
  });

  test('both logins are needed, with satisfy any one of them', async () => {
    const both = { ...external, 'auth-type': 'basic', 'auth-secret': 'users' };
    expect(await statusOf(both)).toBe(401);
    expect(await statusOf(both, login('bea', 'secret'))).toBe(200);
    expect(await statusOf({ ...both, satisfy: 'any' })).toBe(200);
    authAnswer = () => ({ status: 403 });
    expect(await statusOf(both, login('bea', 'secret'))).toBe(403);
    expect(await statusOf({ ...both, satisfy: 'any' }, login('bea', 'secret'))).toBe(200);
    expect(await statusOf({ ...both, satisfy: 'any' })).toBe(401);
  });
});

describe('limits', () => {
  test('limit-connections counts requests under way, per client', async () => {
    const waiting: (() => void)[] = [];
    backend.answer = (_, response) => void waiting.push(() => response.end('ok'));
    await rig.apply(ingress({ annotations: { 'limit-connections': '2' } }));
    const first = [ask(rig.http), ask(rig.http)];
    await waitFor('both to be served', () => waiting.length === 2);
    expect((await ask(rig.http)).status).toBe(503);
    const other = ask(rig.http, { localAddress: '127.0.0.5' });
    await waitFor('another client', () => waiting.length === 3);
    backend.answer = (_, response) => response.end('ok');
    for (const go of waiting) go();
    expect((await Promise.all([...first, other])).map(({ status }) => status)).toEqual([200, 200, 200]);
    await waitFor('places to be free again', async () => (await ask(rig.http)).status === 200);
  });

  test('limit-rpm with its burst, and who is exempt', async () => {
    await rig.apply(
      ingress({
        annotations: { 'limit-rpm': '1', 'limit-burst-multiplier': '3', 'limit-allowlist': '127.0.0.6' },
      }),
    );
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) statuses.push((await ask(rig.http)).status);
    expect(statuses).toEqual([200, 200, 200, 200, 503, 503, 503, 503]);
    for (let i = 0; i < 8; i++) expect((await ask(rig.http, { localAddress: '127.0.0.6' })).status).toBe(200);
  });
});
