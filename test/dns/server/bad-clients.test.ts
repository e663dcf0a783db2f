import { connect, type Socket } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { STREAM_QUERIES_IN_FLIGHT, STREAM_UNSENT_BYTES } from '../../../dns/limits.ts';
import { frame, FrameReader } from '../../../dns/server/framing.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage, type Message } from '../../../dns/wire/message.ts';
import { namespace, service, slice } from '../../support/kube-objects.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { TestCertificate } from '../support/certificate.ts';
import { clusterOf } from '../support/cluster.ts';
import {
  decoded,
  openServer,
  questionOf,
  type TestServer,
  type TestServerOptions,
} from '../support/server.ts';
import { askHttp2, askStream, askUdp, type Target } from '../support/wire-client.ts';

const PATIENCE_MS = 30_000;
const WEB = 'web.ns.svc.k.';
const ALL = 'all.ns.svc.k.';
const ENDPOINTS = 1000;

const OBJECTS = [
  namespace('ns'),
  service('ns/web', { clusterIP: '10.96.0.1' }),
  service('ns/all', { clusterIP: 'None' }),
  slice('ns/all-1', 'all', {
    ports: { http: 80 },
    endpoints: Array.from({ length: ENDPOINTS }, (_, i) => ({ ip: `10.0.${i >> 8}.${i & 255}` })),
  }),
];

const certificate = new TestCertificate();
afterAll(() => certificate[Symbol.dispose]());

function open(options: TestServerOptions = {}): Promise<TestServer> {
  const tls = `tls ${certificate.certFile} ${certificate.keyFile}`;
  return openServer(`.:0 tls://.:0 https://.:0 {\n${tls}\nkubernetes k\n}`, {
    cluster: clusterOf(OBJECTS),
    ...options,
  });
}

function target(on: TestServer, wire: 'udp' | 'tcp' | 'tls' | 'https'): Target {
  return on.server.addresses.find(({ transport }) => transport === wire)!;
}

function connected(to: Target): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: to.address, port: to.port }, () => resolve(socket));
    socket.on('error', reject);
  });
}

function closed(socket: Socket): Promise<void> {
  socket.resume();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

async function answersStill(on: TestServer): Promise<void> {
  const bytes = encodeMessage(questionOf(WEB));
  expect(decoded(await askUdp(on.udp, bytes)).answers).toHaveLength(1);
  const [reply] = await askStream(target(on, 'tcp'), bytes);
  expect(decoded(reply!).answers).toHaveLength(1);
}

describe('a client that means harm', () => {
  it.each([
    ['an empty frame', Uint8Array.of(0, 0)],
    ['a frame shorter than a header', frame(new Uint8Array(11))],
  ])('sending %s is cut off', async (_what, bytes) => {
    await using on = await open();
    const socket = await connected(target(on, 'tcp'));
    socket.write(bytes);
    await closed(socket);
    await answersStill(on);
  });

  it('sending one byte at a time is answered all the same', async () => {
    await using on = await open();
    const socket = await connected(target(on, 'tcp'));
    socket.setNoDelay(true);
    const frames = new FrameReader();
    const replies: Uint8Array[] = [];
    socket.on('data', (chunk: Uint8Array) => replies.push(...frames.push(chunk)));
    for (const byte of frame(encodeMessage(questionOf(WEB)))) {
      await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
    }
    await waitFor('the answer', () => replies.length === 1, PATIENCE_MS);
    socket.destroy();
  });

  it('that starts TLS and says nothing is cut off; others are answered', async () => {
    await using on = await open();
    const socket = await connected(target(on, 'tls'));
    socket.write(Uint8Array.of(0x16, 3, 1)); // a handshake record, never finished
    const bytes = encodeMessage(questionOf(WEB));
    const [reply] = await askStream(target(on, 'tls'), bytes, { tls: { ca: certificate.ca } });
    expect(decoded(reply!).answers).toHaveLength(1);
    const plain = await connected(target(on, 'tls'));
    plain.write(frame(bytes));
    await closed(plain);
    socket.destroy();
  });

  it('that asks much and reads nothing stops being read, and is cut off', async () => {
    const clock = new FakeClock();
    await using on = await open({ clock });
    const socket = await connected(target(on, 'tcp'));
    socket.pause();
    const question = frame(encodeMessage(questionOf(ALL)));
    const burst = Buffer.concat(Array.from({ length: STREAM_QUERIES_IN_FLIGHT * 8 }, () => question));
    for (let i = 0; i < 8; i++) socket.write(burst);
    // 8,192 answers of 16 KB: far more than the kernel takes, so the server must have stopped reading.
    expect(8192 * ENDPOINTS * 16).toBeGreaterThan(100 * STREAM_UNSENT_BYTES);
    await answersStill(on);
    await waitFor(
      'the stalled client to be cut off',
      async () => {
        await clock.advance(20_000);
        socket.write(question); // a connection that is gone says so to who writes
        return socket.destroyed;
      },
      PATIENCE_MS,
    );
    socket.destroy();
    await answersStill(on);
  });

  it('that holds many idle connections keeps nobody out', async () => {
    await using on = await open();
    const sockets = await Promise.all(Array.from({ length: 2000 }, () => connected(target(on, 'tcp'))));
    await answersStill(on);
    for (const socket of sockets) socket.destroy();
  });

  it('that is idle is sent away after the time limit', async () => {
    const clock = new FakeClock();
    await using on = await open({ clock });
    const socket = await connected(target(on, 'tcp'));
    const gone = closed(socket);
    await waitFor(
      'the idle connection to close',
      async () => {
        await clock.advance(11_000);
        return await Promise.race([gone.then(() => true), tick()]);
      },
      PATIENCE_MS,
    );
  });
});

function tick(): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), 10));
}

