import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { block, Frame, frame, FrameClient, plainRequest } from './support/frames.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** RFC 9113 frame by frame, over plain HTTP/2 with prior knowledge; fields and floods are in attacks-http2. */
const END_STREAM = 1;
const END_HEADERS = 4;
const PADDED = 8;
const ACK = 1;
const PRIORITY = 2;
const PUSH_PROMISE = 5;
const DEADLINE_MS = 20_000;

let backend: Backend;
let rig: Rig;
beforeAll(async () => {
  backend = await Backend.open((received, response) =>
    response.end(`${received.method} ${received.body.length}`),
  );
  rig = await Rig.open([...service('web', backend.endpoint), ingress()]);
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

const get = (stream = 1): Buffer =>
  frame(Frame.HEADERS, END_STREAM | END_HEADERS, stream, block(...plainRequest()));
const post = (stream = 1): Buffer =>
  frame(Frame.HEADERS, END_HEADERS, stream, block(...plainRequest('/', 'POST')));
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.of(0, id), uint32(value)]);
/** A request field the server must answer whole: status 200 on this stream, with its end. */
const answered = (client: FrameClient, stream = 1): boolean =>
  client.of(Frame.HEADERS, stream).length > 0 &&
  [...client.of(Frame.DATA, stream), ...client.of(Frame.HEADERS, stream)].some(
    ({ flags }) => (flags & END_STREAM) !== 0,
  );

describe('served', () => {
  const rows: readonly [string, () => Buffer[], (client: FrameClient) => boolean][] = [
    [
      '3.4: SETTINGS come first and are acknowledged',
      () => [],
      (client) =>
        client.frames[0]?.type === Frame.SETTINGS &&
        client.of(Frame.SETTINGS).some(({ flags }) => flags === ACK),
    ],
    ['5.1: a request without a body', () => [get()], answered],
    [
      '5.1: a body in several DATA frames',
      () => [
        post(),
        frame(Frame.DATA, 0, 1, Buffer.from('ab')),
        frame(Frame.DATA, END_STREAM, 1, Buffer.from('c')),
      ],
      (client) =>
        answered(client) &&
        Buffer.concat(client.of(Frame.DATA, 1).map(({ payload }) => payload)).toString() === 'POST 3',
    ],
    [
      '5.1.1: several streams at once',
      () => [get(1), get(3), get(5)],
      (client) => [1, 3, 5].every((stream) => answered(client, stream)),
    ],
    [
      '5.5: frames of unknown types are left out',
      () => [frame(0x16, 0xff, 0, Buffer.alloc(8)), get(), frame(0x17, 0, 1)],
      answered,
    ],
    [
      '6.1: padding is taken away',
      () => [
        post(),
        frame(
          Frame.DATA,
          END_STREAM | PADDED,
          1,
          Buffer.concat([Buffer.of(5), Buffer.from('hi'), Buffer.alloc(5)]),
        ),
      ],
      (client) =>
        Buffer.concat(client.of(Frame.DATA, 1).map(({ payload }) => payload)).toString() === 'POST 2',
    ],
    [
      '6.2: a head with padding and priority',
      () => [
        frame(
          Frame.HEADERS,
          END_STREAM | END_HEADERS | PADDED | 0x20,
          1,
          Buffer.concat([Buffer.of(3), uint32(0), Buffer.of(15), block(...plainRequest()), Buffer.alloc(3)]),
        ),
      ],
      answered,
    ],
    [
      '6.10: a head in CONTINUATION frames',
      () => {
        const whole = block(...plainRequest());
        return [
          frame(Frame.HEADERS, END_STREAM, 1, whole.subarray(0, 20)),
          frame(Frame.CONTINUATION, 0, 1, whole.subarray(20, 30)),
          frame(Frame.CONTINUATION, END_HEADERS, 1, whole.subarray(30)),
        ];
      },
      answered,
    ],
    [
      '6.3: PRIORITY has no effect',
      () => [frame(PRIORITY, 0, 3, Buffer.concat([uint32(0), Buffer.of(7)])), get()],
      answered,
    ],
    [
      '6.5.2: unknown settings are left out',
      () => [frame(Frame.SETTINGS, 0, 0, setting(0x33, 7)), get()],
      answered,
    ],
    [
      '6.7: PING is answered with its bytes',
      () => [frame(Frame.PING, 0, 0, Buffer.from('8 bytes!'))],
      (client) =>
        client
          .of(Frame.PING)
          .some(({ flags, payload }) => flags === ACK && payload.toString() === '8 bytes!'),
    ],
    [
      '6.9.2: a window of nothing holds the body back until it opens',
      () => [
        frame(Frame.SETTINGS, 0, 0, setting(4, 0)),
        get(),
        frame(Frame.SETTINGS, 0, 0, setting(4, 65_535)),
      ],
      answered,
    ],
    [
      '8.1: trailers after a body',
      () => [
        post(),
        frame(Frame.DATA, 0, 1, Buffer.from('a')),
        frame(Frame.HEADERS, END_STREAM | END_HEADERS, 1, block(['x-checksum', '1'])),
      ],
      (client) => answered(client) && backend.last.trailers['x-checksum'] === '1',
    ],
    [
      '8.1.1: HEAD has no body',
      () => [frame(Frame.HEADERS, END_STREAM | END_HEADERS, 1, block(...plainRequest('/', 'HEAD')))],
      (client) => answered(client) && client.of(Frame.DATA, 1).every(({ payload }) => payload.length === 0),
    ],
  ];
  it.each(rows)('%s', async (_, frames, isRight) => {
    using client = new FrameClient(rig.http);
    client.send(...frames());
    await waitFor('the answer', () => isRight(client), DEADLINE_MS);
  });
});

