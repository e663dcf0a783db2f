import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { crc32c } from '../../ingress/listen/proxy-protocol.ts';
import { parseCidr } from '../../src/net/cidr.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { Backend, RawBackend } from './support/backend.ts';
import { ask, statusesOf, talk } from './support/client.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';
import { ClusterSet } from '../../ingress/upstream/clusters.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import { silentLogger } from '../../src/base/log.ts';

/** What passes through as the RFCs want it: informational answers, trailers, Expect, PROXY headers, back-pressure. */
let backend: Backend;
let rig: Rig;

beforeAll(async () => {
  backend = await Backend.open();
  rig = await Rig.open([
    ...service('web', backend.endpoint),
    ingress({ annotations: { 'proxy-body-size': '0' } }),
  ]);
});

beforeEach(() => {
  backend.received.length = 0;
  backend.answer = (_, response) => response.end('ok');
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

describe('informational answers', () => {
  test('103 passes, and any number of them', async () => {
    backend.answer = (_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.writeProcessing();
      response.end('ok');
    };
    const told = await ask(rig.http);
    expect([told.interim, told.status]).toEqual([[103, 102], 200]);
  });

  test('none reaches a client of HTTP/1.0', async () => {
    backend.answer = (_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.end('ok');
    };
    const { text, closed } = await talk(rig.http, 'GET / HTTP/1.0\r\nHost: web.test\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(closed).toBe(true);
  });

  test('100 only when the body will be read', async () => {
    const expecting = (length: number): string =>
      `POST / HTTP/1.1\r\nHost: web.test\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
    const { text } = await talk(rig.http, expecting(5), 'hello');
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    expect(backend.last.body).toBe('hello');
    const refused = await talk(rig.http, expecting(5).replace('web.test', 'nobody.test'));
    expect(refused.text).toMatch(/^HTTP\/1\.1 404 /);
  });
});

describe('trailers', () => {
  const trailing = (): void => {
    backend.answer = ({ trailers }, response) => {
      response.writeHead(200, { trailer: 'X-Sum' });
      response.write('body');
      response.addTrailers({ 'X-Sum': trailers['x-in'] ?? 'none' });
      response.end();
    };
  };

  test('both ways over HTTP/1.1', async () => {
    trailing();
    const request = http.request({
      port: rig.http,
      method: 'POST',
      agent: false,
      headers: { host: 'web.test', 'transfer-encoding': 'chunked', trailer: 'X-In' },
    });
    request.write('hello');
    request.addTrailers({ 'X-In': '7' });
    request.end();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    await once(response, 'end');
    expect(response.trailers).toEqual({ 'x-sum': '7' });
  });

  const UNFIT = [
    'Content-Length: 5',
    'Host: evil.test',
    'X-Real-IP: 9.9.9.9',
    'Authorization: Basic eDp5',
    'ssl-client-verify: SUCCESS',
  ];

  test('what frames, routes or logs in does not go behind a body', async () => {
    trailing();
    const { text } = await talk(
      rig.http,
      `POST / HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${UNFIT.join('\r\n')}\r\nX-In: 9\r\n\r\n`,
    );
    expect(statusesOf(text)).toEqual([200]);
    expect(backend.last.trailers).toEqual({ 'x-in': '9' });
    await using lying = await RawBackend.open((socket) =>
      socket.on('data', () =>
        socket.write(
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\nX-Sum: 1\r\n\r\n`,
        ),
      ),
    );
    await rig.apply(...service('lying', lying.endpoint), ingress({ host: 'lying.test', service: 'lying' }));
    expect((await ask(rig.http, { host: 'lying.test' })).trailers).toEqual({ 'x-sum': '1' });
  });

  test('both ways between HTTP/2 and HTTP/1.1', async () => {
    trailing();
    const session = http2.connect(`http://127.0.0.1:${rig.http}`);
    const stream = session.request(
      { ':method': 'POST', ':path': '/', ':authority': 'web.test' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-in': '8' }));
    stream.end('hello');
    const trailers = new Promise((resolve) => stream.once('trailers', resolve));
    stream.resume();
    expect(await trailers).toMatchObject({ 'x-sum': '8' });
    session.close();
  });
});

describe('PROXY protocol', () => {
  const get = 'GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n';
  const open = (trusted: string): Promise<Rig> =>
    Rig.open([...service('web', backend.endpoint), ingress()], {
      settings: { useProxyProtocol: true, trustedProxies: [parseCidr(trusted)!] },
    });
  const v2 = (command: number, checksum: 'right' | 'wrong' | 'none'): Buffer => {
    const tlv = checksum === 'none' ? Buffer.alloc(0) : Buffer.from([3, 0, 4, 0, 0, 0, 0]);
    const addresses = Buffer.from([203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80]);
    const head = Buffer.concat([
      Buffer.from('0d0a0d0a000d0a515549540a', 'hex'),
      Buffer.from([0x20 | command, 0x11, 0, addresses.length + tlv.length]),
      addresses,
      tlv,
    ]);
    if (checksum !== 'none')
      head.writeUInt32BE(crc32c(head) ^ (checksum === 'wrong' ? 1 : 0), head.length - 4);
    return head;
  };

  test('versions 1 and 2 tell the client, from peers we trust', async () => {
    await using proxied = await open('127.0.0.0/8');
    for (const header of ['PROXY TCP4 203.0.113.7 10.0.0.1 4660 80\r\n', v2(1, 'none'), v2(1, 'right')]) {
      const { text } = await talk(proxied.http, Buffer.concat([Buffer.from(header), Buffer.from(get)]));
      expect(statusesOf(text)).toEqual([200]);
      expect(backend.last.headers['x-forwarded-for']).toBe('203.0.113.7');
    }
    await talk(proxied.http, Buffer.concat([v2(0, 'none'), Buffer.from(get)]));
    expect(backend.last.headers['x-forwarded-for']).toBe('127.0.0.1');
  });

  test('byte by byte', async () => {
    await using proxied = await open('127.0.0.0/8');
    const { text } = await talk(
      proxied.http,
      ...`PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n${get}`.split(''),
    );
    expect(statusesOf(text)).toEqual([200]);
    expect(backend.last.headers['x-real-ip']).toBe('2001:db8::7');
  });

  test('anybody else is not believed', async () => {
    await using proxied = await open('10.0.0.0/8');
    await talk(proxied.http, `PROXY TCP4 203.0.113.7 10.0.0.1 4660 443\r\n${get}`);
    expect(backend.last.headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
    });
  });

  test.for([
    ['none', get],
    ['a broken line', `PROXY TCP4 203.0.113.7\r\n${get}`],
    ['ports that are none', `PROXY TCP4 203.0.113.7 10.0.0.1 99999 80\r\n${get}`],
    ['mixed families', `PROXY TCP4 2001:db8::7 10.0.0.1 1 2\r\n${get}`],
    ['a line without end', `PROXY TCP4 ${'1'.repeat(200)}`],
    ['a wrong checksum', Buffer.concat([v2(1, 'wrong'), Buffer.from(get)])],
    ['an unknown command', Buffer.concat([v2(7, 'none'), Buffer.from(get)])],
  ] as const)('with %s the connection ends', async ([, bytes]) => {
    await using proxied = await open('127.0.0.0/8');
    expect(await talk(proxied.http, bytes)).toEqual({ text: '', closed: true });
    expect(backend.received).toEqual([]);
  });
});

describe('back-pressure', () => {
  test('a client that does not read stops the backend', async () => {
    let written = 0;
    const TOTAL = 256 * 1024 * 1024;
    await using endless = await RawBackend.open((socket) => {
      const piece = Buffer.alloc(64 * 1024);
      const pump = (): void => {
        while (written < TOTAL) {
          written += piece.length;
          if (!socket.write(piece)) return void socket.once('drain', pump);
        }
      };
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
        pump();
      });
    });
    await rig.apply(
      ...service('endless', endless.endpoint),
      ingress({ host: 'endless.test', service: 'endless' }),
    );
    const client = net.connect(rig.http, '127.0.0.1');
    client.write('GET / HTTP/1.1\r\nHost: endless.test\r\n\r\n');
    client.pause();
    let before = -1;
    await waitFor(
      'the backend to stop',
      async () => {
        if (written > 0 && written === before) return true;
        before = written;
        await new Promise((resolve) => setTimeout(resolve, 300));
        return false;
      },
      40_000,
    );
    expect(written).toBeLessThan(64 * 1024 * 1024);
    client.destroy();
  });

  test('a backend that does not read stops the client', async () => {
    await using deaf = await RawBackend.open((socket) => socket.pause());
    await rig.apply(
      ...service('deaf', deaf.endpoint),
      ingress({ host: 'deaf.test', service: 'deaf', annotations: { 'proxy-body-size': '0' } }),
    );
    const client = net.connect(rig.http, '127.0.0.1');
    client.on('error', () => {});
    client.write(`POST / HTTP/1.1\r\nHost: deaf.test\r\nContent-Length: ${2 ** 40}\r\n\r\n`);
    let sent = 0;
    const piece = Buffer.alloc(64 * 1024);
    const pump = (): void => {
      while (sent < 256 * 1024 * 1024) {
        sent += piece.length;
        if (!client.write(piece)) return void client.once('drain', pump);
      }
    };
    pump();
    let before = -1;
    await waitFor(
      'the client to be stopped',
      async () => {
        if (sent === before) return true;
        before = sent;
        await new Promise((resolve) => setTimeout(resolve, 300));
        return false;
      },
      40_000,
    );
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    client.destroy();
  });
});

