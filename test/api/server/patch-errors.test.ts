import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, patchType, type TestServer } from './support.ts';

const PATH = '/apis/apps/v1/namespaces/default/deployments/web';
const LABELS = { app: 'web' };
const TEMPLATE = { metadata: { labels: LABELS }, spec: { containers: [{ name: 'c', image: 'web:1' }] } };

describe('a patch that makes no object of its kind', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await openTestServer();
    await server.call('POST', '/apis/apps/v1/namespaces/default/deployments', {
      metadata: { name: 'web' },
      spec: { selector: { matchLabels: LABELS }, template: TEMPLATE },
    });
  });
  afterAll(async () => await server[Symbol.asyncDispose]());

  it.each([
    [
      'a strategic one with a wrong type',
      '',
      { spec: { replicas: 'x' } },
      '"map[spec:map[replicas:x]]": unrecognized type: int32',
    ],
    [
      'a strategic one with an unknown field',
      '?fieldValidation=Strict',
      { spec: { foo: 1 } },
      '"map[spec:map[foo:1]]": strict decoding error: unknown field "spec.foo"',
    ],
    ['text for a list', '', { spec: { template: { spec: { containers: 'x' } } } }, undefined],
  ])('%s', async (_name, query, patch, told) => {
    const { status, body } = await server.call('PATCH', PATH + query, patch, patchType.strategic);
    if (told === undefined) {
      expect(status).toBeGreaterThanOrEqual(400);
      return;
    }
    expect(status).toBe(422);
    expect(body.message).toBe(` "" is invalid: patch: Invalid value: ${told}`);
    expect(body.details).toEqual({
      causes: [{ reason: 'FieldValueInvalid', message: `Invalid value: ${told}`, field: 'patch' }],
    });
  });

  it('a merge patch is told by what it made', async () => {
    const { status, body } = await server.call('PATCH', PATH, { spec: { replicas: 'x' } }, patchType.merge);
    expect(status).toBe(422);
    expect(body.message).toContain('\\"replicas\\":\\"x\\"');
    expect(body.message).toContain('json: cannot unmarshal string into Go struct field');
  });
});
