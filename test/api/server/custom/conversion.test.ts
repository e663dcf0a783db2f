import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../../../support/wait-for.ts';
import { MASTER, openTestServer, patchType, type TestServer, watchFrames } from '../support.ts';
import { Webhook } from '../webhook.ts';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const at = (version: string, name = ''): string =>
  `/apis/example.com/${version}/namespaces/default/widgets${name && `/${name}`}`;

// oxlint-disable-next-line typescript/no-explicit-any
type Anything = any;

let server: TestServer;
let hook: Webhook;
let calls: { desired: string; count: number }[];
/** Changes what the webhook answers; the raw text instead when it gives one. */
let twist: (response: Anything) => string | void;

/** v1 has `spec.size` in millimetres, v2 `spec.length` as text with its unit. */
function converted(object: Anything, desired: string): Anything {
  const made = structuredClone(object);
  const size = object.spec.size ?? Number.parseInt(String(object.spec.length), 10);
  made.apiVersion = desired;
  made.spec = desired === 'example.com/v1' ? { size } : { length: `${size}mm` };
  return made;
}

beforeAll(async () => {
  hook = await Webhook.open((asked) => {
    const desired = asked.desiredAPIVersion as string;
    calls.push({ desired, count: asked.objects.length });
    const response = {
      uid: asked.uid,
      result: { status: 'Success' },
      convertedObjects: asked.objects.map((object: Anything) => converted(object, desired)),
    };
    const text = twist(response);
    return text ?? { kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1', response };
  });
});
afterAll(() => {
  hook[Symbol.dispose]();
});

const version = (name: string, properties: object): object => ({
  name,
  served: true,
  storage: name === 'v1',
  subresources: { status: {} },
  additionalPrinterColumns:
    name === 'v2' ? [{ name: 'Length', type: 'string', jsonPath: '.spec.length' }] : [],
  schema: {
    openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } },
  },
});

beforeAll(async () => {
  calls = [];
  twist = () => {};
  server = await openTestServer();
  const url = `https://127.0.0.1:${hook.port}/convert`;
  const made = await server.call('POST', DEFINITIONS, {
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [
        version('v1', { size: { type: 'integer' } }),
        version('v2', { length: { type: 'string', pattern: '^[0-9]+mm$' } }),
      ],
      conversion: {
        strategy: 'Webhook',
        webhook: { clientConfig: { url, caBundle: hook.caBundle }, conversionReviewVersions: ['v1'] },
      },
    },
  });
  expect(made.status).toBe(201);
  await waitFor('the kind', async () => (await server.call('GET', at('v2'))).status === 200);
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  twist = () => {};
  await server.call('DELETE', at('v1'));
  calls = [];
});

const widget = (name: string, length: number): object => ({
  kind: 'Widget',
  apiVersion: 'example.com/v2',
  metadata: { name, labels: { size: length > 10 ? 'big' : 'small' } },
  spec: { length: `${length}mm` },
});

