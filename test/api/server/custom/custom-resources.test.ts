import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openMemoryStore } from '../../../../src/store/memory-store.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/log.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { openTestServer, patchType, type TestServer, watchFrames, MASTER } from '../support.ts';
import { define, DEFINITIONS, established, widget, widgetDefinition, WIDGETS } from './definitions.ts';

const SPEC = {
  size: { type: 'integer', minimum: 1, maximum: 10 },
  color: { type: 'string', enum: ['red', 'green'], default: 'red' },
  replicas: { type: 'integer', default: 1 },
  port: { 'x-kubernetes-int-or-string': true },
  note: { type: 'string', nullable: true },
  tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
  rules: {
    type: 'array',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
    items: {
      type: 'object',
      required: ['name'],
      properties: { name: { type: 'string' }, weight: { type: 'integer', default: 100 } },
    },
  },
  free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  labels: { type: 'object', additionalProperties: { type: 'string', maxLength: 5 } },
  choice: {
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'string' } },
    oneOf: [{ required: ['a'] }, { required: ['b'] }],
  },
  embedded: {
    type: 'object',
    'x-kubernetes-embedded-resource': true,
    'x-kubernetes-preserve-unknown-fields': true,
  },
};

const VERSION = {
  subresources: {
    status: {},
    scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
  },
  additionalPrinterColumns: [
    { name: 'Color', type: 'string', jsonPath: '.spec.color' },
    { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
    { name: 'Size', type: 'integer', jsonPath: '.spec.size', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  selectableFields: [{ jsonPath: '.spec.color' }],
  schema: {
    openAPIV3Schema: {
      type: 'object',
      required: ['spec'],
      properties: {
        spec: { type: 'object', properties: SPEC },
        status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
  },
};

describe('custom resources', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await openTestServer();
    await define(server.call, widgetDefinition({}, VERSION));
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const create = (name: string, spec: object, query = '', more: object = {}) =>
    server.call('POST', WIDGETS + query, widget(name, spec, more));

  it('are in discovery and OpenAPI as soon as their definition is established', async () => {
    const { body } = await server.call('GET', '/apis/example.com/v1');
    expect(body.resources.map((one: { name: string }) => one.name)).toEqual([
      'widgets',
      'widgets/scale',
      'widgets/status',
    ]);
    expect(body.resources[0]).toMatchObject({ shortNames: ['wd'], categories: ['all'], kind: 'Widget' });
    const index = await server.call('GET', '/openapi/v3');
    const target = index.body.paths['apis/example.com/v1'].serverRelativeURL;
    const document = await server.call('GET', target);
    const { schemas } = document.body.components;
    expect(schemas['com.example.v1.Widget'].properties.spec.properties.color.default).toBe('red');
    const patch = document.body.paths['/apis/example.com/v1/namespaces/{namespace}/widgets/{name}'].patch;
    expect(Object.keys(patch.requestBody.content)).not.toContain('application/strategic-merge-patch+json');
  });

  it('get defaults, deep ones too, and lose what the schema does not know', async () => {
    const { status, body } = await create('defaults', {
      note: null,
      unknown: 1,
      rules: [{ name: 'a', weight: null, more: true }],
      free: { kept: { deep: 1 } },
      embedded: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: { any: 1 } },
    });
    expect(status).toBe(201);
    expect(body.spec).toEqual({
      note: null,
      color: 'red',
      replicas: 1,
      rules: [{ name: 'a', weight: 100 }],
      free: { kept: { deep: 1 } },
      embedded: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: { any: 1 } },
    });
    expect(body.metadata.generation).toBe(1);
  });

  it('refuse unknown fields when asked to be strict', async () => {
    const { status, body } = await create('strict', { unknown: 1 }, '?fieldValidation=Strict');
    expect(status).toBe(400);
    expect(body.message).toContain('strict decoding error: unknown field "spec.unknown"');
  });

  const refused: readonly (readonly [name: string, spec: object, field: string, text: string])[] = [
    ['a wrong type', { size: 'big' }, 'spec.size', 'spec.size in body must be of type integer: "string"'],
    ['too small', { size: 0 }, 'spec.size', 'spec.size in body should be greater than or equal to 1'],
    ['too big', { size: 11 }, 'spec.size', 'spec.size in body should be less than or equal to 10'],
    [
      'not in the enum',
      { color: 'blue' },
      'spec.color',
      'Unsupported value: "blue": supported values: "red", "green"',
    ],
    ['no int-or-string', { port: true }, 'spec.port', 'must be of type integer,string: "boolean"'],
    ['a set with duplicates', { tags: ['a', 'b', 'a'] }, 'spec.tags[2]', 'Duplicate value: "a"'],
    [
      'a map with duplicates',
      { rules: [{ name: 'a' }, { name: 'a' }] },
      'spec.rules[1]',
      'Duplicate value: {"name":"a"}',
    ],
    ['a missing key', { rules: [{}] }, 'spec.rules[0].name', 'Required value'],
    [
      'a long map value',
      { labels: { k: 'too long' } },
      'spec.labels.k',
      'Too long: may not be more than 5 bytes',
    ],
    ['none of oneOf', { choice: {} }, 'spec.choice', '(oneOf). Found none valid'],
    ['both of oneOf', { choice: { a: '', b: '' } }, 'spec.choice', '(oneOf). Found 2 valid alternatives'],
    [
      'an embedded object without a kind',
      { embedded: { apiVersion: 'v1' } },
      'spec.embedded.kind',
      'must not be empty',
    ],
  ];
  it.each(refused)('are refused with %s', async (_name, spec, field, text) => {
    const { status, body } = await create('refused', spec);
    expect(status).toBe(422);
    expect(body.reason).toBe('Invalid');
    expect(body.details.causes[0].field).toBe(field);
    expect(body.details.causes[0].message).toContain(text);
  });

  it('say what is required at the root', async () => {
    const { body } = await server.call('POST', WIDGETS, widget('x', {}, { spec: undefined }));
    expect(body.message).toBe('Widget.example.com "x" is invalid: spec: Required value');
  });

  it('keep status apart and count generations', async () => {
    await create('apart', {}, '', { status: { replicas: 9 } });
    const before = await server.call('GET', `${WIDGETS}/apart`);
    expect(before.body.status).toBeUndefined();
    const status = await server.call(
      'PATCH',
      `${WIDGETS}/apart/status`,
      { status: { replicas: 3, conditions: [{ type: 'Ready', status: 'True' }] }, spec: { size: 7 } },
      patchType.merge,
    );
    expect(status.body.status.replicas).toBe(3);
    expect(status.body.spec.size).toBeUndefined();
    expect(status.body.metadata.generation).toBe(1);
    const main = await server.call('PATCH', `${WIDGETS}/apart`, { spec: { size: 7 } }, patchType.merge);
    expect(main.body.metadata.generation).toBe(2);
    expect(main.body.status.replicas).toBe(3);
  });

  it('scale through their own paths', async () => {
    await create('scaled', { replicas: 2 });
    const scale = await server.call('GET', `${WIDGETS}/scaled/scale`);
    expect(scale.body).toMatchObject({ kind: 'Scale', spec: { replicas: 2 } });
    await server.call('PATCH', `${WIDGETS}/scaled/scale`, { spec: { replicas: 5 } }, patchType.merge);
    expect((await server.call('GET', `${WIDGETS}/scaled`)).body.spec.replicas).toBe(5);
  });

  it('print the columns of their definition', async () => {
    const { body } = await server.call('GET', `${WIDGETS}/apart`, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    });
    const names = body.columnDefinitions.map((one: { name: string }) => one.name);
    expect(names).toEqual(['Name', 'Color', 'Ready', 'Size', 'Age']);
    expect(body.rows[0].cells.slice(0, 4)).toEqual(['apart', 'red', 'True', 7]);
    expect(body.rows[0].cells[4]).toMatch(/^\d+s$/);
  });

  it('are selected by the fields the definition names', async () => {
    await create('green', { color: 'green' });
    const { body } = await server.call('GET', `${WIDGETS}?fieldSelector=spec.color%3Dgreen`);
    expect(body.items.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual(['green']);
    const other = await server.call('GET', `${WIDGETS}?fieldSelector=spec.size%3D1`);
    expect(other.status).toBe(400);
  });

  it('are applied server-side, list maps item by item', async () => {
    const apply = (manager: string, spec: object) =>
      server.call(
        'PATCH',
        `${WIDGETS}/applied?fieldManager=${manager}`,
        widget('applied', spec),
        patchType.apply,
      );
    await apply('one', { rules: [{ name: 'a', weight: 1 }], size: 3 });
    const second = await apply('two', { rules: [{ name: 'b' }] });
    expect(second.body.spec.rules).toEqual([
      { name: 'a', weight: 1 },
      { name: 'b', weight: 100 },
    ]);
    const conflict = await apply('two', { size: 4 });
    expect(conflict.status).toBe(409);
    expect(conflict.body.details.causes[0].message).toBe('conflict with "one"');
  });

  it('must carry a resourceVersion in a PUT, take no strategic merge, tolerate what was wrong before', async () => {
    await create('plain', {});
    expect((await server.call('PUT', `${WIDGETS}/plain`, widget('plain', {}))).status).toBe(422);
    const strategic = await server.call('PATCH', `${WIDGETS}/plain`, {}, patchType.strategic);
    expect(strategic.status).toBe(415);
  });

  it('are watched', async () => {
    const abort = new AbortController();
    const frames = watchFrames(server.server.exchange(MASTER), `${WIDGETS}?watch=1`, abort.signal);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const frame of frames) {
        seen.push(`${frame.type} ${frame.object.metadata.name}`);
        if (frame.object.metadata.name === 'watched') return;
      }
    })();
    await create('watched', {});
    await reading;
    abort.abort();
    expect(seen).toContain('ADDED watched');
  });
});

