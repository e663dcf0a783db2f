import { createSocket, type Socket } from 'node:dgram';
import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { record, replyTo, type Message } from '../../../dns/wire/message.ts';
import { EDE, EDNS_OPTION } from '../../../dns/wire/numbers.ts';
import { namespace, service } from '../../support/kube-objects.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { clusterOf } from '../support/cluster.ts';
import { answers, ask, decoded, openServer, questionOf, type TestServer } from '../support/server.ts';
import { askUdp } from '../support/wire-client.ts';

const PATIENCE_MS = 30_000;
const EDNS = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };

const OBJECTS = [namespace('ns'), service('ns/web', { clusterIP: '10.96.0.1' })];

type Send = (message: Message, change?: (bytes: Uint8Array) => void) => void;

/** An upstream on UDP that does with each question what it is told. */
class OddUpstream implements Disposable {
  readonly #socket: Socket;
  readonly port: number;
  asked = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.port = socket.address().port;
  }

  static async open(behave: (request: Message, send: Send, toward: number) => void): Promise<OddUpstream> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const upstream = new OddUpstream(socket);
    socket.on('message', (bytes, from) => {
      upstream.asked++;
      const send: Send = (message, change) => {
        const out = encodeMessage(message);
        change?.(out);
        socket.send(out, from.port, from.address);
      };
      behave(decoded(bytes), send, from.port);
    });
    return upstream;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

function told(request: Message, address: string, name = request.questions[0]!.name): Message {
  const answered = replyTo(request, { answers: [record(name, 60, 'A', { address })] });
  return { ...answered, questions: [{ ...request.questions[0]!, name }] };
}

async function open(port: number, clock?: FakeClock): Promise<TestServer> {
  const corefile = `. {\n kubernetes k\n forward . 127.0.0.1:${port}\n cache 30\n}`;
  return await openServer(corefile, { cluster: clusterOf(OBJECTS), ...(clock && { clock }) });
}

async function clusterAnswers(on: TestServer): Promise<void> {
  const reply = decoded(await askUdp(on.udp, encodeMessage(questionOf('web.ns.svc.k.'))));
  expect(answers(reply)).toEqual(['web.ns.svc.k. 5 IN A 10.96.0.1']);
}

function extendedError({ edns }: Message): number | undefined {
  const data = edns?.options.find(({ code }) => code === EDNS_OPTION.EDE)?.data;
  return data && (data[0]! << 8) | data[1]!;
}

/** Asks for an outside name and turns the clock until the answer is there. */
async function outside(on: TestServer, clock: FakeClock): Promise<Message> {
  let reply: Message | undefined;
  void ask(on, 'www.example.org. A', { edns: EDNS }).then((message) => (reply = message));
  return await waitFor(
    'the answer',
    async () => {
      if (!reply) await clock.advance(250);
      return reply;
    },
    PATIENCE_MS,
  );
}

