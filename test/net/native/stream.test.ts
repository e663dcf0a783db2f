import fc from 'fast-check';
import { readdirSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { EPOLL } from '../../../src/net/native/abi.ts';
import { Acceptor } from '../../../src/net/native/acceptor.ts';
import { Arena } from '../../../src/net/native/arena.ts';
import { ERRNO, errnoName, type Failure } from '../../../src/net/native/errno.ts';
import { IoVectors } from '../../../src/net/native/io-vectors.ts';
import type { SocketAddress } from '../../../src/net/native/socket-address.ts';
import { pendingError, setUserTimeout } from '../../../src/net/native/socket-options.ts';
import { SplicePipe } from '../../../src/net/native/splice-pipe.ts';
import { openStreamListener } from '../../../src/net/native/stream-listener.ts';
import { dialStream, socketName, StreamSocket } from '../../../src/net/native/stream-socket.ts';
import '../../support/property-seed.ts';
import { LoopThread, SCRATCH_BYTES } from './loop-thread.ts';

const EVERYTHING = EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP | EPOLL.EDGE;
const HOST = '127.0.71.1';

interface Accepted {
  readonly stream: StreamSocket;
  readonly peer: SocketAddress;
}

/** A listener of the loop, with everything that it took in. */
function listening(thread: LoopThread, address = HOST) {
  const listener = openStreamListener({ address, port: 0, backlog: 128, reusePort: false });
  const clients: Accepted[] = [];
  const failures: Failure[] = [];
  const acceptor = new Acceptor(thread.loop, listener.fd, {
    accepted: (stream, peer) => clients.push({ stream, peer: peer() }),
    failed: (failure) => failures.push(failure),
  });
  return {
    port: listener.port,
    clients,
    failures,
    [Symbol.dispose]() {
      acceptor[Symbol.dispose]();
      listener[Symbol.dispose]();
    },
  };
}

/** A node:net server that keeps its sockets. */
async function serving(onSocket: (socket: Socket) => void = () => {}) {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function dialled(thread: LoopThread, port: number): StreamSocket {
  const stream = dialStream(thread.loop, socketName({ address: HOST, port }));
  if (!(stream instanceof StreamSocket)) throw new Error(errnoName(stream));
  return stream;
}

async function connected(thread: LoopThread, port: number): Promise<StreamSocket> {
  const stream = dialled(thread, port);
  let isThere = false;
  thread.loop.add(stream, EVERYTHING, { ready: () => (isThere = true) });
  await thread.until('the connection', () => isThere);
  return stream;
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

describe('connections', () => {
  test.each(['127.0.71.1', '::1'])(
    'from %s come with their peer, and bytes go both ways',
    async (address) => {
      using thread = new LoopThread();
      using server = listening(thread, address);
      const client = connect({ host: address, port: server.port });
      client.write('hello');
      await thread.until('the client', () => server.clients.length === 1);
      const [{ stream, peer }] = server.clients as [Accepted];
      expect(peer).toEqual({ address: client.localAddress, port: client.localPort });
      let size = 0;
      thread.loop.add(stream, EPOLL.IN, { ready: () => (size = stream.receive(thread.arena, 0, 100)) });
      await thread.until('its bytes', () => size !== 0);
      expect(Buffer.from(thread.arena.bytes.subarray(0, size)).toString()).toBe('hello');
      let heard = '';
      client.on('data', (chunk) => (heard += chunk.toString()));
      const vectors = new IoVectors(thread.arena, 2);
      vectors.push(0, 2);
      vectors.push(3, 2);
      expect(vectors.push(0, 1)).toBe(false);
      expect(stream.sendVectors(vectors)).toBe(4);
      await thread.until('the answer', () => heard === 'helo');
      client.destroy();
    },
  );

  test('each side ends on its own', async () => {
    using thread = new LoopThread();
    await using server = await serving((socket) => socket.end('bye'));
    const stream = await connected(thread, server.port);
    let text = '';
    let size = -1;
    await thread.until('the end', () => {
      size = stream.receive(thread.arena, 0, 100);
      if (size > 0) text += Buffer.from(thread.arena.bytes.subarray(0, size)).toString();
      return size === 0;
    });
    expect(text).toBe('bye');
    thread.arena.bytes.set(Buffer.from('later'));
    expect(stream.send(thread.arena, 0, 5)).toBe(5);
    expect(stream.endWriting()).toBe(0);
    const [socket] = [...server.sockets];
    let heard = '';
    socket!.on('data', (chunk) => (heard += chunk.toString()));
    await thread.until('the rest', () => heard === 'later' && socket!.readableEnded);
  });

  test('a dial that nobody takes says so', async () => {
    using thread = new LoopThread();
    let port: number;
    {
      await using server = await serving();
      port = server.port;
    }
    const stream = dialStream(thread.loop, socketName({ address: HOST, port }));
    if (!(stream instanceof StreamSocket)) return expect(stream).toBe(-ERRNO.ECONNREFUSED);
    let events = 0;
    thread.loop.add(stream, EVERYTHING, { ready: (some) => (events |= some) });
    await thread.until('the refusal', () => events & EPOLL.ERR);
    expect(pendingError(stream.fd)).toBe(-ERRNO.ECONNREFUSED);
  });

  test('a reset is told, and a reset can be sent', async () => {
    using thread = new LoopThread();
    await using server = await serving();
    const [a, b] = [await connected(thread, server.port), await connected(thread, server.port)];
    await thread.until('both', () => server.sockets.size === 2);
    const [first, second] = [...server.sockets];
    expect(setUserTimeout(a.fd, 1_000)).toBe(0);
    first!.resetAndDestroy();
    await thread.until('the reset', () => a.receive(thread.arena, 0, 1) === -ERRNO.ECONNRESET);
    let code: string | undefined;
    second!.on('error', (error: NodeJS.ErrnoException) => (code = error.code)).resume();
    b.reset();
    await thread.until('the reset there', () => code === 'ECONNRESET');
  });

  test('what the peer does not read is sent in parts, and nothing is lost', async () => {
    using thread = new LoopThread();
    await using server = await serving((socket) => socket.pause());
    const stream = await connected(thread, server.port);
    await thread.until('the server', () => server.sockets.size === 1);
    let sent = 0;
    const fill = (): number => {
      for (;;) {
        const size = stream.send(thread.arena, 0, SCRATCH_BYTES);
        if (size < 0) return size;
        sent += size;
      }
    };
    expect(fill()).toBe(-ERRNO.EAGAIN);
    let read = 0;
    const [socket] = [...server.sockets];
    socket!.on('data', (chunk) => (read += chunk.length)).resume();
    stream.close();
    await thread.until('all of it', () => read === sent);
  });

  test('a pipe moves bytes from one to the other and counts what it holds', async () => {
    using thread = new LoopThread();
    await using server = await serving();
    const [from, to] = [await connected(thread, server.port), await connected(thread, server.port)];
    await thread.until('both', () => server.sockets.size === 2);
    const [source, sink] = [...server.sockets];
    const pipe = SplicePipe.open(thread.descriptors, 262_144);
    if (!(pipe instanceof SplicePipe)) throw new Error(errnoName(pipe));
    expect(pipe.fill(from, 1_000)).toBe(-ERRNO.EAGAIN);
    source!.end('x'.repeat(1_500));
    await thread.until('bytes', () => pipe.fill(from, 1_000) > 0);
    let heard = 0;
    sink!.on('data', (chunk) => (heard += chunk.length));
    await thread.until('the rest', () => {
      const size = pipe.fill(from, 1_000);
      if (pipe.heldBytes > 0) pipe.drain(to);
      return size === 0;
    });
    await thread.until('all there', () => heard === 1_500);
    expect(pipe.heldBytes).toBe(0);
    pipe[Symbol.dispose]();
    expect(pipe.fill(from, 1)).toBe(-ERRNO.EBADF);
    expect(pipe.drain(to)).toBe(-ERRNO.EBADF);
  });
});

describe('numbers of closed descriptors', () => {
  test('bring no events of the connection before, within one turn or later', async () => {
    using thread = new LoopThread();
    await using server = await serving((socket) => socket.write('for the first'));
    const first = await connected(thread, server.port);
    const second = await connected(thread, server.port);
    await thread.until('both', () => server.sockets.size === 2);
    // both have an event in the next wait; whoever is told first closes the other and takes its number
    const told: string[] = [];
    const took: StreamSocket[] = [];
    const closes = (name: string, victim: StreamSocket) => ({
      ready: () => {
        told.push(name);
        const number = victim.fd;
        victim.close();
        const next = dialled(thread, server.port);
        took.push(next);
        expect(next.fd).toBe(number);
        thread.loop.add(next, EPOLL.IN, { ready: () => told.push('next') });
      },
    });
    for (const stream of [first, second]) thread.loop.remove(stream);
    thread.loop.add(first, EPOLL.OUT | EPOLL.EDGE, closes('first', second));
    thread.loop.add(second, EPOLL.OUT | EPOLL.EDGE, closes('second', first));
    thread.loop.turn(0);
    expect(told).toEqual(['first']);
    expect(thread.loop.staleEvents).toBe(1);
    await thread.until('the bytes of the next', () => told.includes('next'));
    expect(took).toHaveLength(1);
  });

  test('are forgotten by whoever closed: no call reaches the next connection', async () => {
    using thread = new LoopThread();
    await using server = await serving();
    const closed = await connected(thread, server.port);
    const number = closed.fd;
    closed.close();
    const next = await connected(thread, server.port);
    expect(next.fd).toBe(number);
    expect(closed.send(thread.arena, 0, 1)).toBe(-ERRNO.EBADF);
    expect(closed.receive(thread.arena, 0, 1)).toBe(-ERRNO.EBADF);
    expect(closed.endWriting()).toBe(-ERRNO.EBADF);
    expect(thread.loop.modify(closed, EPOLL.IN)).toBe(-ERRNO.EBADF);
    closed.close();
    closed.reset();
    expect(next.send(thread.arena, 0, 1)).toBe(1);
  });

  test('given away stay open, and are the loop business no more', async () => {
    using thread = new LoopThread();
    await using server = await serving();
    const held = thread.descriptors.count;
    const stream = await connected(thread, server.port);
    const number = stream.release();
    expect(number).toBeGreaterThan(0);
    expect(thread.descriptors.count).toBe(held);
    const again = new StreamSocket(thread.loop, thread.descriptors.adopt(number));
    expect(again.send(thread.arena, 0, 1)).toBe(1);
    again.close();
    expect(stream.release()).toBe(-ERRNO.EBADF);
  });
});

describe('faults', () => {
  test('out of descriptors clients wait and are taken in when there is room', async () => {
    const first = openDescriptors();
    using thread = new LoopThread(first + 24);
    using server = listening(thread);
    const clients = Array.from({ length: 40 }, () => connect({ host: HOST, port: server.port }));
    for (const client of clients) client.on('error', () => {});
    await thread.until('the limit', () => server.failures.length > 0);
    expect(server.failures[0]).toBe(-ERRNO.EMFILE);
    const taken = server.clients.length;
    expect(taken).toBeLessThan(40);
    for (const { stream } of server.clients) stream.close();
    for (const client of clients) client.destroy();
    await thread.until('the next', () => server.clients.length > taken);
  });

  test('a port in use, an address of nobody and no address are told apart', () => {
    const options = { address: HOST, port: 0, backlog: 1, reusePort: false };
    using taken = openStreamListener(options);
    const codes = (open: () => unknown): unknown => {
      try {
        return open();
      } catch (error) {
        const { code, cause } = error as { code?: string; cause?: { code?: string } };
        return [code, cause?.code];
      }
    };
    expect(codes(() => openStreamListener({ ...options, port: taken.port }))).toEqual([
      'LISTEN_FAILED',
      'EADDRINUSE',
    ]);
    expect(codes(() => openStreamListener({ ...options, address: '192.0.2.1' }))).toEqual([
      'LISTEN_FAILED',
      'EADDRNOTAVAIL',
    ]);
    expect(codes(() => openStreamListener({ ...options, address: 'web' }))).toEqual([
      'ADDRESS_INVALID',
      undefined,
    ]);
  });

  test('an address of nobody can be listened on by who may (IP_TRANSPARENT)', (context) => {
    if (process.getuid?.() !== 0) context.skip('needs net_admin');
    for (const address of ['192.0.2.1', '2001:db8::1']) {
      using listener = openStreamListener({
        address,
        port: 0,
        backlog: 1,
        reusePort: false,
        transparent: true,
      });
      expect(listener).toMatchObject({ address });
    }
  });

  test('a port is shared by those who say so, and by no one else', () => {
    const options = { address: HOST, port: 0, backlog: 1 };
    using first = openStreamListener({ ...options, reusePort: true });
    using second = openStreamListener({ ...options, port: first.port, reusePort: true });
    expect(second.port).toBe(first.port);
    expect(() => openStreamListener({ ...options, port: first.port, reusePort: false })).toThrow(/in use/);
  });

  test('no region outside the arena reaches the kernel', async () => {
    using thread = new LoopThread();
    await using server = await serving();
    const stream = await connected(thread, server.port);
    const arena = new Arena(4_096);
    const vectors = new IoVectors(new Arena(4_096), 4);
    const odd = fc.oneof(
      fc.integer(),
      fc.double(),
      fc.constantFrom(-1, 4_096, 4_097, NaN, Infinity, 2 ** 53),
    );
    fc.assert(
      fc.property(odd, odd, (at, size) => {
        const fits = at >= 0 && size >= 0 && at + size <= arena.bytes.length;
        if (fits) return;
        expect(() => stream.send(arena, at, size)).toThrow(/lies outside/);
        expect(() => stream.receive(arena, at, size)).toThrow(/lies outside/);
        expect(() => vectors.push(at, size)).toThrow(/lies outside/);
        vectors.clear();
      }),
    );
  });

  test('a wake-up ends one wait, however often it was sent', () => {
    using thread = new LoopThread();
    const calm = performance.now();
    for (let i = 0; i < 5; i++) thread.wakeUp.wake();
    thread.loop.turn(60_000);
    const woken = performance.now();
    thread.loop.turn(20);
    expect(woken - calm).toBeLessThan(50_000);
    expect(performance.now() - woken).toBeGreaterThan(10);
  });

  test('a loop that is closed leaves no descriptor behind, nor does a thread that died', async () => {
    const before = openDescriptors();
    await using server = await serving();
    const kept = openDescriptors();
    {
      using thread = new LoopThread();
      for (let i = 0; i < 10; i++) dialled(thread, server.port);
    }
    await new Promise((resolve) => setImmediate(resolve));
    const thread = new LoopThread();
    dialled(thread, server.port);
    thread.descriptors.closeAll(); // by its owner
    expect(thread.descriptors.memory.includes(1)).toBe(false);
    expect(kept).toBeGreaterThan(before - 1);
  });
});

test('thousands of connections that come, talk and are cut in any order leave nothing behind', async () => {
  const before = openDescriptors();
  {
    using thread = new LoopThread();
    using server = listening(thread);
    let answered = 0;
    const rounds = 40;
    for (let round = 0; round < rounds; round++) {
      const dials = Array.from({ length: 25 }, () => dialled(thread, server.port));
      let got = 0;
      for (const dial of dials) {
        thread.loop.add(dial, EVERYTHING, {
          ready: (events) => {
            if (events & EPOLL.OUT) dial.send(thread.arena, 0, 8);
            if (events & EPOLL.IN && dial.receive(thread.arena, 100, 8) === 8) got++;
          },
        });
      }
      await thread.until('the clients', () => server.clients.length === 25);
      for (const { stream } of server.clients) {
        thread.loop.add(stream, EPOLL.IN, {
          ready: () => {
            const size = stream.receive(thread.arena, 200, 100);
            if (size > 0) stream.send(thread.arena, 200, size);
            else stream.close();
          },
        });
      }
      await thread.until('the answers', () => got >= 25);
      answered += got;
      dials.forEach((dial, i) => (i % 3 === 0 ? dial.reset() : dial.close()));
      server.clients.splice(0).forEach(({ stream }, i) => (i % 2 === 0 ? stream.reset() : stream.close()));
    }
    expect(answered).toBeGreaterThanOrEqual(25 * rounds);
    thread.loop.turn(0);
    expect(thread.descriptors.count).toBe(1); // epoll itself
  }
  expect(openDescriptors()).toBeLessThanOrEqual(before + 5);
});
