import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, type TestServer } from './support.ts';

/** What kube-apiserver 1.35 answers at the edges of its paths. */
let test: TestServer;
beforeAll(async () => {
  test = await openTestServer();
  const made = await test.call('POST', CONFIG_MAPS, { metadata: { name: 'h' }, data: { a: 'b' } });
  expect(made.status).toBe(201);
});
afterAll(() => test[Symbol.asyncDispose]());

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const TEXT = 'text/plain; charset=utf-8';

describe('paths', () => {
  it.each([
    ['HEAD', `${CONFIG_MAPS}/h`, 405],
    ['HEAD', `${CONFIG_MAPS}/none`, 405],
    ['HEAD', CONFIG_MAPS, 405],
    ['HEAD', '/apis/apps/v1/deployments', 405],
    ['HEAD', '/api', 405],
    ['HEAD', '/api/v1', 405],
    ['HEAD', '/version', 405],
    ['HEAD', '/apis', 200],
    ['HEAD', '/healthz', 200],
    ['PROPFIND', CONFIG_MAPS, 405],
    ['DELETE', '/api/v1/configmaps', 405],
    ['DELETE', CONFIG_MAPS, 200],
    ['DELETE', '/apis/networking.k8s.io/v1/ingressclasses?labelSelector=none', 200],
  ])('%s %s: %i', async (method, path, status) => {
    expect((await test.call(method, path)).status).toBe(status);
  });

  it.each([
    '/nothing',
    '/swagger.json',
    '/apis/nothing',
    '/apis/nothing/v1/x',
    '/openapi',
    '/healthz/nothing',
  ])('%s is no page', async (path) => {
    const { status, text, headers } = await test.call('GET', path);
    expect([status, text, headers['content-type']]).toEqual([404, '404 page not found\n', TEXT]);
  });

  it('are not told to whom has no right to ask', async () => {
    expect((await test.call('POST', '/nothing')).status).toBe(404);
    expect((await test.as('bob')('GET', '/nothing')).status).toBe(403);
  });

  it.each([
    '/api/v2',
    '/api/v1/nothing',
    '/apis/apps/v2',
    '/apis/apps/v1/nothing',
    `${CONFIG_MAPS}/h/nothing`,
  ])('%s is no resource', async (path) => {
    const { status, body } = await test.call('GET', path);
    const message = 'the server could not find the requested resource';
    expect([status, body]).toMatchObject([404, { kind: 'Status', reason: 'NotFound', message }]);
  });
});
