import http2 from 'node:http2';
import https from 'node:https';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Registry } from '../../../src/base/metrics.ts';
import { selfSignedCertificate } from '../../../src/net/self-signed.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { waitFor } from '../../support/wait-for.ts';
import { Backend } from '../support/backend.ts';
import { ask } from '../support/client.ts';
import { configMap, ingress, secret, service } from '../support/objects.ts';
import type { Rig } from '../support/rig.ts';

/** What only TLS of the native engine has: names, protocols, certificates that change, and clients that misbehave. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
process.env['WEFT_INGRESS_WORKERS'] = '2';
const { Rig: NativeRig } = await import('../support/rig.ts');

const PATIENCE_MS = 20_000;
const HSTS = 'max-age=31536000; includeSubDomains';
const metrics = new Registry();
let backend: Backend;
let rig: Rig;

/** A Secret whose certificate is for these names. */
async function certificate(name: string, ...names: readonly string[]): Promise<UnknownObject> {
  const pair = await selfSignedCertificate(names[0]!, names, Date.now());
  return secret(name, { 'tls.crt': pair.cert, 'tls.key': pair.key }, 'kubernetes.io/tls');
}

beforeAll(async () => {
  backend = await Backend.open();
  rig = await NativeRig.open(
    [
      ...service('web', backend.endpoint),
      await certificate('web', 'web.test'),
      await certificate('wild', '*.wild.test'),
      secret('ca', { 'ca.crt': (await selfSignedCertificate('ca', ['ca'], Date.now())).cert }),
      ingress({ tls: 'web', annotations: { 'proxy-body-size': '0' } }),
      ingress({ host: '*.wild.test', tls: 'wild' }),
      ingress({ host: 'slow.test', annotations: { 'custom-http-errors': '418' } }),
      ingress({ host: 'asks.test', annotations: { 'auth-tls-secret': 'default/ca' } }),
      ingress({ host: 'through.test', annotations: { 'ssl-passthrough': 'true' } }),
    ],
    { deps: { metrics }, configMap: 'default/settings' },
  );
});

beforeEach(() => {
  backend.answer = (_, response) => response.end('ok');
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

async function sample(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const { values } = await metrics.getSingleMetric(name)!.get();
  const match = values.filter((value) =>
    Object.entries(labels).every(([key, wanted]) => value.labels[key as never] === wanted),
  );
  return match.reduce((sum, { value }) => sum + value, 0);
}
const handedOver = (why: string): Promise<number> => sample('weft_ingress_handed_over_total', { why });
const refused = (reason: string): Promise<number> =>
  sample('weft_ingress_connections_refused_total', { reason });

/** A connection after its handshake; the caller destroys it. */
function connect(options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      { port: rig.https, host: '127.0.0.1', rejectUnauthorized: false, ...options },
      () => resolve(socket),
    );
    socket.on('error', reject);
  });
}

const namesOf = (socket: tls.TLSSocket): string | undefined =>
  socket.getPeerX509Certificate()?.subjectAltName;

describe('a server name', () => {
  test.for([
    ['of a rule', 'web.test', 'DNS:web.test'],
    ['under a wildcard', 'a.wild.test', 'DNS:*.wild.test'],
    ['deeper than its wildcard', 'a.b.wild.test', 'DNS:ingress.local'],
    ['of nobody', 'nobody.test', 'DNS:ingress.local'],
  ] as const)('%s has its certificate, in the worker', async ([, servername, names]) => {
    const before = await handedOver('handshake');
    const socket = await connect({ servername, ALPNProtocols: ['http/1.1'] });
    expect([namesOf(socket), socket.alpnProtocol, socket.getProtocol()]).toEqual([
      names,
      'http/1.1',
      'TLSv1.3',
    ]);
    socket.destroy();
    expect(await handedOver('handshake')).toBe(before);
  });

  test.for(['slow.test', 'through.test'])('%s is handed over before the handshake', async (servername) => {
    const before = await handedOver('handshake');
    await connect({ servername }).then(
      (socket) => socket.destroy(),
      () => {}, // the endpoint behind through.test speaks no TLS
    );
    expect(await handedOver('handshake')).toBe(before + 1);
  });

  test('that asks for client certificates is not reached by another name', async () => {
    const { status } = await ask(rig.https, { sni: 'web.test', host: 'asks.test' });
    expect(status).toBe(400);
  });
});

