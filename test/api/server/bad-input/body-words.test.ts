import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../../support/source-files.ts';
import { openTestServer, type TestServer } from '../support.ts';

type Case = readonly [method: 'POST' | 'PATCH', contentType: string, body: string, message: string];

/** Bodies that kube-apiserver 1.35 could not read, and why it said so; patches are for the ConfigMap `one`. */
const CASES = JSON.parse(readFileSync(`${ROOT}test/cases/api-bodies.json`, 'utf8')) as readonly Case[];
const MAPS = '/api/v1/namespaces/default/configmaps';

describe('bodies that cannot be read', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await openTestServer();
    await server.call('POST', MAPS, { metadata: { name: 'one' } });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it.each(CASES)('%s %s %j', async (method, contentType, body, message) => {
    const path = method === 'POST' ? MAPS : `${MAPS}/one?fieldManager=m`;
    const reply = await server.call(method, path, Buffer.from(body), { 'content-type': contentType });
    expect([reply.status, reply.body.message]).toEqual([400, message]);
  });
});
