import { readdirSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { selfSignedCertificate } from '../../src/net/self-signed.ts';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { ask, talk } from './support/client.ts';
import { ingress, secret, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** WebSockets through http-proxy, over HTTP/1.1 and extended CONNECT, and what must not become a tunnel. */
let backend: Backend;
let rig: Rig;
let sockets: WebSocketServer;

beforeAll(async () => {
  backend = await Backend.open();
  sockets = new WebSocketServer({ noServer: true });
  backend.server.on('upgrade', (request, socket: net.Socket, head) => {
    socket.on('error', () => {});
    if (request.url === '/no') {
      socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nX-Why: login\r\n\r\nsorr');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', () => {});
      ws.send(JSON.stringify({ url: request.url, headers: request.headers }));
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    });
  });
  const pair = await selfSignedCertificate('web.test', ['web.test'], Date.now());
  const dead = net.createServer().listen(0, '127.0.0.2');
  await once(dead, 'listening');
  const deadPort = (dead.address() as net.AddressInfo).port;
  dead.close();
  rig = await Rig.open([
    ...service('web', backend.endpoint),
    ...service('halfdead', `127.0.0.2:${deadPort}`, backend.endpoint),
    secret('pair', { 'tls.crt': pair.cert, 'tls.key': pair.key }, 'kubernetes.io/tls'),
    ingress({ tls: 'pair', annotations: { 'ssl-redirect': 'false', affinity: 'cookie' } }),
    ingress({ host: 'half.test', service: 'halfdead' }),
  ]);
});

afterAll(async () => {
  sockets.close();
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

function connect(path: string, host = 'web.test', port = rig.http): WebSocket {
  const scheme = port === rig.https ? 'wss' : 'ws';
  return new WebSocket(`${scheme}://127.0.0.1:${port}${path}`, {
    headers: { host, 'x-real-ip': '6.6.6.6' },
    rejectUnauthorized: false,
    servername: host,
  } as ClientOptions);
}

function nextMessage(ws: WebSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    ws.once('message', (data: Buffer) => resolve(data.toString()));
    ws.once('error', reject);
  });
}

describe('WebSocket', () => {
  test.for([['plain'], ['tls']] as const)('%s: handshake, messages both ways, close', async ([how]) => {
    const ws = connect('//a//b?x=1%2F', 'web.test', how === 'tls' ? rig.https : rig.http);
    const hello = JSON.parse(await nextMessage(ws)) as { url: string; headers: Record<string, string> };
    expect(hello.url).toBe('//a//b?x=1%2F');
    expect(hello.headers).toMatchObject({
      host: 'web.test',
      'x-real-ip': '127.0.0.1',
      'x-forwarded-proto': how === 'tls' ? 'https' : 'http',
    });
    const big = 'x'.repeat(300_000);
    ws.send(big);
    expect(await nextMessage(ws)).toBe(big);
    ws.close(1000);
    expect((await once(ws, 'close'))[0]).toBe(1000);
  });

  test('the answer of 101 carries what the policies add', async () => {
    const ws = connect('/');
    const [response] = (await once(ws, 'upgrade')) as [{ headers: Record<string, unknown> }];
    expect(String(response.headers['set-cookie'])).toContain('INGRESSCOOKIE=');
    ws.terminate();
  });

  test('a refusal is an ordinary answer', async () => {
    const told = await ask(rig.http, {
      path: '/no',
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    });
    expect([told.status, told.headers['x-why'], told.body]).toEqual([401, 'login', 'sorr']);
  });

  test('moves on to another endpoint while nothing was sent', async () => {
    for (let i = 0; i < 6; i++) {
      const ws = connect('/', 'half.test');
      await nextMessage(ws);
      ws.terminate();
    }
  });

  test('extended CONNECT of HTTP/2 is the same to the backend (RFC 8441)', async () => {
    const session = http2.connect(`https://127.0.0.1:${rig.https}`, {
      rejectUnauthorized: false,
      servername: 'web.test',
    });
    await once(session, 'remoteSettings');
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': '/h2',
      ':authority': 'web.test',
      'sec-websocket-version': '13',
    });
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    expect(headers[':status']).toBe(200);
    expect(headers).not.toHaveProperty('sec-websocket-accept');
    const [first] = (await once(stream, 'data')) as [Buffer];
    expect(first.toString()).toContain('"url":"/h2"');
    // a masked text frame `hi` with a zero mask, echoed unmasked
    stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 104, 105]));
    const [echo] = (await once(stream, 'data')) as [Buffer];
    expect(echo.toString('latin1')).toBe('\x81\x02hi');
    stream.destroy();
    session.destroy();
  });
});

describe('what makes no tunnel', () => {
  test.for([['h2c'], ['websocket, h2c'], ['TLS/1.0'], ['HTTP/2.0']] as const)(
    'Upgrade: %s is not passed on',
    async ([upgrade]) => {
      const told = await ask(rig.http, { headers: { connection: 'Upgrade', upgrade } });
      expect(told.status).toBe(200);
      expect(backend.last.headers).not.toHaveProperty('upgrade');
    },
  );

  test('bytes sent before the answer to a refused upgrade are a request of their own', async () => {
    const told = await talk(
      rig.http,
      'GET /no HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /next HTTP/1.1\r\nHost: nobody.test\r\n\r\n',
    );
    expect(told.text).toMatch(/^HTTP\/1.1 401 [^]*HTTP\/1.1 404 /);
  });
});

test('10,000 connects and disconnects leave no descriptor behind', async () => {
  const TOTAL = 10_000;
  const AT_ONCE = 40;
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const handshake =
    'GET /x HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  const before = descriptors();
  let done = 0;
  let switched = 0;
  const one = (nth: number): Promise<void> =>
    new Promise((resolve) => {
      const socket = net.connect(rig.http, '127.0.0.1', () => socket.write(handshake));
      socket.once('data', (bytes: Buffer) => {
        if (bytes.toString('latin1', 0, 12) === 'HTTP/1.1 101') switched++;
        // each way to vanish: FIN, abort, reset
        if (nth % 3 === 0) socket.end();
        else if (nth % 3 === 1) socket.destroy();
        else socket.resetAndDestroy();
      });
      // and before the answer has come
      if (nth % 50 === 49) setImmediate(() => socket.destroy());
      socket.on('error', () => {});
      socket.on('close', () => resolve());
    });
  const worker = async (): Promise<void> => {
    while (done < TOTAL) await one(done++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  expect(switched).toBeGreaterThan(TOTAL * 0.9);
  await waitFor('every tunnel to end', () => sockets.clients.size === 0);
  await waitFor('descriptors to be given back', () => descriptors() <= before + 5);
});