describe('a protocol', () => {
  const h2 = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const session = http2.connect(`https://127.0.0.1:${rig.https}`, {
        servername: 'web.test',
        rejectUnauthorized: false,
      });
      session.on('error', reject);
      const stream = session.request({ ':path': '/', ':authority': 'web.test' });
      stream.on('response', (head) => {
        session.destroy();
        resolve(Number(head[':status']));
      });
      stream.on('error', reject);
    });

  test('HTTP/2 is handed over with the first byte', async () => {
    const before = await handedOver('handshake');
    expect(await h2()).toBe(200);
    expect(await handedOver('handshake')).toBe(before + 1);
  });

  test('without HTTP/2 in the settings stays HTTP/1.1', async () => {
    await rig.apply(configMap('settings', { 'use-http2': 'false' }));
    const before = await handedOver('handshake');
    const socket = await connect({ servername: 'web.test', ALPNProtocols: ['h2', 'http/1.1'] });
    await rig.apply(configMap('settings', {}));
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
    expect(await handedOver('handshake')).toBe(before);
  });

  test('that nobody speaks is refused', async () => {
    await expect(connect({ ALPNProtocols: ['spdy/3'] })).rejects.toThrow(/alert/);
  });

  test('older than the settings allow is refused', async () => {
    await rig.apply(configMap('settings', { 'ssl-protocols': 'TLSv1.3' }));
    const older = connect({ servername: 'web.test', maxVersion: 'TLSv1.2' });
    await expect(older).rejects.toThrow(/alert/);
    await rig.apply(configMap('settings', {}));
    (await connect({ servername: 'web.test', maxVersion: 'TLSv1.2' })).destroy();
  });
});

describe('an answer', () => {
  const web = { sni: 'web.test' };

  test("has Strict-Transport-Security once, ours instead of the endpoint's", async () => {
    const heads = [
      {},
      { 'strict-transport-security': 'max-age=1' },
      { 'Strict-Transport-Security': 'x', a: 'b' },
    ];
    for (const head of heads) {
      backend.answer = (_, response) => response.writeHead(200, head).end('ok');
      const { rawHeaders, headers } = await ask(rig.https, web);
      expect(headers['strict-transport-security']).toBe(HSTS);
      expect(rawHeaders.filter((each) => each.toLowerCase() === 'strict-transport-security').length).toBe(1);
    }
    backend.answer = (_, response) => response.end('ok');
    const other = await ask(rig.https, { sni: 'nobody.test', host: 'slow.test' });
    expect(other.headers['strict-transport-security']).toBeUndefined();
  });

  test('has the fields of the portable engine, in its order', async () => {
    backend.answer = (_, response) => response.writeHead(201, { 'x-a': '1', 'x-b': '2' }).end('created');
    const ours = await ask(rig.https, web);
    // what is handed over is answered by the portable engine
    const theirs = await ask(rig.https, { ...web, headers: { expect: '100-continue', 'content-length': 0 } });
    const names = (raw: readonly string[]): string[] => raw.filter((_, i) => i % 2 === 0);
    expect(names(ours.rawHeaders)).toEqual(names(theirs.rawHeaders));
  });

  test('tells the endpoint of https, and redirects who comes without', async () => {
    await ask(rig.https, web);
    const { headers } = backend.last;
    expect([headers['x-forwarded-proto'], headers['x-scheme'], headers['x-forwarded-port']]).toEqual([
      'https',
      'https',
      String(rig.https),
    ]);
    const plain = await ask(rig.http);
    expect([plain.status, plain.headers.location]).toEqual([308, `https://web.test:${rig.https}/`]);
  });
});

