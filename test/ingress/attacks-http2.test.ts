import http2 from 'node:http2';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { ask } from './support/client.ts';
import { block, Frame, frame, FrameClient, plainRequest } from './support/frames.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** HTTP/2 clients that lie or flood (RFC 9113 sections 8.1 to 8.3 and 10.5; CVE-2023-44487, CVE-2024-27983). */
let backend: Backend;
let rig: Rig;

beforeAll(async () => {
  backend = await Backend.open();
  rig = await Rig.open([...service('web', backend.endpoint), ingress()]);
});

beforeEach(() => {
  backend.received.length = 0;
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

const END_STREAM = 1;
const END_HEADERS = 4;
const DEADLINE_MS = 20_000;

const goneOrReset = (client: FrameClient, stream: number): boolean =>
  client.closed ||
  client.of(Frame.GOAWAY).length > 0 ||
  client.of(Frame.RST_STREAM, stream).length > 0 ||
  client.of(Frame.HEADERS, stream).length > 0;

describe('requests that would be two in HTTP/1.1', () => {
  const rows: readonly [string, readonly (readonly [string, string])[]][] = [
    ['transfer-encoding', [...plainRequest(), ['transfer-encoding', 'chunked']]],
    ['connection', [...plainRequest(), ['connection', 'x']]],
    ['upgrade', [...plainRequest(), ['upgrade', 'websocket']]],
    ['te other than trailers', [...plainRequest(), ['te', 'gzip']]],
    ['an upper-case name', [...plainRequest(), ['X-A', '1']]],
    ['CR LF in the path', plainRequest('/ HTTP/1.1\r\nHost: evil\r\n\r\n')],
    ['a space in the path', plainRequest('/a b')],
    ['an empty path', plainRequest('')],
    ['a path without a slash', plainRequest('web')],
    ['CR LF in the method', plainRequest('/', 'GET / HTTP/1.1\r\nX: y')],
    ['two paths', [...plainRequest(), [':path', '/two']]],
    ['a pseudo field after a field', [['x-a', '1'], ...plainRequest()]],
    ['an unknown pseudo field', [...plainRequest(), [':evil', '1']]],
    ['authority and Host that differ', [...plainRequest(), ['host', 'shop.test']]],
    ['a user in the authority', [...plainRequest().slice(0, 3), [':authority', 'a@web.test']]],
    ['content-length with a sign', [...plainRequest(), ['content-length', '+1']]],
    ['two content-lengths', [...plainRequest(), ['content-length', '0'], ['content-length', '5']]],
    ['content-length without a body', [...plainRequest(), ['content-length', '5']]],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'web.test:80'],
      ],
    ],
    ['a method in small letters', plainRequest('/', 'get')],
    ['an unknown :protocol', [...plainRequest('/', 'CONNECT'), [':protocol', 'tcp']]],
  ];
  test.for(rows)('%s', async ([, fields]) => {
    using client = new FrameClient(rig.http);
    client.send(frame(Frame.HEADERS, END_STREAM | END_HEADERS, 1, block(...fields)));
    await waitFor('a refusal', () => goneOrReset(client, 1), DEADLINE_MS);
    expect(backend.received).toEqual([]);
  });

  test.for([
    ['CR LF in a value', 'x-a', 'a\r\nx-b: c'],
    ['NUL in a value', 'x-a', 'a\0b'],
    ['CR LF in a name', 'x-a\r\nx-b', 'c'],
    ['a colon in a name', 'x:a', 'c'],
    ['a space in a name', 'x a', 'c'],
  ] as const)('%s: nothing of the field arrives', async ([, name, value]) => {
    using client = new FrameClient(rig.http);
    client.send(frame(Frame.HEADERS, END_STREAM | END_HEADERS, 1, block(...plainRequest(), [name, value])));
    await waitFor('an answer', () => goneOrReset(client, 1), DEADLINE_MS);
    for (const { rawHeaders } of backend.received)
      expect(
        rawHeaders.filter((each) => /^x[^-]?-?[ab]/i.test(each) && !/^x-(real|request|forw|sch)/i.test(each)),
      ).toEqual([]);
  });

  test('DATA longer than content-length', async () => {
    using client = new FrameClient(rig.http);
    client.send(
      frame(Frame.HEADERS, END_HEADERS, 1, block(...plainRequest('/', 'POST'), ['content-length', '2'])),
      frame(Frame.DATA, END_STREAM, 1, Buffer.from('abcdef')),
    );
    await waitFor(
      'a refusal',
      () => client.of(Frame.RST_STREAM, 1).length + client.of(Frame.GOAWAY).length > 0 || client.closed,
      DEADLINE_MS,
    );
    expect(backend.received).toEqual([]);
  });

  test('DATA shorter than content-length', async () => {
    using client = new FrameClient(rig.http);
    client.send(
      frame(Frame.HEADERS, END_HEADERS, 1, block(...plainRequest('/', 'POST'), ['content-length', '9'])),
      frame(Frame.DATA, END_STREAM, 1, Buffer.from('abc')),
    );
    await waitFor('a refusal', () => goneOrReset(client, 1), DEADLINE_MS);
    expect(backend.received).toEqual([]);
  });

  test('fields that come twice neither crash nor merge', async () => {
    const session = http2.connect(`http://127.0.0.1:${rig.http}`, {
      strictSingleValueFields: false,
    } as object);
    backend.answer = (_, response) => {
      response.setHeader('etag', ['"1"', '"2"']);
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.end();
    };
    const twice = { ':path': '/', ':authority': 'web.test', 'content-type': ['a', 'b'] };
    const stream = session.request(twice as unknown as http2.OutgoingHttpHeaders);
    const [headers, , raw] = (await once(stream, 'response')) as [
      http2.IncomingHttpHeaders,
      number,
      string[],
    ];
    backend.answer = (_, response) => response.end('ok');
    session.destroy();
    expect(headers[':status']).toBe(200);
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(raw.filter((text) => text === 'etag')).toHaveLength(2);
    expect(backend.last.rawHeaders.filter((name) => name === 'content-type')).toHaveLength(2);
  });
});

