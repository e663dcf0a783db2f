import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeFields, encodeFields } from '../../../src/api/server/apply/field-set.ts';
import { openTestServer, patchType, type TestReply, type TestServer } from './support.ts';

let test: TestServer;
beforeAll(async () => void (test = await openTestServer()));
afterAll(async () => await test[Symbol.asyncDispose]());

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';

function configuration(name: string, spec: object, metadata: object = {}): object {
  const template = {
    metadata: { labels: { app: name } },
    spec: { containers: [{ name: 'c', image: 'i:1', ports: [{ containerPort: 80 }] }] },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, ...metadata },
    spec: { selector: { matchLabels: { app: name } }, template, ...spec },
  };
}

const applyAs = (manager: string, name: string, body: object, query = ''): Promise<TestReply> =>
  test.call('PATCH', `${DEPLOYMENTS}/${name}?fieldManager=${manager}${query}`, body, patchType.apply);

interface Entry {
  manager: string;
  operation: string;
  subresource?: string;
  fieldsV1: object;
}
const managers = (reply: TestReply): string[] =>
  (reply.body.metadata.managedFields as Entry[]).map(
    ({ manager, operation, subresource }) => `${manager} ${operation}${subresource ? ` ${subresource}` : ''}`,
  );

describe('server-side apply', () => {
  it('creates with 201, then changes nothing with the same configuration', async () => {
    const first = await applyAs('m', 'a', configuration('a', { replicas: 2 }));
    expect(first.status).toBe(201);
    expect(managers(first)).toEqual(['m Apply']);
    const again = await applyAs('m', 'a', configuration('a', { replicas: 2 }));
    expect(again.status).toBe(200);
    expect(again.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
  });

  it('refuses to change what another manager owns, names it, and obeys force', async () => {
    await applyAs('one', 'b', configuration('b', { replicas: 2 }));
    const conflict = await applyAs('two', 'b', configuration('b', { replicas: 3 }));
    expect(conflict.status).toBe(409);
    expect(conflict.body).toMatchObject({
      reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "one": .spec.replicas',
      details: {
        causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.spec.replicas' }],
      },
    });
    const forced = await applyAs('two', 'b', configuration('b', { replicas: 3 }), '&force=true');
    expect(forced.body.spec.replicas).toBe(3);
    const one = (forced.body.metadata.managedFields as Entry[]).find((entry) => entry.manager === 'one');
    expect(one?.fieldsV1).not.toHaveProperty(['f:spec', 'f:replicas']);
  });

  it('shares a field with the same value and keeps it while one owner is left', async () => {
    await applyAs('one', 'c', configuration('c', { replicas: 2 }));
    expect((await applyAs('two', 'c', configuration('c', { replicas: 2 }))).status).toBe(200);
    const left = await applyAs('one', 'c', configuration('c', {}));
    expect(left.body.spec.replicas).toBe(2);
  });

  it('removes what is applied no more and nobody else owns; defaults come back', async () => {
    await applyAs('m', 'd', configuration('d', { replicas: 4 }, { labels: { x: 'y', z: 'w' } }));
    const next = await applyAs('m', 'd', configuration('d', {}, { labels: { x: 'y' } }));
    expect(next.body.spec.replicas).toBe(1);
    expect(next.body.metadata.labels).toEqual({ x: 'y' });
  });

  it('merges lists by their keys and removes an item of its own', async () => {
    const template = (containers: object[]): object => ({
      template: { metadata: { labels: { app: 'e' } }, spec: { containers } },
    });
    await applyAs(
      'm',
      'e',
      configuration(
        'e',
        template([
          { name: 'c', image: 'c:1' },
          { name: 'd', image: 'd:1' },
        ]),
      ),
    );
    const sidecar = {
      op: 'add',
      path: '/spec/template/spec/containers/-',
      value: { name: 's', image: 's:1' },
    };
    await test.call('PATCH', `${DEPLOYMENTS}/e?fieldManager=injector`, [sidecar], patchType.json);
    const next = await applyAs('m', 'e', configuration('e', template([{ name: 'c', image: 'c:2' }])));
    const containers = next.body.spec.template.spec.containers as { name: string; image: string }[];
    expect(containers.map(({ name, image }) => `${name} ${image}`)).toEqual(['c c:2', 's s:1']);
  });

  it('takes ownership away by a plain update, and by scale', async () => {
    await applyAs('m', 'f', configuration('f', { replicas: 2 }));
    const body = { spec: { replicas: 5 } };
    const scaled = await test.call('PATCH', `${DEPLOYMENTS}/f/scale?fieldManager=hpa`, body, patchType.merge);
    expect(scaled.body).toMatchObject({ kind: 'Scale', spec: { replicas: 5 } });
    const now = await test.call('GET', `${DEPLOYMENTS}/f`);
    expect(managers(now)).toContain('hpa Update scale');
    expect((await applyAs('m', 'f', configuration('f', { replicas: 2 }))).status).toBe(409);
  });

  it.each([
    ['no manager', '', configuration('g', {}), 422],
    ['managedFields in the body', 'm', configuration('g', {}, { managedFields: [{ manager: 'x' }] }), 400],
    ['another name', 'm', configuration('h', {}), 400],
    [
      'a list item without its key',
      'm',
      configuration('g', { template: { spec: { containers: [{ image: 'x' }] } } }),
      422,
    ],
    ['no kind', 'm', { apiVersion: 'apps/v1', metadata: { name: 'g' } }, 400],
  ])('refuses: %s', async (_name, manager, body, status) => {
    expect((await applyAs(manager, 'g', body)).status).toBe(status);
  });

  it.each([
    [{ foo: 1 }, '.spec.foo: field not declared in schema'],
    [{ replicas: '1' }, '.spec.replicas: expected numeric (int or float), got string'],
    [{ paused: 'yes' }, '.spec.paused: expected boolean, got &{yes}'],
    [{ selector: ['a'] }, '.spec.selector: expected map, got &{[a]}'],
    [{ template: { spec: { containers: { name: 'a' } } } }, '.containers: expected list, got &{map[name:a]}'],
    [
      { template: { spec: { containers: ['a'] } } },
      '.containers: element 0: associative list with keys may not have non-map elements',
    ],
    [
      { template: { spec: { containers: [{ name: 'a' }, { name: 'a' }] } } },
      '.containers: duplicate entries for key [name="a"]',
    ],
    [
      { template: { spec: { containers: [{ name: 'a', ports: [{ containerPort: 80, name: 1 }] }] } } },
      '.containers[name="a"].ports[containerPort=80,protocol="TCP"].name: expected string, got &value.valueUnstructured{Value:1}',
    ],
    [
      { template: { metadata: { labels: { a: { b: 'c' } } } }, foo: null },
      'errors:\n  .spec.template.metadata.labels.a: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"b":"c"}}\n  .spec.foo: field not declared in schema',
    ],
  ])('says in upstream’s words what cannot be merged: %j', async (spec, text) => {
    const { status, body } = await applyAs('m', 'g', configuration('g', spec));
    expect([status, body.reason]).toEqual([500, undefined]);
    const [, message] =
      /^failed to create typed patch object \(\S*\/g; apps\/v1, Kind=Deployment\): ([^]*)$/.exec(
        body.message,
      ) ?? ['', body.message];
    expect(message.replace('.spec.template.spec.containers', '.containers')).toBe(text);
  });

  it('folds the eleventh updater into ancient-changes', async () => {
    const url = '/api/v1/namespaces/default/configmaps';
    await test.call('POST', `${url}?fieldManager=m0`, { metadata: { name: 'many' }, data: { k0: '0' } });
    let reply: TestReply | undefined;
    for (let i = 1; i <= 12; i++) {
      const target = `${url}/many?fieldManager=m${i}`;
      reply = await test.call('PATCH', target, { data: { [`k${i}`]: '1' } }, patchType.merge);
    }
    const names = managers(reply!);
    expect(names.filter((name) => name.endsWith('Update'))).toHaveLength(10);
    expect(names).toContain('ancient-changes Update');
  });
});

describe('FieldsV1', () => {
  it('survives decoding and encoding', () => {
    const fields = {
      'f:spec': {
        'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:port': {} } },
        'f:set': { 'v:"a"': {} },
      },
    };
    expect(encodeFields(decodeFields(fields)!)).toEqual(fields);
  });

  it.each([[1], [{ 'x:y': {} }], [{ 'f:a': [] }], [{ 'f:a': 'b' }]])('refuses %j', (value) => {
    expect(decodeFields(value)).toBeUndefined();
  });
});