describe('definitions', () => {
  const open = async (): Promise<TestServer> => await openTestServer();

  it('serve several versions of one stored object', async () => {
    await using server = await open();
    const schema = {
      openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    };
    const old = { name: 'v1beta1', served: true, storage: false, deprecated: true, schema };
    await define(
      server.call,
      widgetDefinition(
        {},
        { schema },
        { versions: [old, { name: 'v1', served: true, storage: true, schema }] },
      ),
    );
    const made = await server.call('POST', WIDGETS.replace('/v1/', '/v1beta1/'), {
      ...widget('two', { a: 1 }),
      apiVersion: 'example.com/v1beta1',
    });
    expect(made.status).toBe(201);
    expect(made.headers['warning']).toContain('example.com/v1beta1 Widget is deprecated');
    expect((await server.call('GET', `${WIDGETS}/two`)).body.apiVersion).toBe('example.com/v1');
    const group = await server.call('GET', '/apis/example.com');
    expect(group.body.preferredVersion.version).toBe('v1');
  });

  it('change what is served: new fields, new defaults, versions gone', async () => {
    await using server = await open();
    await define(server.call, widgetDefinition({ a: { type: 'string' } }));
    await server.call('POST', WIDGETS, widget('old', { a: 'x' }));
    const current = await server.call('GET', `${DEFINITIONS}/widgets.example.com`);
    const changed = structuredClone(current.body);
    changed.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.b = {
      type: 'string',
      default: 'later',
    };
    expect((await server.call('PUT', `${DEFINITIONS}/widgets.example.com`, changed)).status).toBe(200);
    await waitFor('the default on an old object', async () => {
      const { body } = await server.call('GET', `${WIDGETS}/old`);
      return body.spec.b === 'later';
    });
    const list = await server.call('GET', WIDGETS);
    expect(list.body.items[0].spec).toEqual({ a: 'x', b: 'later' });
  });

  it('take their objects with them, finalizers permitting', async () => {
    await using server = await open();
    await define(server.call, widgetDefinition({}));
    await server.call('POST', WIDGETS, widget('plain', {}));
    await server.call(
      'POST',
      WIDGETS,
      widget('held', {}, { metadata: { name: 'held', finalizers: ['x.io/y'] } }),
    );
    const deleted = await server.call('DELETE', `${DEFINITIONS}/widgets.example.com`);
    expect(deleted.body.metadata.finalizers).toEqual(['customresourcecleanup.apiextensions.k8s.io']);
    await waitFor('the plain object to go', async () => {
      return (await server.call('GET', `${WIDGETS}/plain`)).status === 404;
    });
    const late = await server.call('POST', WIDGETS, widget('late', {}));
    expect(late.status).toBe(405);
    expect((await server.call('GET', `${DEFINITIONS}/widgets.example.com`)).status).toBe(200);
    await server.call('PATCH', `${WIDGETS}/held`, { metadata: { finalizers: null } }, patchType.merge);
    await waitFor('the definition to go', async () => {
      return (await server.call('GET', `${DEFINITIONS}/widgets.example.com`)).status === 404;
    });
    await waitFor('the kind to be gone', async () => (await server.call('GET', WIDGETS)).status === 404);
    expect((await server.call('GET', '/apis/example.com')).status).toBe(404);
  });

  it('are not established when another one has their names', async () => {
    await using server = await open();
    await define(server.call, widgetDefinition({}));
    const other = widgetDefinition({}) as { metadata: { name: string }; spec: { names: object } };
    other.metadata.name = 'gadgets.example.com';
    other.spec.names = { plural: 'gadgets', kind: 'Widget' };
    await server.call('POST', DEFINITIONS, other);
    const found = await waitFor('conditions', async () => {
      const { body } = await server.call('GET', `${DEFINITIONS}/gadgets.example.com`);
      return body.status.conditions?.length > 0 && body.status.conditions;
    });
    expect(found[0]).toMatchObject({ type: 'NamesAccepted', status: 'False', reason: 'SingularConflict' });
    expect(found[1]).toMatchObject({ type: 'Established', status: 'False', reason: 'NotAccepted' });
    await server.call('DELETE', `${DEFINITIONS}/widgets.example.com`);
    await established(server.call, 'gadgets.example.com');
  });

  it('are served from the first request after a restart', async () => {
    const store = openMemoryStore({ clock: systemClock, log: silentLogger });
    {
      await using server = await openTestServer({}, { store });
      await define(server.call, widgetDefinition({}));
      await server.call('POST', WIDGETS, widget('kept', {}));
    }
    await using again = await openTestServer({}, { store });
    expect((await again.call('GET', `${WIDGETS}/kept`)).status).toBe(200);
    await store[Symbol.asyncDispose]();
  });
});
