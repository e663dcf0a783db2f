import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectPlain, createServer, type Socket } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { frame } from '../../dns/server/framing.ts';
import type { OpenStreamEngine } from '../../dns/server/stream-engine.ts';
import { encodeMessage } from '../../dns/wire/encode.ts';
import { formatRecord } from '../../dns/wire/zone-text.ts';
import { namespace, service } from '../support/kube-objects.ts';
import { TestCertificate } from '../dns/support/certificate.ts';
import { clusterOf } from '../dns/support/cluster.ts';
import { TestFolder } from '../dns/support/folder.ts';
import { openServer, questionOf, type TestServer } from '../dns/support/server.ts';
import { WireStream } from '../dns/support/wire-stream.ts';
import { clientHello } from '../support/client-hello.ts';
import { waitFor } from '../support/wait-for.ts';

const PATIENCE_MS = 60_000;
const OBJECTS = [namespace('ns'), service('ns/web', { clusterIP: '10.96.0.1' })];
const TABLE = framed('web.ns.svc.k. A');
const CHAIN = framed('k. SOA');

function framed(what: string): Uint8Array {
  return frame(encodeMessage(questionOf(what)));
}

function portOf(on: TestServer): number {
  return on.server.addresses.find(({ transport }) => transport === 'tls')!.port;
}

/** A client, and everything it sees. */
class Visitor extends WireStream {
  isUp = false;
  /** The ticket that it may come back with. */
  session: Buffer | undefined;

  constructor(socket: Socket) {
    super(socket);
    socket.on('secureConnect', () => (this.isUp = true));
    socket.on('session', (session: Buffer) => (this.session = session));
  }

  static over(on: TestServer, options: ConnectionOptions = {}): Visitor {
    const at = { port: portOf(on), host: '127.0.0.1', servername: 'localhost' };
    return new Visitor(connect({ ...at, rejectUnauthorized: false, ...options }));
  }

  static plain(on: TestServer): Visitor {
    return new Visitor(connectPlain(portOf(on), '127.0.0.1'));
  }

  get tls(): TLSSocket {
    return this.socket as TLSSocket;
  }

  async asks(question: Uint8Array): Promise<'answered' | 'cut off'> {
    const before = this.replies.length;
    this.socket.write(question);
    await waitFor('an answer, or the end', () => this.closed || this.replies.length > before, PATIENCE_MS);
    return this.replies.length > before ? 'answered' : 'cut off';
  }

  async leaves(): Promise<void> {
    this.socket.end();
    await waitFor('its end', () => this.closed, PATIENCE_MS);
  }

  async isCutOff(): Promise<void> {
    await waitFor('being cut off', () => this.closed, PATIENCE_MS);
  }
}

