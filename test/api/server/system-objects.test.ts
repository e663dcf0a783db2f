import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, type TestServer } from './support.ts';

const TABLE = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };

describe('what tells of the server itself', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await openTestServer();
  });
  afterAll(async () => await server[Symbol.asyncDispose]());

  it('has an APIService for each group-version', async () => {
    const path = '/apis/apiregistration.k8s.io/v1/apiservices';
    const { body } = await server.call('GET', path);
    const names: string[] = body.items.map((one: { metadata: { name: string } }) => one.metadata.name);
    expect(names).toContain('v1.');
    expect(names).toContain('v1.apps');
    expect(names).toContain('v2.autoscaling');
    expect(names).toEqual(names.toSorted());
    const one = await server.call('GET', `${path}/v1.apps`);
    expect(one.body.spec).toMatchObject({ group: 'apps', version: 'v1' });
    const table = await server.call('GET', path, undefined, TABLE);
    expect(table.body.rows[0].cells.slice(0, 3)).toEqual(['v1.', 'Local', 'True']);
    expect((await server.call('POST', path, { metadata: { name: 'v1.foo' } })).status).toBe(405);
    expect((await server.call('GET', `${path}/v9.apps`)).status).toBe(404);
  });

  it('has the health of the store as a ComponentStatus, with its warning', async () => {
    const table = await server.call('GET', '/api/v1/componentstatuses', undefined, TABLE);
    expect(table.body.rows.map((row: { cells: unknown[] }) => row.cells)).toEqual([
      ['store', 'Healthy', 'ok', ''],
    ]);
    expect(table.headers['warning']).toBe('299 - "v1 ComponentStatus is deprecated in v1.19+"');
  });
});