describe('floods end the connection and nothing else', () => {
  const CHUNK = 500;
  const flood = async (
    make: (n: number) => readonly Buffer[],
    start: readonly Buffer[] = [],
  ): Promise<void> => {
    using client = new FrameClient(rig.http);
    client.send(...start);
    let n = 0;
    await waitFor(
      'the end of the connection',
      () => {
        if (client.closed || client.of(Frame.GOAWAY).length > 0) return true;
        const frames: Buffer[] = [];
        for (let i = 0; i < CHUNK; i++) frames.push(...make(n++));
        client.send(...frames);
        return false;
      },
      60_000,
    );
    expect((await ask(rig.http)).status).toBe(200);
  };
  const cancel = Buffer.of(0, 0, 0, 8);

  test('rapid reset', async () => {
    await flood((n) => [
      frame(Frame.HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, block(...plainRequest())),
      frame(Frame.RST_STREAM, 0, 2 * n + 1, cancel),
    ]);
    expect(backend.received.length).toBeLessThan(2_000);
  });

  test('CONTINUATION without end', async () => {
    await flood(
      () => [frame(Frame.CONTINUATION, 0, 1, block(['x-a', 'a'.repeat(100)]))],
      [frame(Frame.HEADERS, END_STREAM, 1, block(...plainRequest()))],
    );
    expect(backend.received.filter(({ headers }) => 'x-a' in headers)).toEqual([]);
  });

  test('SETTINGS without reading the acknowledgements', async () => {
    // 1,000 acknowledgements may wait: many more than that come with one read
    const settings = Array.from({ length: 8 }, () => frame(Frame.SETTINGS, 0, 0));
    await flood(() => settings, []);
  });

  test('a field list over the limit is one refused stream', async () => {
    using client = new FrameClient(rig.http);
    const fields = Array.from({ length: 500 }, (_, n) => [`x-${n}`, 'a'.repeat(100)] as const);
    const bytes = block(...plainRequest(), ...fields);
    client.send(
      frame(Frame.HEADERS, END_STREAM, 1, bytes.subarray(0, 16_000)),
      frame(Frame.CONTINUATION, 0, 1, bytes.subarray(16_000, 32_000)),
      frame(Frame.CONTINUATION, 0, 1, bytes.subarray(32_000, 48_000)),
      frame(Frame.CONTINUATION, END_HEADERS, 1, bytes.subarray(48_000)),
    );
    await waitFor('a refusal', () => goneOrReset(client, 1), DEADLINE_MS);
    expect(backend.received).toEqual([]);
  });
});

test('a client that is gone cancels what it asked for', async () => {
  let closed = false;
  backend.answer = (_, response) => response.on('close', () => (closed = !response.writableEnded));
  const session = http2.connect(`http://127.0.0.1:${rig.http}`);
  session.on('error', () => {});
  const stream = session.request({ ':path': '/', ':authority': 'web.test' });
  stream.on('error', () => {});
  await waitFor('the request', () => backend.received.length === 1, DEADLINE_MS);
  session.destroy();
  await waitFor('the request upstream to be cancelled', () => closed, DEADLINE_MS);
  backend.answer = (_, response) => response.end('ok');
});