/** What every engine promises of DNS over TLS (RFC 7858) beside answering. */
export function tlsEngineSuite(name: string, openStream: OpenStreamEngine): void {
  const [ours, others] = [new TestCertificate(), new TestCertificate()];
  const folder = new TestFolder();
  afterAll(() => {
    for (const each of [folder, ours, others]) each[Symbol.dispose]();
  });

  const serve = (by = ours, more = '', extra = 'kubernetes k'): Promise<TestServer> =>
    openServer(`tls://.:0 {\ntls ${by.certFile} ${by.keyFile} ${by.certFile} {\n${more}\n}\n${extra}\n}`, {
      cluster: clusterOf(OBJECTS),
      openStream,
    });
  const own = (by: TestCertificate): ConnectionOptions => ({ cert: by.ca, key: readFileSync(by.keyFile) });

  describe(`DNS over TLS by the ${name} engine`, () => {
    it.each([
      ['none', undefined, 'answered', false],
      ['dot', ['dot'], 'answered', 'dot'],
      ['dot among others', ['h2', 'dot'], 'answered', 'dot'],
      ['others only', ['h2', 'http/1.1'], 'cut off', undefined],
      ['a name that dot begins', ['dots', 'do'], 'cut off', undefined],
    ])('protocols offered: %s', async (_what, offered, end, chosen) => {
      await using on = await serve();
      using client = Visitor.over(on, offered ? { ALPNProtocols: offered } : {});
      expect(await client.asks(TABLE)).toBe(end);
      if (end === 'answered') expect(client.tls.alpnProtocol).toBe(chosen);
      using next = Visitor.over(on);
      expect(await next.asks(TABLE)).toBe('answered');
    });

    it.each(['TLSv1.2', 'TLSv1.3'] as const)('resumes sessions of %s', async (version) => {
      await using on = await serve();
      const spoken = { minVersion: version, maxVersion: version };
      using first = Visitor.over(on, spoken);
      expect(await first.asks(TABLE)).toBe('answered');
      const session = await waitFor('a ticket', () => first.session, PATIENCE_MS);
      await first.leaves();
      for (const question of [TABLE, CHAIN]) {
        using again = Visitor.over(on, { ...spoken, session });
        expect(await again.asks(question)).toBe('answered');
        expect(again.tls.isSessionReused()).toBe(true);
      }
    });

    it('speaks nothing older than TLS 1.2', async () => {
      await using on = await serve();
      using client = Visitor.over(on, {
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'ALL:@SECLEVEL=0',
      });
      expect(await client.asks(TABLE)).toBe('cut off');
    });

    it('knows who asks, from the table or the chain', async () => {
      await using on = await serve(ours, '', 'whoami');
      using client = Visitor.over(on);
      expect(await client.asks(framed('x. A'))).toBe('answered');
      expect(client.replies[0]!.additionals.map(formatRecord)).toEqual([
        expect.stringMatching(/\tA\t127\.0\.0\.1$| A 127\.0\.0\.1$/),
        expect.stringContaining(` ${client.socket.localPort} `),
      ]);
    });

    it('answers in any mixture over one connection', async () => {
      await using on = await serve();
      using client = Visitor.over(on);
      for (const question of [TABLE, CHAIN, TABLE, TABLE, CHAIN, TABLE])
        expect(await client.asks(question)).toBe('answered');
      client.socket.write(Buffer.concat(Array.from({ length: 200 }, (_, i) => (i % 2 ? TABLE : CHAIN))));
      await waitFor('all of them', () => client.replies.length === 206, PATIENCE_MS);
    });

    it.each([
      ['nocert', 'answered', 'answered', 'answered'],
      ['request', 'answered', 'answered', 'answered'],
      ['require', 'cut off', 'answered', 'answered'],
      ['verify_if_given', 'answered', 'answered', 'cut off'],
      ['require_and_verify', 'cut off', 'answered', 'cut off'],
    ])('client_auth %s: none %s, ours %s, a stranger’s %s', async (word, ...expected) => {
      await using on = await serve(ours, `client_auth ${word}`);
      const seen: string[] = [];
      for (const options of [{}, own(ours), own(others)]) {
        using client = Visitor.over(on, options);
        seen.push(await client.asks(CHAIN));
      }
      expect(seen).toEqual(expected);
    });

    it.each(['TLSv1.2', 'TLSv1.3'] as const)(
      'takes certificates that changed; no ticket of %s outlives the authority that let its owner in',
      async (version) => {
        const files = {
          cert: folder.at(`${version}.crt`),
          key: folder.at(`${version}.key`),
          ca: folder.at(version),
        };
        const write = (by: TestCertificate): void => {
          copyFileSync(by.certFile, files.cert);
          copyFileSync(by.keyFile, files.key);
          copyFileSync(by.certFile, files.ca);
        };
        write(ours);
        const block = `tls ${files.cert} ${files.key} ${files.ca} {\nclient_auth require_and_verify\n}`;
        await using on = await openServer(`tls://.:0 {\n${block}\nkubernetes k\n}`, {
          cluster: clusterOf(OBJECTS),
          openStream,
        });
        const spoken = { minVersion: version, maxVersion: version };
        using before = Visitor.over(on, { ...own(ours), ...spoken });
        expect(await before.asks(TABLE)).toBe('answered');
        const session = await waitFor('a ticket', () => before.session, PATIENCE_MS);
        expect(await on.server.reload({ onlyIfChanged: true })).toBe(true);
        using resumed = Visitor.over(on, { ...own(ours), ...spoken, session });
        expect(await resumed.asks(TABLE)).toBe('answered');
        expect(resumed.tls.isSessionReused()).toBe(true);

        writeFileSync(files.key, 'no key');
        expect(await on.server.reload({ onlyIfChanged: true })).toBe(false);
        using unmoved = Visitor.over(on, { ...own(ours), ...spoken });
        expect(await unmoved.asks(TABLE)).toBe('answered');

        write(others);
        expect(await on.server.reload({ onlyIfChanged: true })).toBe(true);
        const shown = async (): Promise<boolean> => {
          using after = Visitor.over(on, { ...own(others), ...spoken });
          const answer = await after.asks(TABLE);
          return answer === 'answered' && after.tls.getPeerX509Certificate()!.toString() === others.ca;
        };
        await waitFor('the new certificate', shown, PATIENCE_MS);
        using late = Visitor.over(on, { ...own(ours), ...spoken, session });
        expect(await late.asks(TABLE)).toBe('cut off');
        expect(await before.asks(TABLE)).toBe('answered'); // who is in stays in
      },
    );

    it.each([
      ['words of another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
      ['a question without TLS', TABLE],
      ['zeros', Buffer.alloc(4096)],
      ['a record longer than any may be', Buffer.from([22, 3, 1, 0xff, 0xff, ...Buffer.alloc(300)])],
      ['a record of nothing', Buffer.from([22, 3, 1, 0, 0])],
      ['a heartbeat that asks for more than it brings', Buffer.from([24, 3, 2, 0, 3, 1, 0x40, 0])],
      ['SSL 2', Buffer.from([0x80, 0x2e, 1, 0, 2, ...Buffer.alloc(43)])],
    ])('cuts off %s', async (_what, bytes) => {
      await using on = await serve();
      using client = Visitor.plain(on);
      client.socket.end(bytes); // some of it OpenSSL would wait for the rest of
      await client.isCutOff();
      using next = Visitor.over(on);
      expect(await next.asks(TABLE)).toBe('answered');
    });

    it('gives a handshake its time and no more, wherever it stalls', async () => {
      await using on = await serve();
      const hello = await clientHello({ ALPNProtocols: ['dot'] });
      const stalled = [0, 1, 5, 43, hello.length - 1, hello.length].map((bytes) => {
        const client = Visitor.plain(on);
        client.socket.write(hello.subarray(0, bytes));
        return client;
      });
      using dripping = Visitor.plain(on);
      const drips = setInterval(() => dripping.socket.write(Uint8Array.of(22)), 500);
      for (const client of stalled) await client.isCutOff();
      await dripping.isCutOff();
      clearInterval(drips);
      using next = Visitor.over(on);
      expect(await next.asks(TABLE)).toBe('answered');
    });

    it('reads a hello and a question that come byte by byte', async () => {
      await using on = await serve();
      const door = await slowDoor(portOf(on));
      using client = new Visitor(
        connect({ port: door.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['dot'] }),
      );
      expect(await client.asks(Buffer.concat([TABLE, CHAIN]))).toBe('answered');
      await waitFor('both', () => client.replies.length === 2, PATIENCE_MS);
      door.close();
    });

    it('outlives clients that leave in the middle of anything', async () => {
      await using on = await serve();
      const hello = await clientHello({ ALPNProtocols: ['dot'] });
      for (let bytes = 0; bytes <= hello.length; bytes += 16) {
        const client = Visitor.plain(on);
        await new Promise((resolve) => client.socket.write(hello.subarray(0, bytes), resolve));
        if (bytes % 32 === 0) client.socket.resetAndDestroy();
        else client.socket.end();
      }
      for (const question of [TABLE, CHAIN]) {
        using client = Visitor.over(on);
        await waitFor('the handshake', () => client.isUp, PATIENCE_MS);
        client.socket.write(Buffer.concat(Array.from({ length: 100 }, () => question)));
      }
      using next = Visitor.over(on);
      expect(await next.asks(TABLE)).toBe('answered');
    });
  });
}

/** Passes on to a server what it hears, an octet a packet. */
async function slowDoor(port: number): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((from) => {
    const to = connectPlain(port, '127.0.0.1').setNoDelay(true);
    to.pipe(from);
    for (const each of [from, to]) each.on('error', () => each.destroy());
    let last = Promise.resolve();
    from.on('data', (bytes: Buffer) => {
      for (const byte of bytes) {
        last = last.then(
          () => new Promise((resolve) => to.write(Uint8Array.of(byte), () => setImmediate(resolve))),
        );
      }
    });
    from.on('close', () => to.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as { port: number }).port, close: () => server.close() };
}