function raw(parts: Partial<Message>): Uint8Array {
  return encodeMessage(queryMessage({ name: WEB, type: 'A', class: 'IN' }, { id: 9, ...parts }));
}

const EDNS = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };

describe('a message that is not for us', () => {
  it.each([
    ['opcode UPDATE', raw({ opcode: 'UPDATE' }), 'NOTIMP'],
    ['opcode IQUERY', raw({ opcode: 'IQUERY' }), 'NOTIMP'],
    ['class CH', raw({ questions: [{ name: WEB, type: 'A', class: 'CH' }] }), 'REFUSED'],
    ['EDNS version 1', raw({ edns: { ...EDNS, version: 1 } }), 'BADVERS'],
    ['no question', raw({ questions: [] }), 'FORMERR'],
    [
      'two questions',
      raw({ questions: [WEB, ALL].map((name) => ({ name, type: 'A' as const, class: 'IN' as const })) }),
      'FORMERR',
    ],
    [
      'a cookie of 9 bytes',
      raw({ edns: { ...EDNS, options: [{ code: 10, data: new Uint8Array(9) }] } }),
      'FORMERR',
    ],
    ['bytes behind the end', Uint8Array.of(...raw({}), 0), 'FORMERR'],
    ['a zone that is not here', raw({ questions: [{ name: 'a.', type: 'AXFR', class: 'IN' }] }), 'SERVFAIL'],
  ])('%s', async (_what, bytes, rcode) => {
    await using on = await open();
    const overUdp = decoded(await askUdp(on.udp, bytes));
    expect(overUdp.rcode).toBe(rcode);
    expect(overUdp.id).toBe(9);
    const [overTcp] = await askStream(target(on, 'tcp'), bytes);
    expect(decoded(overTcp!).rcode).toBe(rcode);
    const overHttp = await askHttp2(target(on, 'https'), certificate.ca, { method: 'POST', body: bytes });
    expect(decoded(overHttp.body).rcode).toBe(rcode);
  });

  it('is a response: silence', async () => {
    await using on = await open();
    const socket = await connected(target(on, 'tcp'));
    const replies: Uint8Array[] = [];
    const frames = new FrameReader();
    socket.on('data', (chunk: Uint8Array) => replies.push(...frames.push(chunk)));
    socket.write(Buffer.concat([frame(raw({ response: true })), frame(raw({ id: 10 }))]));
    await waitFor('the answer to the second', () => replies.length > 0, PATIENCE_MS);
    expect(replies.map((bytes) => decoded(bytes).id)).toEqual([10]);
    socket.destroy();
  });
});

describe('cookies (RFC 7873)', () => {
  it('are given, recognised, and renewed for another address', async () => {
    await using on = await open();
    const client = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const askWith = async (data: Uint8Array): Promise<Uint8Array> => {
      const bytes = raw({ edns: { ...EDNS, options: [{ code: 10, data }] } });
      const { rcode, edns } = decoded(await askUdp(on.udp, bytes));
      expect(rcode).toBe('NOERROR');
      return edns!.options.find(({ code }) => code === 10)!.data;
    };
    const first = await askWith(client);
    expect(first).toHaveLength(24);
    expect(await askWith(first)).toEqual(first);
    const forged = first.slice();
    forged[20]! ^= 1;
    const renewed = await askWith(forged);
    expect(Uint8Array.from(renewed.subarray(0, 8))).toEqual(client);
    expect(renewed).not.toEqual(forged);
  });
});
