import { connect } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import type { OpenStreamEngine } from '../../dns/server/stream-engine.ts';
import { frame } from '../../dns/server/framing.ts';
import { encodeMessage } from '../../dns/wire/encode.ts';
import type { Message } from '../../dns/wire/message.ts';
import { namespace, service, slice } from '../support/kube-objects.ts';
import { TestCertificate } from '../dns/support/certificate.ts';
import { clusterOf } from '../dns/support/cluster.ts';
import { fastTotals, openServer, questionOf, type TestServer } from '../dns/support/server.ts';
import { WireStream } from '../dns/support/wire-stream.ts';
import { waitFor } from '../support/wait-for.ts';

export interface StreamEngineFixture {
  readonly name: string;
  readonly open: OpenStreamEngine;
  /** Answers of the compiled table are given without the chain. */
  readonly usesTable: boolean;
}

const PATIENCE_MS = 30_000;
const ENDPOINTS = 2000;
const OBJECTS = [
  namespace('ns'),
  service('ns/web', { clusterIP: '10.96.0.1' }),
  service('ns/all', { clusterIP: 'None' }),
  slice('ns/all-1', 'all', {
    ports: { http: 80 },
    endpoints: Array.from({ length: ENDPOINTS }, (_, i) => ({ ip: `10.1.${i >> 8}.${i & 255}` })),
  }),
];
/** From the table, from the table, from the chain (a type that the table leaves to it), large, and denied. */
const WEB = 'web.ns.svc.k. A';
const QUESTIONS = [WEB, 'web.ns.svc.k. SRV', 'k. SOA', 'all.ns.svc.k. A', 'none.ns.svc.k. A'];

class Client extends WireStream {
  /** Over the transport that the server has. */
  static open(on: TestServer): Promise<Client> {
    const { transport, address: host, port } = on.server.addresses.find((one) => one.transport !== 'udp')!;
    return new Promise((resolve, reject) => {
      const ready = (): void => resolve(new Client(socket));
      const secure = {
        host,
        port,
        servername: 'localhost',
        rejectUnauthorized: false,
        ALPNProtocols: ['dot'],
      };
      const socket =
        transport === 'tls'
          ? connectTls({ ...secure, allowHalfOpen: true } as ConnectionOptions, ready)
          : connect({ host, port, allowHalfOpen: true }, ready);
      socket.once('error', reject);
    });
  }

  ask(...questions: readonly string[]): void {
    this.socket.write(Buffer.concat(questions.map((what, id) => framed(what, id))));
  }

  async answers(count: number): Promise<readonly Message[]> {
    await waitFor(`${count} answers`, () => this.replies.length >= count, PATIENCE_MS);
    return this.replies;
  }

  async end(): Promise<void> {
    await waitFor('the end of the connection', () => this.closed || this.socket.readableEnded, PATIENCE_MS);
  }
}

function framed(what: string, id = 7): Uint8Array {
  return frame(encodeMessage(questionOf(what, { id })));
}

/** What every engine for DNS over TCP (RFC 7766) and over TLS (RFC 7858) promises. */
export function streamEngineSuite({ name, open, usesTable }: StreamEngineFixture): void {
  const certificate = new TestCertificate();
  afterAll(() => certificate[Symbol.dispose]());
  const { certFile, keyFile } = certificate;

  describe.each([
    ['tcp', '.', ''],
    ['tls', 'tls://.:0', `tls ${certFile} ${keyFile}`],
  ])(`stream engine ${name} over %s`, (_transport, key, directive) => {
    const serve = (timeouts = ''): Promise<TestServer> =>
      openServer(`${key} {\n ${directive}\n kubernetes k\n ${timeouts}\n}`, {
        cluster: clusterOf(OBJECTS),
        openStream: open,
      });

    it('answers many questions of one connection, from the table or the chain', async () => {
      await using on = await serve();
      using client = await Client.open(on);
      for (let round = 1; round <= 3; round++) {
        client.ask(...QUESTIONS);
        const replies = (await client.answers(round * QUESTIONS.length)).slice(-QUESTIONS.length);
        const byId = [...replies].sort((a, b) => a.id - b.id);
        expect(byId.map(({ rcode }) => rcode)).toEqual([
          'NOERROR',
          'NOERROR',
          'NOERROR',
          'NOERROR',
          'NXDOMAIN',
        ]);
        expect(byId.map(({ answers }) => answers.length)).toEqual([1, 1, 1, ENDPOINTS, 0]);
        expect(byId[3]!.truncated).toBe(false);
      }
    });

    it('answers from the table where it can', async () => {
      await using on = await serve();
      using client = await Client.open(on);
      client.ask(...Array.from({ length: 500 }, () => WEB));
      const replies = await client.answers(500);
      expect(replies.every(({ answers }) => answers.length === 1)).toBe(true);
      expect(fastTotals(on).positive).toBe(usesTable ? 500 : 0);
    });

    it('answers a question that comes byte by byte, and after the client has ended its side', async () => {
      await using on = await serve();
      using client = await Client.open(on);
      for (const byte of framed(WEB)) {
        await new Promise((resolve) => client.socket.write(Uint8Array.of(byte), resolve));
      }
      await client.answers(1);
      client.socket.end(Buffer.concat([framed(WEB), framed('k. SOA')]));
      await client.answers(3);
      await client.end();
    });

    it.each([
      ['an empty frame', Uint8Array.of(0, 0)],
      ['a frame shorter than a header', frame(new Uint8Array(11))],
    ])('cuts off a client that sends %s', async (_what, bytes) => {
      await using on = await serve();
      using client = await Client.open(on);
      client.socket.write(bytes);
      await client.end();
      using other = await Client.open(on);
      other.ask(WEB);
      await other.answers(1);
    });

    it('sends away who is idle, who drips and who does not read', async () => {
      await using on = await serve('timeouts {\n read 1s\n write 1s\n idle 1s\n}');
      using idle = await Client.open(on);
      using dripping = await Client.open(on);
      dripping.socket.write(framed(WEB).subarray(0, 5));
      using deaf = await Client.open(on);
      deaf.socket.pause();
      const burst = Buffer.concat(Array.from({ length: 500 }, () => framed('all.ns.svc.k. A')));
      deaf.socket.write(burst); // 16 MB of answers
      await idle.end();
      await dripping.end();
      await waitFor(
        'the deaf client to be cut off',
        () => {
          deaf.socket.write(framed(WEB)); // a connection that is gone says so to who writes
          return deaf.socket.destroyed;
        },
        PATIENCE_MS,
      );
    });

    it('lets idle connections keep nobody out', async () => {
      await using on = await serve();
      const idle = await Promise.all(Array.from({ length: 500 }, () => Client.open(on)));
      using client = await Client.open(on);
      client.ask(WEB, 'k. SOA');
      await client.answers(2);
      for (const one of idle) one[Symbol.dispose]();
    });

    it('ends its connections when it stops, and frees the port', async () => {
      const on = await serve();
      using client = await Client.open(on);
      client.ask(WEB);
      await client.answers(1);
      using handedOver = await Client.open(on);
      handedOver.ask('k. SOA');
      await handedOver.answers(1);
      await on[Symbol.asyncDispose]();
      await client.end();
      await handedOver.end();
      await expect(Client.open(on)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    });
  });
}