describe('what the fast path hands over', () => {
  test('goes on through the worker, whole, both ways', async () => {
    const big = Buffer.alloc(6 * 1024 * 1024, 'abcdefghijklmnop');
    backend.answer = (_, response) => response.end(big);
    const before = await handedOver('serve');
    const { status, body } = await ask(rig.https, {
      sni: 'web.test',
      method: 'POST',
      headers: { expect: '100-continue' },
      body: big,
    });
    expect([status, body === big.toString('latin1'), backend.last.body.length]).toEqual([
      200,
      true,
      big.length,
    ]);
    expect(await handedOver('serve')).toBe(before + 1);
  });

  test('keeps its connection for the requests after it', async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await ask(rig.https, { sni: 'web.test', agent })).status).toBe(200);
    expect((await ask(rig.https, { sni: 'web.test', host: 'nobody.test', agent })).status).toBe(404);
    expect((await ask(rig.https, { sni: 'web.test', agent })).status).toBe(200);
    agent.destroy();
  });
});

describe('certificates and tables that change', () => {
  test('under load drop nothing, and the newest is shown', async () => {
    const over = new AbortController();
    const outcomes = new Map<string, number>();
    const count = (outcome: string): void => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const kept = new https.Agent({ keepAlive: true, maxSockets: 4 });
    const client = async (nth: number): Promise<void> => {
      while (!over.signal.aborted)
        await ask(rig.https, { sni: 'web.test', ...(nth % 2 === 0 && { agent: kept }) }).then(
          ({ status, cut }) => count(cut ? 'cut' : String(status)),
          (error: NodeJS.ErrnoException) => count(error.code ?? error.message),
        );
    };
    const clients = Array.from({ length: 6 }, (_, nth) => client(nth));
    for (let n = 0; n < 12; n++)
      await rig.apply(
        await certificate('web', 'web.test', `n${n}.test`),
        ingress({ host: 'more.test', path: `/${n}` }),
      );
    over.abort();
    await Promise.all(clients);
    kept.destroy();
    expect([...outcomes.keys()]).toEqual(['200']);
    const socket = await connect({ servername: 'web.test' });
    expect(namesOf(socket)).toBe('DNS:web.test, DNS:n11.test');
    socket.destroy();
  });

  test('of others leave sessions to be resumed, by either worker', async () => {
    let session: Buffer | undefined;
    const reused: boolean[] = [];
    for (let n = 0; n < 8; n++) {
      if (n === 4) await rig.apply(ingress({ host: 'more.test', path: '/other' }));
      const socket = await connect({ servername: 'a.wild.test', ...(session && { session }) });
      socket.on('session', (given) => (session = given));
      socket.write('GET / HTTP/1.1\r\nHost: a.wild.test\r\n\r\n');
      await waitFor('an answer and a ticket', () => socket.bytesRead > 0 && session, PATIENCE_MS);
      reused.push(socket.isSessionReused());
      socket.destroy();
    }
    expect(reused).toEqual([false, ...Array.from({ length: 7 }, () => true)]);
  });
});

