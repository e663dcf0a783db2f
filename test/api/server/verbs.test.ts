import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MASTER, openTestServer, patchType, type TestServer, watchFrames } from './support.ts';

let test: TestServer;
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
beforeAll(async () => void (test = await openTestServer({ advertise: '127.0.0.1:6443' })));
afterAll(async () => await test[Symbol.asyncDispose]());

const make = (name: string, extra: object = {}) =>
  test.call('POST', CONFIG_MAPS, { metadata: { name, ...extra }, data: { v: '1' } });

describe('writes', () => {
  it('refuses a second object of one name and a missing namespace with the exact Status', async () => {
    await make('twice');
    const again = await make('twice');
    expect(again.body).toMatchObject({
      status: 'Failure',
      code: 409,
      reason: 'AlreadyExists',
      message: 'configmaps "twice" already exists',
      details: { name: 'twice', kind: 'configmaps' },
    });
    const lost = await test.call('POST', '/api/v1/namespaces/nowhere/configmaps', {
      metadata: { name: 'x' },
    });
    expect(lost.body).toMatchObject({ code: 404, message: 'namespaces "nowhere" not found' });
  });

  it('makes what a PUT does not find, but never an object that is gone again', async () => {
    const path = '/api/v1/namespaces/default/endpoints/put';
    const body = { metadata: { name: 'put' }, subsets: [] };
    const made = await test.call('PUT', path, body);
    expect(made.status).toBe(201);
    expect((await test.call('DELETE', path)).status).toBe(200);
    const again = await test.call('PUT', path, made.body);
    expect([again.status, again.body.reason]).toEqual([409, 'Conflict']);
    const { resourceVersion } = made.body.metadata;
    const fresh = await test.call('PUT', path, { ...body, metadata: { name: 'put', resourceVersion } });
    expect(fresh.status).toBe(201);
    expect((await test.call('PUT', `${CONFIG_MAPS}/put`, { metadata: { name: 'put' } })).status).toBe(404);
  });

  it('compares revisions on PUT and stores nothing for a PUT without a change', async () => {
    const { body } = await make('cas');
    const changed = await test.call('PUT', `${CONFIG_MAPS}/cas`, { ...body, data: { v: '2' } });
    expect(changed.status).toBe(200);
    const stale = await test.call('PUT', `${CONFIG_MAPS}/cas`, { ...body, data: { v: '3' } });
    expect(stale.body).toMatchObject({
      code: 409,
      message:
        'Operation cannot be fulfilled on configmaps "cas": the object has been modified; please apply your changes to the latest version and try again',
    });
    const same = await test.call('PUT', `${CONFIG_MAPS}/cas`, changed.body);
    expect(same.body.metadata.resourceVersion).toBe(changed.body.metadata.resourceVersion);
  });

  it('keeps every increment of concurrent patches', async () => {
    await make('race');
    const patches = Array.from({ length: 20 }, (_, i) =>
      test.call('PATCH', `${CONFIG_MAPS}/race`, { data: { [`k${i}`]: 'x' } }, patchType.merge),
    );
    const statuses = (await Promise.all(patches)).map((reply) => reply.status);
    const stored = await test.call('GET', `${CONFIG_MAPS}/race`);
    const count = Object.keys(stored.body.data as object).length - 1;
    expect(count).toBe(statuses.filter((status) => status === 200).length);
    expect(count).toBeGreaterThan(0);
  });

  it('generates names, and a dry run leaves nothing', async () => {
    const made = await test.call('POST', `${CONFIG_MAPS}?dryRun=All`, { metadata: { generateName: 'gen-' } });
    expect(made.status).toBe(201);
    expect(made.body.metadata.name).toMatch(/^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    expect((await test.call('GET', `${CONFIG_MAPS}/${made.body.metadata.name}`)).status).toBe(404);
  });

  it('tells, refuses or ignores unknown fields as asked', async () => {
    const body = { metadata: { name: 'strict' }, dat: {} };
    const strict = await test.call('POST', `${CONFIG_MAPS}?fieldValidation=Strict`, body);
    expect(strict.body.message).toBe(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dat"',
    );
    const warned = await test.call('POST', CONFIG_MAPS, body);
    expect(warned.headers['warning']).toBe('299 - "unknown field \\"dat\\""');
  });

  it('holds an object with finalizers until the last one is gone', async () => {
    await make('held', { finalizers: ['example.com/x'] });
    const marked = await test.call('DELETE', `${CONFIG_MAPS}/held`);
    expect(marked.body.metadata.deletionTimestamp).toBeTruthy();
    const more = { metadata: { finalizers: ['example.com/x', 'example.com/y'] } };
    expect((await test.call('PATCH', `${CONFIG_MAPS}/held`, more, patchType.merge)).status).toBe(422);
    await test.call('PATCH', `${CONFIG_MAPS}/held`, { metadata: { finalizers: null } }, patchType.merge);
    expect((await test.call('GET', `${CONFIG_MAPS}/held`)).status).toBe(404);
  });

  it.each([
    ['not JSON', '{"a":', {}, 400],
    ['not UTF-8', new Uint8Array([0x22, 0xff, 0x22]), {}, 400],
    ['too large', new Uint8Array(3 * 1024 * 1024 + 1), {}, 413],
    ['another kind', { kind: 'Secret', apiVersion: 'v1' }, {}, 400],
    ['unknown media type', 'x', { 'content-type': 'text/html' }, 415],
    ['deep nesting', `${'['.repeat(2000)}${']'.repeat(2000)}`, {}, 400],
  ])('refuses a body: %s', async (_name, body, headers, status) => {
    const reply = await test.call('POST', CONFIG_MAPS, body, headers);
    expect(reply.status).toBe(status);
    expect(reply.body.kind).toBe('Status');
  });

  it.each(['/api/v1/namespaces/../secrets', '/api/v1/namespaces/a%2fb/pods', '/api/v1/%zz'])(
    'refuses the path %s',
    async (path) => expect((await test.call('GET', path)).status).toBe(400),
  );
});

describe('lists', () => {
  it('pages at one revision although objects come and go', async () => {
    const base = '/api/v1/namespaces/kube-public/configmaps';
    for (const name of ['p1', 'p2', 'p3', 'p4']) await test.call('POST', base, { metadata: { name } });
    const first = await test.call('GET', `${base}?limit=2`);
    const names = (reply: typeof first): string[] =>
      (reply.body.items as { metadata: { name: string } }[]).map((item) => item.metadata.name);
    await test.call('DELETE', `${base}/p4`);
    await test.call('POST', base, { metadata: { name: 'p5' } });
    const token = encodeURIComponent(first.body.metadata.continue as string);
    const rest = await test.call('GET', `${base}?limit=10&continue=${token}`);
    expect([...names(first), ...names(rest)]).toEqual(['kube-root-ca.crt', 'p1', 'p2', 'p3', 'p4']);
    expect(rest.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
  });

  it.each([
    ['labelSelector=app%20in%20(a)', ['sel-a']],
    ['labelSelector=app,app!=a', ['sel-b']],
    ['fieldSelector=metadata.name%3Dsel-b', ['sel-b']],
  ])('selects by %s', async (query, expected) => {
    await make('sel-a', { labels: { app: 'a' } });
    await make('sel-b', { labels: { app: 'b' } });
    const reply = await test.call('GET', `${CONFIG_MAPS}?${query}`);
    expect((reply.body.items as { metadata: { name: string } }[]).map((item) => item.metadata.name)).toEqual(
      expected,
    );
  });

  it.each([
    ['resourceVersionMatch=Exact', 422],
    ['resourceVersionMatch=Sometimes&resourceVersion=1', 422],
    ['sendInitialEvents=true', 422],
    ['fieldSelector=spec.foo%3Dx', 400],
    ['labelSelector=%21%21', 400],
    ['continue=nonsense', 400],
    ['resourceVersion=abc', 400],
    ['resourceVersion=999999999', 504],
  ])('refuses %s with %i', async (query, status) => {
    expect((await test.call('GET', `${CONFIG_MAPS}?${query}`)).status).toBe(status);
  });

  it('prints tables', async () => {
    const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    const { body } = await test.call('GET', '/api/v1/namespaces/default/services', undefined, accept);
    expect(body.kind).toBe('Table');
    expect(body.rows[0].cells.slice(0, 5)).toEqual([
      'kubernetes',
      'ClusterIP',
      '10.96.0.1',
      '<none>',
      '443/TCP',
    ]);
  });
});

describe('watches', () => {
  it('sends the present, the end mark, then changes, and turns selector moves into ADDED and DELETED', async () => {
    const base = '/api/v1/namespaces/kube-system/configmaps';
    await test.call('POST', base, { metadata: { name: 'w1', labels: { on: 'yes' } } });
    const abort = new AbortController();
    const query =
      'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=on';
    const frames = watchFrames(test.server.exchange(MASTER), `${base}?${query}`, abort.signal);
    const next = async (): Promise<string> => {
      const { value } = await frames.next();
      return `${value.type} ${value.object.metadata.name ?? ''}`.trim();
    };
    expect(await next()).toBe('ADDED w1');
    const { value: end } = await frames.next();
    expect(end.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
    await test.call('POST', base, { metadata: { name: 'w2' } });
    await test.call('PATCH', `${base}/w2`, { metadata: { labels: { on: 'x' } } }, patchType.merge);
    expect(await next()).toBe('ADDED w2');
    await test.call('PATCH', `${base}/w2`, { data: { a: 'b' } }, patchType.merge);
    expect(await next()).toBe('MODIFIED w2');
    await test.call('PATCH', `${base}/w2`, { metadata: { labels: null } }, patchType.merge);
    expect(await next()).toBe('DELETED w2');
    await test.call('DELETE', `${base}/w1`);
    const { value: gone } = await frames.next();
    expect(gone.type).toBe('DELETED');
    const { body } = await test.call('GET', base);
    expect(gone.object.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
    abort.abort();
  });

  it('resumes from a revision without a gap', async () => {
    const from = (await test.call('GET', CONFIG_MAPS)).body.metadata.resourceVersion as string;
    await make('r1');
    await make('r2');
    const abort = new AbortController();
    const target = `${CONFIG_MAPS}?watch=1&resourceVersion=${from}`;
    const frames = watchFrames(test.server.exchange(MASTER), target, abort.signal);
    expect((await frames.next()).value.object.metadata.name).toBe('r1');
    expect((await frames.next()).value.object.metadata.name).toBe('r2');
    abort.abort();
  });
});

describe('services', () => {
  const SERVICES = '/api/v1/namespaces/default/services';
  const service = (name: string, spec: object) => test.call('POST', SERVICES, { metadata: { name }, spec });
  const ports = [{ port: 80 }];

  it('allocates above the static band and says why an address cannot be had', async () => {
    const { body } = await service('auto', { ports });
    const [, , third = 0, fourth = 0] = (body.spec.clusterIP as string).split('.').map(Number);
    expect(third * 256 + fourth).toBeGreaterThan(256);
    const fixed = await service('fixed', { ports, clusterIP: '10.96.0.10' });
    expect(fixed.status).toBe(201);
    const taken = await service('taken', { ports, clusterIP: '10.96.0.10' });
    expect(taken.body.message).toContain(
      'failed to allocate IP 10.96.0.10: provided IP is already allocated',
    );
    const outside = await service('outside', { ports, clusterIP: '10.0.0.1' });
    expect(outside.body.message).toContain(
      'failed to allocate IP 10.0.0.1: the provided network does not match the current range',
    );
    await test.call('DELETE', `${SERVICES}/fixed`);
    expect((await service('again', { ports, clusterIP: '10.96.0.10' })).status).toBe(201);
  });

  it('allocates node ports, once each, and keeps addresses that an update leaves out', async () => {
    const { body } = await service('np', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }] });
    expect(body.spec.ports[0].nodePort).toBe(30_080);
    const taken = await service('np2', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }] });
    expect(taken.body.message).toContain(
      'spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated',
    );
    const low = await service('np3', { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] });
    expect(low.body.message).toContain(
      'provided port is not in the valid range. The range of valid ports is 30000-32767',
    );
    const put = await test.call('PUT', `${SERVICES}/np`, {
      metadata: { name: 'np' },
      spec: { type: 'NodePort', ports },
    });
    expect(put.body.spec.clusterIP).toBe(body.spec.clusterIP);
    expect(put.body.spec.ports[0].nodePort).toBe(30_080);
  });
});
