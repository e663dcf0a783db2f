import fc from 'fast-check';
import { request as httpsRequest } from 'node:https';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeEnvelope, encodeMessage } from '../../../support/protobuf-encoder.ts';
import { define, widget, widgetDefinition, WIDGETS } from '../custom/definitions.ts';
import { openTestServer, patchType, type TestServer } from '../support.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const PROTOBUF = { 'content-type': 'application/vnd.kubernetes.protobuf' };
const YAML = { 'content-type': 'application/yaml' };

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer({ listen: { host: '127.0.0.1', port: 0 } });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Whatever came, the next request is answered. */
async function healthy(): Promise<void> {
  expect((await server.call('GET', '/readyz')).status).toBe(200);
}

const text = (name: string, data = '{}'): string =>
  `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"${name}"},"data":${data}}`;
const nested = (open: string, close: string, depth: number): string =>
  open.repeat(depth) + close.repeat(depth);
const bomb = (): string => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 12; level++) {
    const aliases = Array.from({ length: 9 }, () => `*a${level - 1}`).join(', ');
    lines.push(`a${level}: &a${level} [${aliases}]`);
  }
  return `kind: ConfigMap\napiVersion: v1\nmetadata: {name: bomb}\n${lines.join('\n')}\n`;
};

describe('bodies', () => {
  const refused: readonly (readonly [
    name: string,
    body: string | Uint8Array,
    headers: Record<string, string>,
    message: RegExp,
  ])[] = [
    ['nothing', '', {}, /unexpected end of JSON input \(<empty>\)/],
    ['truncated JSON', text('x').slice(0, -5), {}, /unexpected end of JSON input/],
    ['two documents', `${text('x')}${text('y')}`, {}, /invalid character '{' after top-level value/],
    ['a list', '[1]', {}, /cannot unmarshal|json parse error/],
    ['a string', '"x"', {}, /json parse error/],
    ['deep JSON', text('x', nested('{"a":', '1', 0) + nested('[', ']', 100_000)), {}, /exceeded max depth/],
    [
      'deep metadata',
      `{"kind":"ConfigMap","apiVersion":"v1","metadata":${nested('{"a":', '}', 5_000).replace('}', '1}')}}`,
      {},
      /exceeded max depth/,
    ],
    ['deep YAML', `a: ${nested('[', ']', 10_000)}`, YAML, /yaml:/],
    ['a YAML bomb', bomb(), YAML, /yaml:/],
    ['YAML that is none', 'a: [', YAML, /yaml:/],
    [
      'no UTF-8',
      Buffer.concat([Buffer.from(text('x').slice(0, -2)), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
      {},
      /not valid UTF-8/,
    ],
    [
      'another kind',
      text('x').replace('ConfigMap', 'Secret'),
      {},
      /Secret in version "v1" cannot be handled as a ConfigMap: converting/,
    ],
    [
      'metadata that is none',
      '{"kind":"ConfigMap","apiVersion":"v1","metadata":7}',
      {},
      /cannot unmarshal number into Go struct field ConfigMap.metadata/,
    ],
    ['numbers for text', text('x', '{"a":1}'), {}, /cannot unmarshal number into Go struct field|string/],
    ['protobuf without its mark', 'xyz', PROTOBUF, /.+/],
    ['protobuf cut short', Buffer.from('k8s\0\x0a\x7f'), PROTOBUF, /.+/],
    [
      'a protobuf length of 4 GiB',
      Buffer.from([0x6b, 0x38, 0x73, 0, 0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      PROTOBUF,
      /.+/,
    ],
    [
      'an endless varint',
      Buffer.from([0x6b, 0x38, 0x73, 0, ...Array.from({ length: 30 }, () => 0xff)]),
      PROTOBUF,
      /.+/,
    ],
  ];
  it.each(refused)('%s: 400', async (_name, body, headers, message) => {
    const reply = await server.call('POST', MAPS, body, headers);
    expect(reply.body).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'BadRequest', code: 400 });
    expect(reply.body.message).toMatch(message);
    await healthy();
  });

  it('of unknown types: 415 with what is accepted', async () => {
    const reply = await server.call('POST', MAPS, text('x'), { 'content-type': 'text/plain' });
    expect([reply.status, reply.body.reason]).toEqual([415, 'UnsupportedMediaType']);
    expect(reply.body.message).toContain('accepted media types include: application/json');
  });

  it('with duplicate fields are told or refused as asked', async () => {
    const body =
      '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"twice"},"data":{"a":"1","a":"2"}}';
    const strict = await server.call('POST', `${MAPS}?fieldValidation=Strict`, body);
    expect([strict.status, strict.body.message]).toEqual([
      400,
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.a"',
    ]);
    const warned = await server.call('POST', `${MAPS}?dryRun=All`, body);
    expect([warned.status, warned.headers['warning']]).toEqual([201, '299 - "duplicate field \\"data.a\\""']);
  });

  it('named __proto__ and constructor are data', async () => {
    const reply = await server.call(
      'POST',
      `${MAPS}?dryRun=All`,
      text('p', '{"__proto__":"x","constructor":"y"}'),
    );
    expect([reply.status, JSON.parse(reply.text).data.constructor]).toEqual([201, 'y']);
    expect(reply.text).toContain('"__proto__":"x"');
    const labels = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"p2","annotations":{"constructor":"y"},"__proto__":{"name":"z"}}}`;
    expect((await server.call('POST', `${MAPS}?dryRun=All`, labels)).body.metadata.name).toBe('p2');
    expect(({} as Record<string, unknown>)['name']).toBeUndefined();
  });

  it('above 3 MiB: 413, with a length or without', async () => {
    const big = text('big', `{"a":"${'x'.repeat(3 * 1024 * 1024)}"}`);
    const reply = await server.call('POST', MAPS, big);
    expect([reply.status, reply.body.reason]).toEqual([413, 'RequestEntityTooLarge']);
    for (const headers of [
      { 'content-length': Buffer.byteLength(big) },
      { 'transfer-encoding': 'chunked' },
    ]) {
      expect(await posted(big, headers)).toBe(413);
    }
    await healthy();
  });

  async function posted(body: string, headers: Record<string, string | number>): Promise<number | undefined> {
    const pem = (name: string): string =>
      Buffer.from(
        new RegExp(`${name}: (\\S+)`).exec(server.server.adminKubeconfig)?.[1] ?? '',
        'base64',
      ).toString();
    const [host, port] = (server.server.address ?? '').split(':');
    const request = httpsRequest({
      host,
      port: Number(port),
      path: MAPS,
      method: 'POST',
      ca: server.server.caPem,
      key: pem('client-key-data'),
      cert: pem('client-certificate-data'),
      headers: { 'content-type': 'application/json', ...headers },
      agent: false,
    });
    request.on('error', () => {});
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    request.destroy();
    return response.statusCode;
  }

  it('of protobuf, cut or flipped anywhere, are read or refused, never more', async () => {
    const raw = encodeMessage(
      { metadata: { name: 'pb', labels: { a: 'b' } }, data: { k: 'v' }, binaryData: { b: 'AQID' } },
      'core/v1.ConfigMap',
    );
    const whole = encodeEnvelope('v1', 'ConfigMap', raw);
    expect((await server.call('POST', `${MAPS}?dryRun=All`, whole, PROTOBUF)).status).toBe(201);
    for (let length = 0; length < whole.length; length++) {
      const { status } = await server.call('POST', `${MAPS}?dryRun=All`, whole.slice(0, length), PROTOBUF);
      expect([201, 400, 422]).toContain(status);
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), async (at, byte) => {
        const flipped = Uint8Array.from(whole);
        flipped[at] = byte;
        const { status } = await server.call('POST', `${MAPS}?dryRun=All`, flipped, PROTOBUF);
        expect([201, 400, 404, 422]).toContain(status);
      }),
      { numRuns: 300 },
    );
  });
});

describe('patches', () => {
  beforeAll(async () => {
    await server.call('POST', MAPS, text('patched', '{"a":"1"}'));
  });
  const patch = (body: unknown, type: Readonly<Record<string, string>>) =>
    server.call('PATCH', `${MAPS}/patched`, body, type);

  it('of 10,001 operations: 413; of 10,000 they are done', async () => {
    const operations = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/data/a', value: '1' }));
    const reply = await patch(operations, patchType.json);
    expect([reply.status, reply.body.reason]).toEqual([413, 'RequestEntityTooLarge']);
    expect((await patch(operations.slice(1), patchType.json)).status).toBe(200);
  });

  it('that copy until memory is full are stopped by the size of the result', async () => {
    const grow = Array.from({ length: 60 }, (_, index) => ({
      op: 'copy',
      from: '/data',
      path: `/metadata/annotations/a${index}`,
    }));
    const reply = await patch(
      [{ op: 'add', path: '/metadata/annotations', value: {} }, ...grow],
      patchType.json,
    );
    expect(reply.status).toBeGreaterThanOrEqual(400);
    const doubling = Array.from({ length: 40 }, (_, index) => ({
      op: 'copy',
      from: '/data',
      path: `/data/d${index}`,
    }));
    const doubled = await patch(doubling, patchType.json);
    expect(doubled.status).toBeGreaterThanOrEqual(400);
    expect(doubled.status).toBeLessThan(500);
    await healthy();
  });

  const wrong: readonly (readonly [
    name: string,
    body: unknown,
    type: Readonly<Record<string, string>>,
    status: number,
  ])[] = [
    ['a test that fails', [{ op: 'test', path: '/data/a', value: '2' }], patchType.json, 422],
    ['a path that is missing', [{ op: 'remove', path: '/data/none' }], patchType.json, 422],
    ['an unknown operation', [{ op: 'explode', path: '/data' }], patchType.json, 422],
    ['no list', {}, patchType.json, 400],
    ['no object', [], patchType.merge, 400],
    ['a name that changes', { metadata: { name: 'other' } }, patchType.merge, 400],
    ['a namespace that changes', { metadata: { namespace: 'other' } }, patchType.merge, 400],
    ['a wrong revision', { metadata: { resourceVersion: '1' } }, patchType.merge, 409],
    ['a foreign uid', { metadata: { uid: 'x' } }, patchType.merge, 409],
    ['an unknown directive', { data: { $patch: 'explode' } }, patchType.strategic, 400],
    ['no manager', { kind: 'ConfigMap', apiVersion: 'v1' }, patchType.apply, 422],
    ['a media type of its own', {}, { 'content-type': 'application/x-patch' }, 415],
    ['an applied bomb', bomb(), patchType.apply, 422],
  ];
  it.each(wrong)('with %s', async (_name, body, type, status) => {
    const reply = await patch(body, type);
    expect([reply.status, reply.body.kind]).toEqual([status, 'Status']);
    await healthy();
  });
});

describe('what costs much', () => {
  it('patterns of a definition run in linear time', async () => {
    const properties = {
      name: { type: 'string', pattern: '^(a+)+$' },
      list: { type: 'array', items: { type: 'string', pattern: '(x+x+)+y' } },
    };
    await define(server.call, widgetDefinition(properties));
    const reply = await server.call(
      'POST',
      WIDGETS,
      widget('w', { name: `${'a'.repeat(100_000)}b`, list: ['x'.repeat(100_000)] }),
    );
    expect(reply.status).toBe(422);
    expect(reply.body.details.causes).toHaveLength(2);
    const explosive = widgetDefinition({ a: { type: 'string', pattern: '((a{1000}){1000}){1000}' } });
    const refused = await server.call(
      'POST',
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All',
      explosive,
    );
    expect(refused.body.message).toContain('must be a valid regular expression');
  });

  it('definitions nested too deep are refused', async () => {
    let schema: object = { type: 'string' };
    for (let depth = 0; depth < 200; depth++) schema = { type: 'object', properties: { a: schema } };
    const reply = await server.call(
      'POST',
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
      widgetDefinition({ deep: schema }),
    );
    expect(reply.status).toBe(422);
    expect(reply.body.message).toContain('must not nest deeper than');
  });

  it('selectors too long are refused', async () => {
    const many = Array.from({ length: 2_000 }, (_, index) => `l${index}=x`).join(',');
    const reply = await server.call('GET', `${MAPS}?labelSelector=${encodeURIComponent(many)}`);
    expect([reply.status, reply.body.reason]).toEqual([400, 'BadRequest']);
  });

  it('errors of one object are told up to a bound', async () => {
    const list = Array.from({ length: 5_000 }, () => 'no');
    const reply = await server.call('POST', WIDGETS, widget('many', { list }));
    expect(reply.status).toBe(422);
    expect(reply.body.details.causes.length).toBeLessThanOrEqual(101);
  });
});
