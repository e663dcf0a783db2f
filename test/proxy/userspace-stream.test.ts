import { expect, test } from 'vitest';
import type { StreamSessionDeps } from '../../proxy/userspace/native/stream-session.ts';
import { StreamSession } from '../../proxy/userspace/native/stream-session.ts';
import { PipePool } from '../../proxy/userspace/native/pipe-pool.ts';
import { PortState } from '../../proxy/userspace/port-state.ts';
import { relayContext, unknownNode } from '../../proxy/userspace/relay-context.ts';
import { RELAY_READ_BYTES } from '../../proxy/limits.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { EPOLL } from '../../src/net/native/abi.ts';
import { Acceptor } from '../../src/net/native/acceptor.ts';
import { Arena } from '../../src/net/native/arena.ts';
import { openStreamListener } from '../../src/net/native/stream-listener.ts';
import { dialStream, socketName, StreamSocket } from '../../src/net/native/stream-socket.ts';
import { LoopThread } from '../net/native/loop-thread.ts';
import { relayLimits, servicePortView } from './userspace-world.ts';

const HOST = '127.244.45.1';
const MESSAGE_BYTES = 1_024;
const MESSAGES = 4_000;
/** Of V8's own bookkeeping, the test's included: a buffer or a closure a message would be far more. */
const BYTES_A_MESSAGE = 60;

/** A client, the relay and an echoing endpoint in one loop, all by system calls: nothing of node:net allocates. */
function chain(thread: LoopThread) {
  const { loop, arena } = thread;
  const endpoint = openStreamListener({ address: HOST, port: 0, backlog: 8, reusePort: false });
  const echo = new Acceptor(loop, endpoint.fd, {
    accepted: (stream) => {
      loop.add(stream, EPOLL.IN, {
        ready: () => {
          const size = stream.receive(arena, 0, MESSAGE_BYTES);
          if (size > 0) stream.send(arena, 0, size);
          else stream.close();
        },
      });
    },
    failed: () => expect.unreachable(),
  });
  const options = { limits: relayLimits, proxyProtocol: undefined, node: unknownNode('IPv4') };
  const context = relayContext({ clock: systemClock, log: silentLogger }, options);
  const port = new PortState(context, servicePortView('shop/web', HOST, endpoint.port));
  const memory = new Arena(RELAY_READ_BYTES);
  const pipes = new PipePool(thread.descriptors);
  const shared: StreamSessionDeps['thread'] = { loop, arena: memory, buffer: 0, pipes };
  const door = openStreamListener({ address: HOST, port: 0, backlog: 8, reusePort: false });
  const entrance = new Acceptor(loop, door.fd, {
    accepted: (stream, peer) => {
      const { address: clientAddress, port: clientPort } = peer();
      const client = { context, port, entrance: 'cluster-ip', clientAddress } as const;
      new StreamSession({ thread: shared, client, clientPort }, stream).start(port.view.clusterEndpoints);
    },
    failed: () => expect.unreachable(),
  });
  return {
    context,
    counters: port.counters,
    doorPort: door.port,
    [Symbol.dispose]() {
      for (const each of [echo, entrance, endpoint, door]) each[Symbol.dispose]();
    },
  };
}

test('a message of a kept connection allocates next to nothing', async () => {
  using thread = new LoopThread();
  using relay = chain(thread);
  const client = dialStream(thread.loop, socketName({ address: HOST, port: relay.doorPort }));
  if (!(client instanceof StreamSocket)) throw new Error('no connection');
  let back = 0;
  thread.loop.add(client, EPOLL.IN, {
    ready: () => {
      back += Math.max(0, client.receive(thread.arena, 0, MESSAGE_BYTES));
      if (back % MESSAGE_BYTES === 0) client.send(thread.arena, 0, MESSAGE_BYTES);
    },
  });
  await thread.until('the connection', () => client.send(thread.arena, 0, MESSAGE_BYTES) > 0);
  const exchange = (messages: number): void => {
    const end = back + messages * MESSAGE_BYTES;
    const isOver = (): boolean => back >= end;
    while (!isOver()) thread.loop.turn();
  };
  exchange(4 * MESSAGES); // until V8 has compiled it
  const growths = Array.from({ length: 5 }, () => {
    const before = process.memoryUsage().heapUsed;
    exchange(MESSAGES);
    return (process.memoryUsage().heapUsed - before) / MESSAGES;
  });
  // a collection in between only hides growth, hence the best of five is no proof and the middle one is
  expect(growths.sort((a, b) => a - b)[2]).toBeLessThan(BYTES_A_MESSAGE);
  expect(relay.counters.bytesIn).toBeGreaterThanOrEqual(9 * MESSAGES * MESSAGE_BYTES);
  client.close();
  await thread.until('the end', () => relay.context.tcp.size === 0);
  expect(relay.counters.active).toBe(0);
});
