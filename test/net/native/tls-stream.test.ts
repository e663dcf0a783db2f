import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { EPOLL } from '../../../src/net/native/abi.ts';
import { Acceptor } from '../../../src/net/native/acceptor.ts';
import { ERRNO } from '../../../src/net/native/errno.ts';
import { openStreamListener } from '../../../src/net/native/stream-listener.ts';
import {
  TICKET_KEYS_BYTES,
  TlsContext,
  type TlsContextOptions,
} from '../../../src/net/native/tls-context.ts';
import { TlsSessions } from '../../../src/net/native/tls-sessions.ts';
import { TlsStream } from '../../../src/net/native/tls-stream.ts';
import { type PemPair, selfSignedCertificate } from '../../../src/net/self-signed.ts';
import { clientHello } from '../../support/client-hello.ts';
import '../../support/property-seed.ts';
import { LoopThread, SCRATCH_BYTES } from './loop-thread.ts';

const HOST = '127.0.72.1';
const EVENTS = EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP | EPOLL.EDGE;

let pair: PemPair;
let other: PemPair;

beforeAll(async () => {
  pair = await selfSignedCertificate('tls.test', ['tls.test'], Date.now());
  other = await selfSignedCertificate('other.test', ['other.test'], Date.now());
});

const openContext = (more: Partial<TlsContextOptions> = {}): TlsContext =>
  TlsContext.open({
    ...pair,
    minVersion: 'TLSv1.2',
    ciphers: undefined,
    ticketKeys: Buffer.alloc(TICKET_KEYS_BYTES, 7),
    protocol: 'http/1.1',
    ...more,
  });

/** One end of a TLS connection in the loop: what came, and how it ended. */
class Served {
  readonly stream: TlsStream;
  received = Buffer.alloc(0);
  pending = Buffer.alloc(0);
  state: 'handshake' | 'open' | 'ended' | 'failed' = 'handshake';
  /** Sends back what comes. */
  echoes = true;
  /** Asks OpenSSL to read this much at a time. */
  reads = SCRATCH_BYTES;
  readonly #thread: LoopThread;

