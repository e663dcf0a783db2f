import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TLS_HANDSHAKE_MS } from '../../ingress/limits.ts';
import { clientHello } from '../support/client-hello.ts';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { ask } from './support/client.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** TLS handshakes that do not come to their end, on whichever engine. */
const PATIENCE_MS = TLS_HANDSHAKE_MS + 60_000;
let backend: Backend;
let rig: Rig;

beforeAll(async () => {
  backend = await Backend.open();
  rig = await Rig.open([...service('web', backend.endpoint), ingress()]);
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

class Caller {
  readonly socket: net.Socket;
  closed = false;

  constructor(bytes: Uint8Array) {
    this.socket = net.connect(rig.https, '127.0.0.1').setNoDelay(true);
    this.socket.resume();
    this.socket.on('error', () => {});
    this.socket.on('close', () => (this.closed = true));
    this.socket.write(bytes);
  }
}

describe('a handshake', { timeout: 2 * PATIENCE_MS }, () => {
  test('has its time and no more, wherever it stalls', async () => {
    const hello = await clientHello({ servername: 'web.test', ALPNProtocols: ['http/1.1'] });
    const callers = [0, 1, 5, 43, hello.length - 1, hello.length].map(
      (bytes) => new Caller(hello.subarray(0, bytes)),
    );
    const dripping = new Caller(hello.subarray(0, 9));
    let at = 9;
    const drips = setInterval(() => dripping.socket.write(hello.subarray(at, ++at)), 250);
    expect((await ask(rig.https, { sni: 'web.test' })).status).toBe(200);
    await waitFor('their end', () => [...callers, dripping].every(({ closed }) => closed), PATIENCE_MS);
    clearInterval(drips);
    expect((await ask(rig.https, { sni: 'web.test' })).status).toBe(200);
  });

  test('whose hello never ends, a byte at a time, ends soon', async () => {
    // a record of full length of a message that is longer
    const caller = new Caller(Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0xf0, 0]));
    const bytes = Buffer.alloc(20_000, 1);
    for (let i = 0; i < bytes.length && !caller.closed; i++)
      await new Promise((resolve) =>
        caller.socket.write(bytes.subarray(i, i + 1), () => setImmediate(resolve)),
      );
    await waitFor('its end', () => caller.closed, PATIENCE_MS);
    expect((await ask(rig.https, { sni: 'web.test' })).status).toBe(200);
  });

  test('may come byte by byte', async () => {
    const door = net.createServer((from) => {
      const to = net.connect(rig.https, '127.0.0.1').setNoDelay(true);
      to.pipe(from);
      for (const each of [from, to]) each.on('error', () => each.destroy());
      let last = Promise.resolve();
      from.on('data', (bytes: Buffer) => {
        for (const byte of bytes)
          last = last.then(
            () => new Promise((resolve) => to.write(Uint8Array.of(byte), () => setImmediate(resolve))),
          );
      });
      from.on('close', () => to.destroy());
    });
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    const { port } = door.address() as net.AddressInfo;
    expect((await ask(port, { sni: 'web.test' })).status).toBe(200);
    door.close();
  });
});