describe('ExternalName', () => {
  test('is looked up again when its TTL has passed, and keeps its address when that fails', async () => {
    const clock = new FakeClock();
    const tracker = new Tracker({ log: silentLogger });
    const answers: (readonly string[] | Error)[] = [
      ['192.0.2.1'],
      ['192.0.2.2'],
      new Error('SERVFAIL'),
      ['192.0.2.3'],
    ];
    const asked: string[] = [];
    const gone: string[] = [];
    using clusters = new ClusterSet({
      snapshots: tracker,
      clock,
      log: silentLogger,
      resolve: async (name) => {
        asked.push(name);
        const answer = answers.shift();
        if (!answer || answer instanceof Error) throw answer ?? new Error('no more');
        return { addresses: answer, ttlSeconds: 30 };
      },
      endpointGone: (endpoint) => gone.push(endpoint.id),
    });
    tracker.upsert({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'default', name: 'ext' },
      spec: { type: 'ExternalName', externalName: 'api.example.com', ports: [{ port: 8443 }] },
    } as never);
    tracker.flush();
    const backendRef = { namespace: 'default', service: 'ext', port: { number: 8443 } };
    const cluster = clusters.get('default/ext:8443', backendRef, false);
    const ids = (): string[] => cluster.endpoints.map(({ id }) => id);
    await cluster.resolving;
    expect([ids(), asked]).toEqual([['192.0.2.1:8443'], ['api.example.com']]);
    await clock.advance(30_001);
    expect([ids(), gone]).toEqual([['192.0.2.2:8443'], ['192.0.2.1:8443']]);
    await clock.advance(30_001);
    expect(ids()).toEqual(['192.0.2.2:8443']);
    await clock.advance(2_001);
    expect(ids()).toEqual(['192.0.2.3:8443']);
  });
});