describe('an upstream', () => {
  it('that lies about id, question and source is not believed; its right answer is', async () => {
    using spoofer = createSpoofer();
    using upstream = await OddUpstream.open((request, send, toward) => {
      spoofer.send(told(request, '192.0.2.66'), toward);
      send(told(request, '192.0.2.66'), (bytes) => (bytes[1]! ^= 1));
      send(told(request, '192.0.2.66', 'evil.example.org.'));
      send({ ...told(request, '192.0.2.66'), response: false });
      // Behind the false ones on the same path.
      setImmediate(() => send(told(request, '192.0.2.1')));
    });
    await using on = await open(upstream.port);
    const reply = await ask(on, 'www.example.org. A');
    expect(answers(reply)).toEqual(['www.example.org. 30 IN A 192.0.2.1']);
  });

  it('that only lies is given up with the reason', async () => {
    const clock = new FakeClock();
    using upstream = await OddUpstream.open((request, send) => {
      if (request.questions[0]!.type === 'A') send(told(request, '192.0.2.66', 'evil.example.org.'));
    });
    await using on = await open(upstream.port, clock);
    const reply = await outside(on, clock);
    expect(reply.rcode).toBe('SERVFAIL');
    expect(extendedError(reply)).toBe(EDE.NO_REACHABLE_AUTHORITY);
  });

  it('that is slow or dead holds up no name of the cluster', async () => {
    const clock = new FakeClock();
    using upstream = await OddUpstream.open(() => {});
    await using on = await open(upstream.port, clock);
    const pending = Array.from({ length: 50 }, (_, i) => ask(on, `slow-${i}.example.org. A`, { edns: EDNS }));
    await waitFor('the questions to be sent', () => upstream.asked >= 50, PATIENCE_MS);
    await clusterAnswers(on);
    let settled = 0;
    for (const one of pending) void one.then(() => settled++);
    await waitFor(
      'all to be given up',
      async () => {
        await clock.advance(500);
        return settled === pending.length;
      },
      PATIENCE_MS,
    );
    for (const one of pending) expect(extendedError(await one)).toBe(EDE.NO_REACHABLE_AUTHORITY);
    await clusterAnswers(on);
  });

  it('that nobody listens as is given up at once', async () => {
    const probe = await OddUpstream.open(() => {});
    const { port } = probe;
    probe[Symbol.dispose]();
    await using on = await open(port);
    const reply = await ask(on, 'www.example.org. A', { edns: EDNS });
    expect(reply.rcode).toBe('SERVFAIL');
    expect(extendedError(reply)).toBe(EDE.NO_REACHABLE_AUTHORITY);
    await clusterAnswers(on);
  });
});

/** Somebody else on the same host, who has guessed port and id. */
function createSpoofer(): Disposable & { send(message: Message, toward: number): void } {
  const socket = createSocket('udp4');
  return {
    send: (message, toward) => socket.send(encodeMessage(message), toward, '127.0.0.1'),
    [Symbol.dispose]: () => void socket.close(),
  };
}

describe('time', () => {
  it('without the API server changes no answer: an hour later names are as they were', async () => {
    const clock = new FakeClock();
    using upstream = await OddUpstream.open((request, send) => send(told(request, '192.0.2.1')));
    await using on = await open(upstream.port, clock);
    await clusterAnswers(on);
    for (let minute = 0; minute < 60; minute++) await clock.advance(60_000);
    await clusterAnswers(on);
    expect(on.server.ready).toBe(true);
    expect((await ask(on, 'none.ns.svc.k. A')).rcode).toBe('NXDOMAIN');
  });

  it('may jump: serials do not go back, cookies and cached answers stay good', async () => {
    const clock = new FakeClock();
    using upstream = await OddUpstream.open((request, send) => send(told(request, '192.0.2.1')));
    const cluster = clusterOf(OBJECTS);
    const corefile = `. {\n kubernetes k\n forward . 127.0.0.1:${upstream.port}\n cache 30\n}`;
    await using on = await openServer(corefile, { cluster, clock });
    const serial = async (): Promise<number> => {
      const [soa] = (await ask(on, 'k. SOA')).answers;
      return soa?.type === 'SOA' ? soa.data.serial : 0;
    };
    const cookie = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const cookieOf = ({ edns }: Message): Uint8Array => edns!.options.find(({ code }) => code === 10)!.data;
    const askWith = (data: Uint8Array): Promise<Message> =>
      ask(on, 'web.ns.svc.k. A', { edns: { ...EDNS, options: [{ code: 10, data }] } });
    const given = cookieOf(await askWith(cookie));
    await ask(on, 'www.example.org. A');
    for (const jumpMs of [-86_400_000, 2 * 86_400_000, -86_400_000]) {
      const before = await serial();
      clock.jumpWall(jumpMs);
      cluster.upsert({
        ...OBJECTS[1]!,
        metadata: { ...OBJECTS[1]!.metadata, labels: { at: String(jumpMs) } },
      });
      cluster.flush();
      expect(await serial()).toBeGreaterThanOrEqual(before);
      expect((await ask(on, 'www.example.org. A')).rcode).toBe('NOERROR');
      expect(answers(await askWith(given))).toEqual(['web.ns.svc.k. 5 IN A 10.96.0.1']);
      await clusterAnswers(on);
    }
    expect(upstream.asked).toBe(1);
    expect(cookieOf(await askWith(given))).toEqual(given);
  });
});
