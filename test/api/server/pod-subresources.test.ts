import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, patchType, type TestServer } from './support.ts';

const PODS = '/api/v1/namespaces/default/pods';
let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const create = (name: string) =>
  server.call('POST', PODS, { metadata: { name }, spec: { containers: [{ name: 'c', image: 'i' }] } });

describe('pods/ephemeralcontainers', () => {
  const add = (name: string, container: object) =>
    server.call(
      'PATCH',
      `${PODS}/${name}/ephemeralcontainers`,
      { spec: { ephemeralContainers: [container] } },
      patchType.strategic,
    );

  it('adds debug containers and changes nothing else', async () => {
    await create('debugged');
    const { status, body } = await add('debugged', { name: 'd', image: 'busybox', targetContainerName: 'c' });
    expect(status).toBe(200);
    expect(body.spec.ephemeralContainers[0]).toMatchObject({ name: 'd', imagePullPolicy: 'Always' });
    expect(body.metadata.generation ?? 1).toBeGreaterThan(0);
    const second = await server.call(
      'PATCH',
      `${PODS}/debugged/ephemeralcontainers`,
      { spec: { ephemeralContainers: [{ name: 'e', image: 'x' }], nodeName: 'sneaky' } },
      patchType.strategic,
    );
    expect(second.body.spec.ephemeralContainers).toHaveLength(2);
    expect(second.body.spec.nodeName).toBeUndefined();
  });

  it('refuses names that are taken, and to change or take away', async () => {
    await create('kept');
    expect((await add('kept', { name: 'c', image: 'x' })).body.message).toContain(
      'must be unique among all containers',
    );
    await add('kept', { name: 'd', image: 'x' });
    expect((await add('kept', { name: 'd', image: 'other' })).body.message).toContain('may not be changed');
    const gone = await server.call(
      'PATCH',
      `${PODS}/kept/ephemeralcontainers`,
      { spec: { ephemeralContainers: null } },
      patchType.merge,
    );
    expect([gone.status, gone.body.message]).toEqual([
      422,
      'Pod "kept" is invalid: spec.ephemeralContainers: Forbidden: existing ephemeral containers "d" may not be removed',
    ]);
  });
});

describe('pods/resize', () => {
  it('changes resources and nothing else', async () => {
    await create('resized');
    const { status, body } = await server.call(
      'PATCH',
      `${PODS}/resized/resize`,
      { spec: { containers: [{ name: 'c', image: 'other', resources: { requests: { cpu: '100m' } } }] } },
      patchType.strategic,
    );
    expect(status).toBe(200);
    expect(body.spec.containers[0]).toMatchObject({ image: 'i', resources: { requests: { cpu: '100m' } } });
    expect((await server.call('GET', `${PODS}/resized/resize`)).body.kind).toBe('Pod');
    expect((await server.call('DELETE', `${PODS}/resized/resize`)).status).toBe(405);
  });
});

describe('bindings', () => {
  it('may be posted to their old collection', async () => {
    await create('bound');
    const made = await server.call('POST', '/api/v1/namespaces/default/bindings', {
      kind: 'Binding',
      apiVersion: 'v1',
      metadata: { name: 'bound' },
      target: { kind: 'Node', name: 'n1' },
    });
    expect(made.status).toBe(201);
    expect((await server.call('GET', `${PODS}/bound`)).body.spec.nodeName).toBe('n1');
  });
});