  constructor(thread: LoopThread, stream: TlsStream) {
    this.#thread = thread;
    this.stream = stream;
    thread.loop.add(stream, EVENTS, { ready: () => this.#go() });
    this.#go();
  }

  send(bytes: Uint8Array): void {
    this.pending = Buffer.concat([this.pending, bytes]);
    this.#flush();
  }

  #go(): void {
    if (this.state === 'handshake') {
      const failure = this.stream.handshake();
      if (failure === -ERRNO.EAGAIN) return;
      this.state = failure === 0 ? 'open' : 'failed';
    }
    this.#flush();
    while (this.state === 'open') {
      const size = this.stream.receive(this.#thread.arena, 0, this.reads);
      if (size === -ERRNO.EAGAIN) return;
      if (size <= 0) this.state = size === 0 ? 'ended' : 'failed';
      const came = Buffer.from(this.#thread.arena.bytes.subarray(0, Math.max(0, size)));
      this.received = Buffer.concat([this.received, came]);
      if (this.echoes && size > 0) this.send(came);
    }
  }

  #flush(): void {
    while (this.pending.length > 0 && this.state === 'open') {
      const piece = this.pending.subarray(0, SCRATCH_BYTES);
      this.#thread.arena.bytes.set(piece, SCRATCH_BYTES);
      const sent = this.stream.send(this.#thread.arena, SCRATCH_BYTES, piece.length);
      if (sent === -ERRNO.EAGAIN) return;
      if (sent < 0) this.state = 'failed';
      this.pending = this.pending.subarray(Math.max(0, sent));
    }
  }
}

/** A TLS server on a loop that is turned by hand. */
class Server implements Disposable {
  readonly thread = new LoopThread();
  readonly sessions = TlsSessions.sized(4_096);
  readonly served: Served[] = [];
  readonly #listener = openStreamListener({ address: HOST, port: 0, backlog: 128, reusePort: false });
  context: TlsContext;
  readonly #acceptor: Acceptor;

  constructor(context = openContext()) {
    this.context = context;
    this.#acceptor = new Acceptor(this.thread.loop, this.#listener.fd, {
      accepted: (stream) => {
        const accepted = TlsStream.accept(stream, this.context, this.sessions);
        if (typeof accepted === 'number') throw new Error(`accept: ${accepted}`);
        this.served.push(new Served(this.thread, accepted));
      },
      failed: () => {},
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  get last(): Served {
    return this.served.at(-1)!;
  }

  async connect(
    options: tls.ConnectionOptions = {},
    begun: (socket: tls.TLSSocket) => void = () => {},
  ): Promise<tls.TLSSocket> {
    const socket = tls.connect({ host: HOST, port: this.port, rejectUnauthorized: false, ...options });
    begun(socket);
    let failure: Error | undefined;
    let isUp = false;
    socket.on('error', (error) => (failure = error));
    socket.on('secureConnect', () => (isUp = true));
    await this.thread.until('the handshake', () => isUp || failure);
    if (failure) throw failure;
    return socket;
  }

  [Symbol.dispose](): void {
    this.#acceptor[Symbol.dispose]();
    this.sessions.freeAll();
    this.thread[Symbol.dispose]();
    this.#listener[Symbol.dispose]();
    this.context[Symbol.dispose]();
  }
}

/** Everything a socket gets, until it ends. */
class Reading {
  sizeBytes = 0;
  closed = false;
  readonly #pieces: Buffer[] = [];

  constructor(socket: net.Socket) {
    socket.on('data', (bytes: Buffer) => {
      this.#pieces.push(bytes);
      this.sizeBytes += bytes.length;
    });
    socket.on('close', () => (this.closed = true));
    socket.on('error', () => {});
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

describe('a handshake', () => {
  test.for(['TLSv1.2', 'TLSv1.3'] as const)('of %s agrees with the client on everything', async (version) => {
    using server = new Server();
    const options = { minVersion: version, maxVersion: version, ALPNProtocols: ['spdy/3', 'http/1.1'] };
    const client = await server.connect({ ...options, servername: 'tls.test' });
    expect(client.alpnProtocol).toBe('http/1.1');
    expect(client.getPeerX509Certificate()!.subjectAltName).toBe('DNS:tls.test');
    await server.thread.until('the other side', () => server.last.state === 'open');
    expect(server.last.stream.facts).toEqual({ protocol: version, cipher: client.getCipher().name });
    client.destroy();
  });

  test.for(['TLSv1.2', 'TLSv1.3'] as const)(
    'of %s shows who asks for it the status of the certificate',
    async (version) => {
      let staple: Uint8Array | undefined;
      let asked = 0;
      const context = openContext({ staple: () => (asked++, staple) });
      using server = new Server(context);
      const shown = async (requestOCSP: boolean): Promise<Buffer | null | undefined> => {
        let response: Buffer | null | undefined;
        const client = await server.connect(
          { maxVersion: version, requestOCSP, session: undefined },
          (socket) => socket.on('OCSPResponse', (bytes: Buffer | null) => (response = bytes)),
        );
        client.destroy();
        return response;
      };
      expect(await shown(true)).toBeNull();
      // OpenSSL's clients take 16 KiB over TLS 1.2
      for (const bytes of [randomBytes(16_000), Buffer.of(7)]) {
        staple = bytes;
        expect(await shown(true)).toEqual(bytes);
      }
      expect(await shown(false)).toBeUndefined();
      expect(asked).toBe(3);
    },
  );

  test('without protocols selects none', async () => {
    using server = new Server();
    const client = await server.connect();
    expect(client.alpnProtocol).toBe(false);
    client.destroy();
  });

  test.for([
    ['protocols of others', {}, { ALPNProtocols: ['http/1.0', 'http/1.11'] }, 'no application protocol'],
    ['an older version', { minVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }, 'unsupported protocol'],
    [
      'other ciphers',
      { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
      'no shared cipher',
    ],
  ] as const)('with %s is refused by an alert', async ([, ours, theirs, reason]) => {
    using server = new Server(openContext(ours));
    await expect(server.connect(theirs)).rejects.toThrow(/alert/);
    expect([server.last.state, server.last.stream.error]).toEqual(['failed', reason]);
    // what went wrong there says nothing of the next one
    const client = await server.connect();
    client.destroy();
  });

  test('takes our order of ciphers, and only TLS 1.3 where there are no others', async () => {
    const ciphers = 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
    using server = new Server(openContext({ ciphers }));
    const client = await server.connect({
      ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
    });
    expect(client.getCipher().name).toBe('TLS_CHACHA20_POLY1305_SHA256');
    client.destroy();
    await expect(server.connect({ maxVersion: 'TLSv1.2' })).rejects.toThrow(/alert/);
  });

  test('shows the chain behind the certificate', async () => {
    const linkBytes = new X509Certificate(other.cert).raw.length;
    const sizes: number[] = [];
    for (const cert of [pair.cert, `${pair.cert}\n${other.cert}`]) {
      using server = new Server(openContext({ cert }));
      const raw = net.connect(server.port, HOST);
      const client = await server.connect({ socket: raw, maxVersion: 'TLSv1.2' });
      sizes.push(raw.bytesRead);
      client.destroy();
    }
    expect(sizes[1]! - sizes[0]!).toBeGreaterThan(linkBytes - 16);
  });

  test.for(['TLSv1.2', 'TLSv1.3'] as const)(
    'of %s is resumed by any context with the same ticket keys',
    async (version) => {
      using server = new Server();
      const versions = { minVersion: version, maxVersion: version };
      const visit = async (session: Buffer | undefined): Promise<{ reused: boolean; session: Buffer }> => {
        const client = await server.connect({ ...versions, ...(session && { session }) });
        let ticket = session;
        client.on('session', (given) => (ticket = given));
        const got = new Reading(client);
        client.write('x');
        if (version === 'TLSv1.2') ticket = client.getSession();
        await server.thread.until('the echo and a ticket', () => got.sizeBytes > 0 && ticket);
        const reused = client.isSessionReused();
        client.destroy();
        return { reused, session: ticket! };
      };
      const first = await visit(undefined);
      server.context[Symbol.dispose]();
      server.context = openContext();
      expect([first.reused, (await visit(first.session)).reused]).toEqual([false, true]);
      server.context[Symbol.dispose]();
      server.context = openContext({ ticketKeys: Buffer.alloc(TICKET_KEYS_BYTES, 8) });
      expect((await visit(first.session)).reused).toBe(false);
    },
  );
});

describe('bytes', () => {
  test.for([1, 1_000, SCRATCH_BYTES])('go both ways whole, read by up to %i', async (reads) => {
    using server = new Server();
    const client = await server.connect();
    const got = new Reading(client);
    await server.thread.until('the other side', () => server.last.state === 'open');
    server.last.reads = reads;
    const said = randomBytes(reads === 1 ? 2_000 : 400_000);
    client.write(said);
    await server.thread.until('the echo', () => got.sizeBytes === said.length);
    expect(got.bytes.equals(said)).toBe(true);
    client.destroy();
  });

  test('wait for a client that does not read, and arrive whole', async () => {
    using server = new Server();
    const client = await server.connect();
    client.pause();
    await server.thread.until('the other side', () => server.last.state === 'open');
    const said = randomBytes(12_000_000);
    server.last.send(said);
    expect(server.last.pending.length).toBeGreaterThan(0);
    const got = new Reading(client);
    client.resume();
    await server.thread.until('all of it', () => got.sizeBytes === said.length);
    expect(got.bytes.equals(said)).toBe(true);
    client.destroy();
  });

  test('end with close_notify, and without when they were cut off', async () => {
    using server = new Server();
    for (const isClean of [true, false]) {
      const client = await server.connect();
      const got = new Reading(client);
      await server.thread.until('the other side', () => server.last.state === 'open');
      server.last.send(Buffer.from('said'));
      if (isClean) server.last.stream.end();
      else server.last.stream.close();
      await server.thread.until('the end', () => got.closed);
      expect(got.bytes.toString()).toBe('said');
    }
  });

  test('of a client that has ended are still answered', async () => {
    using server = new Server();
    const client = await server.connect({ allowHalfOpen: true } as tls.ConnectionOptions);
    const got = new Reading(client);
    client.end('last words');
    await server.thread.until('its end', () => server.last.state === 'ended');
    expect(server.last.received.toString()).toBe('last words');
    server.last.stream.end();
    await server.thread.until('ours', () => got.closed);
  });
});

describe('a client that misbehaves', () => {
  const sendRaw = async (server: Server, bytes: Uint8Array, ending: 'end' | 'reset'): Promise<Served> => {
    const before = server.served.length;
    const socket = net.connect(server.port, HOST);
    const got = new Reading(socket);
    let isSent = false;
    socket.write(bytes, () => (isSent = true));
    await server.thread.until('it to be accepted', () => isSent && server.served.length > before);
    if (ending === 'end') socket.end();
    else socket.resetAndDestroy();
    const { last } = server;
    await server.thread.until('it to fail', () => last.state === 'failed' || last.state === 'ended');
    last.stream.close();
    await server.thread.until('the client to see it', () => got.closed);
    return last;
  };

  test('leaves after any byte of its hello', async () => {
    using server = new Server();
    const said = await clientHello();
    expect(server.served.length).toBe(0);
    const descriptors = server.thread.descriptors.count;
    for (let size = 1; size < said.length; size += 7)
      for (const ending of ['end', 'reset'] as const)
        expect((await sendRaw(server, said.subarray(0, size), ending)).state).toBe('failed');
    expect(server.thread.descriptors.count).toBe(descriptors);
    expect(server.sessions.memory.every((ssl) => ssl === 0)).toBe(true);
    (await server.connect()).destroy();
  });

  test('with any byte of its hello changed ends nobody but itself', async () => {
    using server = new Server();
    const said = await clientHello();
    expect(server.served.length).toBe(0);
    const changes = fc.tuple(fc.nat(said.length - 1), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(changes, { minLength: 1, maxLength: 8 }), async (changed) => {
        const bytes = Buffer.from(said);
        for (const [at, by] of changed) bytes[at]! ^= by;
        await sendRaw(server, bytes, 'end');
      }),
      { numRuns: 60 },
    );
    (await server.connect()).destroy();
  });

  test('says something else than TLS', async () => {
    using server = new Server();
    const { stream } = await sendRaw(server, Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'end');
    expect(stream.error).toBe('http request');
  });

  test('breaks a record in the middle of a connection', async () => {
    using server = new Server();
    const raw = net.connect(server.port, HOST);
    const client = tls.connect({ socket: raw, rejectUnauthorized: false });
    const got = new Reading(client);
    client.write('x');
    await server.thread.until('the echo', () => got.sizeBytes === 1);
    raw.write(Buffer.from([23, 3, 3, 0, 20, ...Array.from({ length: 20 }, () => 0)]));
    await server.thread.until('the failure', () => server.last.state === 'failed');
    expect(server.last.stream.send(server.thread.arena, 0, 1)).toBe(-ERRNO.EPROTO);
    client.destroy();
  });

  test('puts each byte into a record of its own is read some records at a time', async () => {
    const RECORDS = 600;
    using server = new Server();
    const client = await server.connect();
    await server.thread.until('the other side', () => server.last.state === 'open');
    const { stream } = server.last;
    server.thread.loop.remove(stream);
    for (let i = 0; i < RECORDS; i++)
      await new Promise((resolve) => client.write(Uint8Array.of(i & 255), resolve));
    const sizes: number[] = [];
    let [total, told] = [0, 0];
    await server.thread.until('all of them', () => {
      const size = stream.receive(server.thread.arena, 0, SCRATCH_BYTES);
      if (size <= 0) return false;
      sizes.push(size);
      total += size;
      if (stream.hasMore) told++;
      return total === RECORDS;
    });
    expect(Math.max(...sizes)).toBeLessThanOrEqual(256);
    // whoever is told reads again; else an event comes
    expect(told).toBeGreaterThan(0);
    client.destroy();
  });

  test('may not renegotiate', async () => {
    using server = new Server();
    const client = await server.connect({ maxVersion: 'TLSv1.2' });
    const got = new Reading(client);
    const refused = new Promise<boolean>((resolve) => {
      client.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error !== null));
      client.on('close', () => resolve(true));
    });
    await server.thread.until('an answer', () => got.closed || server.last.state !== 'open');
    client.destroy();
    expect(await refused).toBe(true);
  });
});

describe('what cannot be used', () => {
  const encrypted = (): string =>
    generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
    }).privateKey;

  test.for<[string, () => Partial<TlsContextOptions>, RegExp]>([
    ['no certificate', () => ({ cert: 'nothing' }), /^certificate: /],
    ['no key', () => ({ key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n' }), /^key: /],
    ['the key of another', () => ({ key: other.key }), /^key: /],
    ['an encrypted key', () => ({ key: encrypted() }), /^key: /],
    ['unknown ciphers', () => ({ ciphers: 'NO-SUCH-CIPHER' }), /^ciphers: /],
    ['short ticket keys', () => ({ ticketKeys: Buffer.alloc(48) }), /^ticket keys: /],
  ])('%s is a fault that says so', async ([, options, message]) => {
    const open = (): TlsContext => openContext(options());
    expect(open).toThrow(message);
    expect(open).toThrow(expect.objectContaining({ code: 'TLS_CONTEXT' }));
    // it leaves nothing behind that the next connection would stumble over
    using server = new Server();
    (await server.connect()).destroy();
  });
});

test('what a thread left is freed by whoever started it', async () => {
  using server = new Server();
  const client = await server.connect();
  await server.thread.until('the other side', () => server.last.state === 'open');
  const heir = new TlsSessions(server.sessions.memory);
  expect(heir.memory.filter((ssl) => ssl !== 0).length).toBe(1);
  heir.freeAll();
  expect(heir.memory.every((ssl) => ssl === 0)).toBe(true);
  client.destroy();
});
