import { createSocket } from 'node:dgram';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { frame, FrameReader } from '../../../dns/server/framing.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { replyTo, type Message } from '../../../dns/wire/message.ts';
import { CannedUpstream, recordOf } from '../support/canned-upstream.ts';
import { answers, ask, decoded, openServer } from '../support/server.ts';

const answer = (request: Message, address: string): Message =>
  replyTo(request, { answers: [recordOf(`${request.questions[0]!.name} 60 IN A ${address}`)] });

/** Does with each question over TCP what it is told, and remembers how often it was asked. */
class OddStream implements AsyncDisposable {
  readonly #server;
  asked = 0;

  constructor(behave: (socket: Socket, request: Message) => void) {
    this.#server = createServer((socket) => {
      const frames = new FrameReader();
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk: Uint8Array) => {
        for (const bytes of frames.push(chunk)) {
          const request = decoded(bytes);
          // Not the health checks that its failure sets off.
          if (request.questions[0]!.type !== 'NS') this.asked++;
          behave(socket, request);
        }
      });
    });
  }

  async open(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }
}

const bytesOf = (request: Message): Uint8Array => encodeMessage(answer(request, '192.0.2.66'));

describe('an upstream over TCP', () => {
  it.each<[string, (socket: Socket, request: Message) => void]>([
    [
      'that answers another question',
      (socket, request) => {
        const other = { ...request, questions: [{ ...request.questions[0]!, name: 'evil.' }] };
        socket.write(frame(bytesOf(other)));
      },
    ],
    ['that answers with a question', (socket, request) => void socket.write(frame(encodeMessage(request)))],
    [
      'that hangs up within its answer',
      (socket, request) => socket.end(frame(bytesOf(request)).subarray(0, 20)),
    ],
    [
      'that sends what is no message',
      (socket, request) => void socket.write(frame(bytesOf(request).subarray(0, 17))),
    ],
    [
      'that sends an empty frame and hangs up',
      (socket) => {
        socket.end(Uint8Array.of(0, 0));
      },
    ],
    [
      'that answers an error alone',
      (socket, request) =>
        void socket.write(frame(encodeMessage({ ...replyTo(request, { rcode: 'FORMERR' }), questions: [] }))),
    ],
  ])('%s is not believed, and the next one is asked', async (_what, behave) => {
    await using odd = new OddStream(behave);
    await using good = await CannedUpstream.open((request) => answer(request, '192.0.2.1'));
    const to = `127.0.0.1:${await odd.open()} 127.0.0.1:${good.port}`;
    await using on = await openServer(`. {\nforward . ${to} {\nforce_tcp\npolicy sequential\n}\n}`);
    expect(answers(await ask(on, 'x. A'))).toEqual(['x. 60 IN A 192.0.2.1']);
    expect(odd.asked).toBe(1);
  });

  it('that answers under an id of nobody first is waited for', async () => {
    await using odd = new OddStream((socket, request) => {
      socket.write(frame(bytesOf({ ...request, id: request.id ^ 1 })));
      socket.write(frame(encodeMessage(answer(request, '192.0.2.2'))));
    });
    const port = await odd.open();
    await using on = await openServer(`. {\nforward . 127.0.0.1:${port} {\nforce_tcp\n}\n}`);
    expect(answers(await ask(on, 'x. A'))).toEqual(['x. 60 IN A 192.0.2.2']);
  });

  it('that sends 64 KiB gives the client over TCP all of it, over UDP a cut answer', async () => {
    const many = (request: Message): Message =>
      replyTo(request, {
        answers: Array.from({ length: 4000 }, (_, i) =>
          recordOf(`${request.questions[0]!.name} 60 IN A 10.0.${i >> 8}.${i & 255}`),
        ),
      });
    await using odd = new OddStream(
      (socket, request) => void socket.write(frame(encodeMessage(many(request)))),
    );
    const port = await odd.open();
    await using on = await openServer(`. {\nforward . 127.0.0.1:${port} {\nforce_tcp\n}\n}`);
    expect((await ask(on, 'x. A', { transport: 'tcp' })).answers).toHaveLength(4000);
    expect((await ask(on, 'x. A')).truncated).toBe(true);
  });
});

describe('an upstream over UDP', () => {
  it('that loses CD gets it back for the client, from the cache too (RFC 4035 section 3.2.2)', async () => {
    await using upstream = await CannedUpstream.open((request) => ({
      ...answer(request, '192.0.2.1'),
      checkingDisabled: false,
    }));
    await using on = await openServer(`. {\nforward . 127.0.0.1:${upstream.port}\ncache\n}`);
    for (const checkingDisabled of [true, false, true])
      expect(await ask(on, 'x. A', { checkingDisabled })).toMatchObject({ checkingDisabled });
    expect(upstream.asked.map(({ checkingDisabled }) => checkingDisabled)).toEqual([true, false]);
  });

  it('that answers an error alone is passed over at once', async () => {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    let asked = 0;
    socket.on('message', (bytes, from) => {
      asked++;
      const bare = Uint8Array.of(bytes[0]!, bytes[1]!, 0x81, 0x01, 0, 0, 0, 0, 0, 0, 0, 0);
      socket.send(bare, from.port, from.address);
    });
    await using good = await CannedUpstream.open((request) => answer(request, '192.0.2.1'));
    const to = `127.0.0.1:${socket.address().port} 127.0.0.1:${good.port}`;
    await using on = await openServer(`. {\nforward . ${to} {\npolicy sequential\nread_timeout 1h\n}\n}`);
    expect(answers(await ask(on, 'x. A'))).toEqual(['x. 60 IN A 192.0.2.1']);
    expect(asked).toBeGreaterThan(0);
    socket.close();
  });
});