describe('a client that misbehaves', () => {
  /** Says this without TLS; resolves when the server has closed. */
  const say = (bytes: Uint8Array | string, isEnd = false): Promise<string> =>
    new Promise((resolve) => {
      const socket = net.connect(rig.https, '127.0.0.1');
      let got = '';
      socket.on('data', (data: Buffer) => (got += data.toString('latin1')));
      socket.on('error', () => {});
      socket.on('close', () => resolve(got));
      if (isEnd) socket.end(bytes);
      else socket.write(bytes);
    });
  const record = (length: number): Buffer => Buffer.from([22, 3, 1, length >> 8, length & 255]);

  test.for<[string, string | Buffer, string]>([
    ['without TLS', 'GET / HTTP/1.1\r\nHost: web.test\r\n\r\n', 'not a TLS handshake'],
    ['with an empty record', record(0), 'bad TLS record length'],
    ['with another message', Buffer.concat([record(5), Buffer.from([2, 0, 0, 1, 0])]), 'not a ClientHello'],
    [
      'with a hello of 100 KB',
      Buffer.concat([record(5), Buffer.from([1, 1, 0x86, 0xa0, 0])]),
      'ClientHello too large',
    ],
    [
      'with a hello that is too long for us',
      Buffer.concat([record(16_384), Buffer.from([1, 0, 0x50, 0]), Buffer.alloc(16_380), record(16_384)]),
      'first bytes too long',
    ],
  ])('%s is closed, and counted', async ([, bytes, reason]) => {
    const before = await refused(reason);
    expect(await say(bytes)).toBe('');
    await waitFor('the count', async () => (await refused(reason)) === before + 1, PATIENCE_MS);
  });

  test('leaves in the middle of its hello', async () => {
    expect(await say(Buffer.concat([record(512), Buffer.from([1, 0, 1])]), true)).toBe('');
  });

  test('whose hello OpenSSL does not take is told so by an alert', async () => {
    const body = Buffer.alloc(2 + 32 + 1 + 4 + 2);
    body.writeUInt16BE(0x0303);
    body.writeUInt16BE(2, 35);
    body.writeUInt16BE(0x1301, 37);
    body.writeUInt8(1, 39);
    const hello = Buffer.concat([record(body.length + 4), Buffer.from([1, 0, 0, body.length]), body]);
    const before = await refused('tls');
    expect((await say(hello)).charCodeAt(0)).toBe(21);
    await waitFor('the count', async () => (await refused('tls')) === before + 1, PATIENCE_MS);
  });

  /** A proxy that lets so many bytes of the client pass, then resets both sides. */
  const cutAfter = async (bytesMax: number): Promise<void> => {
    const server = net.createServer((client) => {
      const upstream = net.connect(rig.https, '127.0.0.1');
      let left = bytesMax;
      const reset = (): void => {
        client.resetAndDestroy();
        upstream.resetAndDestroy();
      };
      client.on('error', () => {});
      upstream.on('error', () => {});
      upstream.on('data', (bytes) => client.write(bytes));
      client.on('data', (bytes) => {
        upstream.write(bytes.subarray(0, left), () => left <= 0 && reset());
        left -= bytes.length;
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    await new Promise<void>((resolve) => {
      const socket = tls.connect({
        port,
        host: '127.0.0.1',
        servername: 'web.test',
        rejectUnauthorized: false,
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.write('POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 5\r\n\r\nhello');
      socket.on('data', () => socket.destroy());
    });
    server.close();
  };

  test('is reset anywhere, and nothing of it stays', async () => {
    expect((await ask(rig.https, { sni: 'web.test' })).status).toBe(200);
    const connections = (): Promise<number> =>
      sample('nginx_ingress_controller_nginx_process_connections', { state: 'active' });
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const [active, open] = [await connections(), descriptors()];
    for (let at = 1; at < 700; at += 9) await cutAfter(at);
    await waitFor('the connections to be gone', async () => (await connections()) <= active, PATIENCE_MS);
    await waitFor('the descriptors to be closed', () => descriptors() <= open + 16, PATIENCE_MS);
    expect((await ask(rig.https, { sni: 'web.test' })).status).toBe(200);
    await waitFor(
      'the requests to be over',
      async () => (await sample('weft_ingress_requests_active')) === 0,
      PATIENCE_MS,
    );
  });

  test('many at once are served in turns', async () => {
    const sockets = await Promise.all(Array.from({ length: 120 }, () => connect({ servername: 'web.test' })));
    expect(sockets.length).toBe(120);
    for (const socket of sockets) socket.destroy();
  });
});
