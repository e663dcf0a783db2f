import { once } from 'node:events';
import net from 'node:net';
import { expect, test } from 'vitest';
import { acceptLent, LentSocket } from '../../ingress/lent-socket.ts';
import { holdForWriting, releaseWritten } from '../../ingress/write-buffers.ts';
import { waitFor } from '../support/wait-for.ts';

async function listening(accept: (socket: net.Socket) => void): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }, accept).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port;

test('accepted sockets lend what they read, and the same memory is lent again', async () => {
  const accepted: net.Socket[] = [];
  const server = await listening(() => expect.fail('the ordinary way'));
  acceptLent(server, (socket) => accepted.push(socket));
  const client = net.connect(portOf(server), '127.0.0.1');
  await waitFor('the connection', () => accepted.length === 1);
  const [socket] = accepted;
  if (!(socket instanceof LentSocket)) return expect.fail('not a lent socket');
  const kept: Buffer[] = [];
  const seen: string[] = [];
  socket.reader = (bytes) => {
    kept.push(bytes);
    seen.push(bytes.toString());
  };
  socket.resume();
  for (const word of ['one', 'two']) {
    client.write(word);
    await waitFor(word, () => seen.includes(word));
  }
  expect(kept.map(String)).toEqual(['two', 'two']);
  socket.reader = undefined;
  client.write('three');
  expect(String(await once(socket, 'data'))).toBe('three');
  client.end();
  await once(socket, 'end');
  socket.destroy();
  server.close();
});

test('a server without the accept callback of node:net serves the ordinary way', async () => {
  const server = await listening((socket) => socket.end('hello'));
  acceptLent(Object.create(server, { _handle: { value: {} } }) as net.Server, () => expect.fail('lent'));
  const client = net.connect(portOf(server), '127.0.0.1');
  expect(String(await once(client, 'data'))).toBe('hello');
  client.destroy();
  server.close();
});

test.each([1, 2047, 2048, 16_384, 16_385, 65_536, 65_537])(
  '%d bytes are held until they are written',
  (length) => {
    const bytes = Buffer.alloc(length, 'x');
    const held = holdForWriting(bytes);
    bytes.fill('y');
    expect(held.equals(Buffer.alloc(length, 'x'))).toBe(true);
    releaseWritten(held);
    const again = holdForWriting(bytes);
    expect(again.buffer === held.buffer && length >= 2048).toBe(length >= 2048 && length <= 65_536);
  },
);
