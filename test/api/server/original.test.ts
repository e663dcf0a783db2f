import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isObject, type JsonObject } from '../../../src/api/kinds/json-value.ts';
import { ROOT } from '../../support/source-files.ts';
import { openTestServer, type TestServer } from './support.ts';

/**
 * What kube-apiserver 1.35 answered when it was asked to create these objects: each is the kind's `object` with a
 * change laid over it (`__del` takes a field away), the status code and the message, '' for what was accepted.
 */
interface Refusals {
  readonly path: string;
  readonly object: JsonObject;
  readonly cases: readonly (readonly [change: JsonObject, status: number, message: string])[];
}

const KINDS = JSON.parse(readFileSync(`${ROOT}test/cases/api-refusals.json`, 'utf8')) as Readonly<
  Record<string, Refusals>
>;
/** What it warned of when it accepted these. */
interface Warned {
  readonly path: string;
  readonly object: JsonObject;
  readonly cases: readonly (readonly [change: JsonObject, warnings: readonly string[]])[];
}

const WARNED = JSON.parse(readFileSync(`${ROOT}test/cases/api-warnings.json`, 'utf8')) as Readonly<
  Record<string, Warned>
>;
const WARNING = /299 - ("(?:[^"\\]|\\.)*")/g;
const UID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const SERVICE_ADDRESS = /\b10\.96\.\d+\.\d+\b/g;

function changed(base: unknown, change: unknown): unknown {
  if (!isObject(change) || !isObject(base)) return change;
  const result: JsonObject = { ...base };
  for (const [name, value] of Object.entries(change)) {
    if (value === '__del') delete result[name];
    else result[name] = changed(result[name], value);
  }
  return result;
}

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
  await server.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
});
afterAll(async () => await server[Symbol.asyncDispose]());

describe('objects that kube-apiserver was asked to create', () => {
  it.each(Object.entries(KINDS))('%s', async (_name, { path, object, cases }) => {
    const got: unknown[] = [];
    for (const [change] of cases) {
      const reply = await server.call('POST', `${path}?dryRun=All&fieldManager=m`, changed(object, change));
      const body = reply.body as JsonObject;
      const message = body['kind'] === 'Status' ? String(body['message']) : '';
      got.push([change, reply.status, message.replace(UID, '<uid>').replace(SERVICE_ADDRESS, '<ip>')]);
    }
    expect(cases.length).toBeGreaterThan(0);
    expect(got).toEqual(cases);
  });
});

describe('objects that kube-apiserver accepted', () => {
  it.each(Object.entries(WARNED))('%s, with its warnings', async (_name, { path, object, cases }) => {
    const got: unknown[] = [];
    for (const [change] of cases) {
      const reply = await server.call('POST', `${path}?dryRun=All`, changed(object, change));
      const header = reply.headers['warning'] ?? '';
      const texts = Array.from(header.matchAll(WARNING), ([, text = '']) => JSON.parse(text) as string);
      got.push([change, reply.status === 201 ? texts : reply.body]);
    }
    expect(cases.length).toBeGreaterThan(0);
    expect(got).toEqual(cases);
  });

  it('is not warned of again what it left as it is', async () => {
    const { path, object } = WARNED['deploy']!;
    const spec = { template: { spec: { nodeSelector: { 'beta.kubernetes.io/os': 'linux' } } } };
    const made = await server.call('POST', path, changed(object, { metadata: { name: 'kept' }, spec }));
    expect(made.headers['warning']).toContain('beta.kubernetes.io/os');
    const labelled = { ...(made.body as JsonObject) };
    const relabel = changed(labelled, { metadata: { labels: { a: 'b' } } });
    expect((await server.call('PUT', `${path}/kept`, relabel)).headers['warning']).toBeUndefined();
    const { body: current } = await server.call('GET', `${path}/kept`);
    const scaled = await server.call('PUT', `${path}/kept`, changed(current, { spec: { replicas: 2 } }));
    expect(scaled.headers['warning']).toContain('beta.kubernetes.io/os');
  });
});