describe('a conversion webhook', () => {
  it('stands between what is stored and what each version serves', async () => {
    const made = await server.call('POST', at('v2'), widget('a', 5));
    expect([made.status, made.body.apiVersion, made.body.spec]).toEqual([
      201,
      'example.com/v2',
      { length: '5mm' },
    ]);
    const one = await server.call('GET', at('v1', 'a'));
    expect([one.body.apiVersion, one.body.spec]).toEqual(['example.com/v1', { size: 5 }]);
    expect(one.body.metadata).toMatchObject({ uid: made.body.metadata.uid, generation: 1 });
    const two = await server.call('GET', at('v2', 'a'));
    expect(two.body).toEqual(made.body);
    // Once to store, once for the reply, once for all readers.
    await server.call('GET', at('v2', 'a'));
    expect(calls.map(({ desired }) => desired.slice(-2))).toEqual(['v1', 'v2', 'v2']);
  });

  it('is asked for a list at once, as table, too', async () => {
    for (const length of [1, 2, 30]) {
      await server.call('POST', at('v1'), {
        metadata: { name: `w${length}`, labels: { size: length > 10 ? 'big' : 'small' } },
        spec: { size: length },
      });
    }
    expect(calls).toEqual([]);
    const list = await server.call('GET', at('v2'));
    expect(list.body.items.map((one: Anything) => one.spec.length)).toEqual(['1mm', '2mm', '30mm']);
    expect(calls).toEqual([{ desired: 'example.com/v2', count: 3 }]);
    const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    const table = await server.call('GET', `${at('v2')}?labelSelector=size%3Dbig`, undefined, accept);
    expect(table.body.rows.map((row: Anything) => row.cells)).toEqual([['w30', '30mm']]);
    expect(calls).toHaveLength(1);
  });

  it('serves every way to write', async () => {
    await server.call('POST', at('v2'), widget('a', 5));
    const merge = await server.call('PATCH', at('v2', 'a'), { spec: { length: '6mm' } }, patchType.merge);
    expect(merge.body.spec).toEqual({ length: '6mm' });
    const put = { ...merge.body, spec: { length: '7mm' } };
    expect((await server.call('PUT', at('v2', 'a'), put)).body.spec).toEqual({ length: '7mm' });
    const applied = { kind: 'Widget', apiVersion: 'example.com/v2', spec: { length: '8mm' } };
    const path = `${at('v2', 'a')}?fieldManager=m&force=true`;
    expect((await server.call('PATCH', path, applied, patchType.apply)).status).toBe(200);
    expect((await server.call('GET', at('v1', 'a'))).body.spec).toEqual({ size: 8 });
    const wrong = await server.call('PATCH', at('v2', 'a'), { spec: { length: 'x' } }, patchType.merge);
    expect(wrong.status).toBe(422);
    const dry = await server.call('POST', `${at('v2')}?dryRun=All`, widget('b', 1));
    expect([dry.status, dry.body.spec]).toEqual([201, { length: '1mm' }]);
    expect((await server.call('DELETE', at('v2', 'a'))).status).toBe(200);
    expect((await server.call('GET', at('v1', 'a'))).status).toBe(404);
  });

  it('keeps the order of a watch, and bookmarks behind what is being converted', async () => {
    const { body } = await server.call('GET', at('v1'));
    const abort = new AbortController();
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion=${body.metadata.resourceVersion}`;
    const frames = watchFrames(server.server.exchange(MASTER), `${at('v2')}?${query}`, abort.signal);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { type, object } of frames) seen.push(`${type} ${object.spec?.length ?? ''}`.trim());
    })();
    for (const size of [1, 2, 3]) {
      await server.call(
        'PATCH',
        `${at('v1', 'w')}?fieldManager=m`,
        {
          kind: 'Widget',
          apiVersion: 'example.com/v1',
          spec: { size },
        },
        patchType.apply,
      );
    }
    await server.call('DELETE', at('v1', 'w'));
    await reading;
    expect(seen).toEqual(['ADDED 1mm', 'MODIFIED 2mm', 'MODIFIED 3mm', 'DELETED 3mm', 'BOOKMARK']);
  });

  it('that fails ends a watch with its error', async () => {
    await server.call('POST', at('v1'), { metadata: { name: 'a' }, spec: { size: 1 } });
    twist = () => 'nonsense';
    const frames = watchFrames(
      server.server.exchange(MASTER),
      `${at('v2')}?watch=1`,
      new AbortController().signal,
    );
    const first = await frames.next();
    expect(first.value).toMatchObject({ type: 'ERROR', object: { code: 500 } });
    expect((await frames.next()).done).toBe(true);
  });

  const wrong: [string, (response: Anything) => string | void, RegExp][] = [
    ['with no JSON', () => '<html>', /the reply is no JSON/],
    ['with another kind', () => '{"kind":"Pod"}', /expected the reply to be a ConversionReview/],
    ['to another question', (reply) => void (reply.uid = 'x'), /expected response.uid=/],
    [
      'that it cannot',
      (reply) => void (reply.result = { status: 'Failed', message: 'no such unit' }),
      /no such unit/,
    ],
    ['with too few objects', (reply) => void reply.convertedObjects.pop(), /returned 0 objects, expected 1/],
    [
      'in another version',
      (reply) => void (reply.convertedObjects[0].apiVersion = 'example.com/v3'),
      /invalid groupVersion \(expected: example.com\/v2, got: example.com\/v3\)/,
    ],
    [
      'with another kind of object',
      (reply) => void (reply.convertedObjects[0].kind = 'Gadget'),
      /invalid kind/,
    ],
    [
      'with another object',
      (reply) => void (reply.convertedObjects[0].metadata.name = 'b'),
      /must not change metadata.name/,
    ],
    ['with no object', (reply) => void (reply.convertedObjects[0] = 'x'), /it is no object/],
  ];
  it.each(wrong)(
    'that answers %s is told as 500, and the object stays what it was',
    async (_name, change, message) => {
      await server.call('POST', at('v1'), { metadata: { name: 'a' }, spec: { size: 1 } });
      twist = change;
      const reply = await server.call('GET', at('v2', 'a'));
      const start = 'conversion webhook for example.com/v1, Kind=Widget failed: ';
      expect([reply.status, reply.body.message.startsWith(start)]).toEqual([500, true]);
      expect(reply.body.message).toMatch(message);
      expect((await server.call('GET', at('v1', 'a'))).body.spec).toEqual({ size: 1 });
      expect((await server.call('POST', at('v2'), widget('c', 2))).status).toBe(500);
      expect((await server.call('GET', at('v1', 'c'))).status).toBe(404);
      twist = () => {};
      expect((await server.call('GET', at('v2', 'a'))).body.spec).toEqual({ length: '1mm' });
    },
  );

  it('changes labels and annotations, and no other metadata', async () => {
    await server.call('POST', at('v1'), { metadata: { name: 'a', finalizers: ['x/y'] }, spec: { size: 1 } });
    twist = (reply) => {
      const { metadata } = reply.convertedObjects[0];
      metadata.labels = { added: 'yes' };
      metadata.finalizers = [];
      metadata.generation = 99;
    };
    const { metadata } = (await server.call('GET', at('v2', 'a'))).body;
    expect(metadata).toMatchObject({ labels: { added: 'yes' }, finalizers: ['x/y'], generation: 1 });
    twist = () => {};
    await server.call('PATCH', at('v1', 'a'), { metadata: { finalizers: null } }, patchType.merge);
  });

  it('is not needed to take the definition away', async () => {
    await server.call('POST', at('v1'), { metadata: { name: 'a' }, spec: { size: 1 } });
    twist = () => 'nonsense';
    expect((await server.call('DELETE', `${DEFINITIONS}/widgets.example.com`)).status).toBe(200);
    const gone = async (): Promise<boolean> =>
      (await server.call('GET', `${DEFINITIONS}/widgets.example.com`)).status === 404;
    await waitFor('the definition to be gone', gone);
  });
});