describe('the connection ends', () => {
  const rows: readonly [string, () => Buffer[]][] = [
    [
      '4.2: a frame over the size announced',
      () => [frame(Frame.HEADERS, END_STREAM | END_HEADERS, 1, Buffer.alloc(16_385))],
    ],
    [
      '4.3: a field block that cannot be read',
      () => [
        frame(Frame.HEADERS, END_STREAM | END_HEADERS, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
      ],
    ],
    ['5.1: DATA on a stream that is idle', () => [frame(Frame.DATA, END_STREAM, 1, Buffer.from('x'))]],
    ['5.1: RST_STREAM on a stream that is idle', () => [frame(Frame.RST_STREAM, 0, 1, uint32(8))]],
    ['5.1: WINDOW_UPDATE on a stream that is idle', () => [frame(Frame.WINDOW_UPDATE, 0, 1, uint32(1))]],
    ['5.1.1: an even stream of a client', () => [get(2)]],
    ['6.1: DATA on stream 0', () => [frame(Frame.DATA, 0, 0, Buffer.from('x'))]],
    [
      '6.1: more padding than payload',
      () => [post(), frame(Frame.DATA, END_STREAM | PADDED, 1, Buffer.of(9, 1))],
    ],
    ['6.2: HEADERS on stream 0', () => [get(0)]],
    ['6.4: RST_STREAM on stream 0', () => [frame(Frame.RST_STREAM, 0, 0, uint32(8))]],
    ['6.4: RST_STREAM of another length', () => [post(), frame(Frame.RST_STREAM, 0, 1, Buffer.alloc(3))]],
    ['6.5: SETTINGS on a stream', () => [frame(Frame.SETTINGS, 0, 1)]],
    ['6.5: SETTINGS of another length', () => [frame(Frame.SETTINGS, 0, 0, Buffer.alloc(5))]],
    ['6.5: an acknowledgement with a payload', () => [frame(Frame.SETTINGS, ACK, 0, setting(1, 0))]],
    ['6.5.2: ENABLE_PUSH of 2', () => [frame(Frame.SETTINGS, 0, 0, setting(2, 2))]],
    ['6.5.2: a window over its most', () => [frame(Frame.SETTINGS, 0, 0, setting(4, 0x8000_0000))]],
    ['6.5.2: a frame size under its least', () => [frame(Frame.SETTINGS, 0, 0, setting(5, 100))]],
    [
      '6.6: PUSH_PROMISE of a client',
      () => [
        post(),
        frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([uint32(2), block(...plainRequest())])),
      ],
    ],
    ['6.7: PING of another length', () => [frame(Frame.PING, 0, 0, Buffer.alloc(6))]],
    ['6.7: PING on a stream', () => [frame(Frame.PING, 0, 1, Buffer.alloc(8))]],
    ['6.8: GOAWAY on a stream', () => [frame(Frame.GOAWAY, 0, 1, Buffer.alloc(8))]],
    ['6.9: WINDOW_UPDATE of nothing', () => [frame(Frame.WINDOW_UPDATE, 0, 0, uint32(0))]],
    ['6.9.1: a window that overflows', () => [frame(Frame.WINDOW_UPDATE, 0, 0, uint32(0x7fff_ffff))]],
    [
      '6.10: CONTINUATION without HEADERS',
      () => [frame(Frame.CONTINUATION, END_HEADERS, 1, block(...plainRequest()))],
    ],
    [
      '6.10: another frame inside a head',
      () => [
        frame(Frame.HEADERS, END_STREAM, 1, block(...plainRequest()).subarray(0, 9)),
        frame(Frame.PING, 0, 0, Buffer.alloc(8)),
      ],
    ],
    [
      '6.10: CONTINUATION of another stream',
      () => [
        frame(Frame.HEADERS, END_STREAM, 1, block(...plainRequest()).subarray(0, 9)),
        frame(Frame.CONTINUATION, END_HEADERS, 3, Buffer.alloc(3)),
      ],
    ],
  ];
  it.each(rows)('%s', async (_, frames) => {
    using client = new FrameClient(rig.http);
    client.send(...frames());
    await waitFor(
      'GOAWAY or the end',
      () => client.closed || client.of(Frame.GOAWAY).some(({ payload }) => payload.readUInt32BE(4) !== 0),
      DEADLINE_MS,
    );
  });

  it('and others go on', async () => {
    using client = new FrameClient(rig.http);
    client.send(get());
    await waitFor('the answer', () => answered(client), DEADLINE_MS);
    expect(client.of(Frame.GOAWAY)).toEqual([]);
  });
});
