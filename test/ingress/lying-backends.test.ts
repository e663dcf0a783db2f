import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { Backend, RawBackend } from './support/backend.ts';
import { ask, statusesOf, talk } from './support/client.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** Backends that break the protocol: what the client gets, and that their connection is never used again. */
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

interface Row {
  readonly name: string;
  /** Sent when a request has come. */
  readonly bytes: string;
  readonly finally?: 'end' | 'reset';
  /** What the client sees; `cut` = the answer begins and is visibly incomplete. */
  readonly want: number | 'cut';
  /** The connection is kept afterwards. */
  readonly kept?: boolean;
}

const head = (fields: string, body = ''): string => `HTTP/1.1 200 OK\r\n${fields}\r\n\r\n${body}`;

const rows: readonly Row[] = [
  { name: 'a fine answer', bytes: OK, want: 200, kept: true },
  {
    name: 'a fine answer in chunks',
    bytes: head('Transfer-Encoding: chunked', '2;x\r\nok\r\n0\r\n\r\n'),
    want: 200,
    kept: true,
  },
  { name: 'Connection: close', bytes: head('Connection: close\r\nContent-Length: 2', 'ok'), want: 200 },
  { name: 'an answer of HTTP/1.0', bytes: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', want: 200 },
  { name: 'until the connection ends', bytes: 'HTTP/1.1 200 OK\r\n\r\nok', finally: 'end', want: 200 },
  { name: 'bytes after the answer', bytes: `${OK}${OK}`, want: 200 },
  { name: 'a body of 204', bytes: 'HTTP/1.1 204 No Content\r\n\r\nhello', want: 204 },
  {
    name: 'CL and TE',
    bytes: head('Content-Length: 2\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
    want: 502,
  },
  { name: 'two CL', bytes: head('Content-Length: 2\r\nContent-Length: 3', 'ok'), want: 502 },
  { name: 'a CL with a sign', bytes: head('Content-Length: +2', 'ok'), want: 502 },
  { name: 'an unknown coding', bytes: head('Transfer-Encoding: gzip', 'ok'), want: 502 },
  {
    name: 'TE of HTTP/1.0',
    bytes: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    want: 502,
  },
  { name: 'no HTTP at all', bytes: 'hello\r\n\r\n', want: 502 },
  { name: 'another version', bytes: 'HTTP/3.0 200 OK\r\n\r\n', want: 502 },
  { name: 'a status of two digits', bytes: 'HTTP/1.1 20 OK\r\n\r\n', want: 502 },
  { name: 'bare LF', bytes: 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', want: 502 },
  { name: 'NUL in a field', bytes: head('X: a\0b\r\nContent-Length: 2', 'ok'), want: 502 },
  { name: 'obs-fold', bytes: head('X: a\r\n b\r\nContent-Length: 2', 'ok'), want: 502 },
  { name: 'a head of 200 KiB', bytes: head(`X: ${'a'.repeat(200_000)}`), want: 502 },
  { name: '5,000 fields', bytes: head('a:1\r\n'.repeat(5_000).trimEnd()), want: 502 },
  { name: 'endless informational answers', bytes: 'HTTP/1.1 102 Wait\r\n\r\n'.repeat(50), want: 502 },
  {
    name: '101 nobody asked for',
    bytes: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    want: 502,
  },
  { name: 'nothing, then the end', bytes: '', finally: 'end', want: 502 },
  { name: 'nothing, then a reset', bytes: '', finally: 'reset', want: 502 },
  { name: 'half a head', bytes: 'HTTP/1.1 200 OK\r\nConte', finally: 'end', want: 502 },
  {
    name: 'a body shorter than its length',
    bytes: head('Content-Length: 10', 'short'),
    finally: 'end',
    want: 'cut',
  },
  {
    name: 'a body cut by a reset',
    bytes: head('Content-Length: 10', 'short'),
    finally: 'reset',
    want: 'cut',
  },
  {
    name: 'chunks without an end',
    bytes: head('Transfer-Encoding: chunked', '2\r\nok\r\n'),
    finally: 'end',
    want: 'cut',
  },
  { name: 'a broken chunk', bytes: head('Transfer-Encoding: chunked', '2\r\nok\r\nzz\r\n'), want: 'cut' },
  {
    name: 'a broken trailer',
    bytes: head('Transfer-Encoding: chunked', '2\r\nok\r\n0\r\nA B: c\r\n\r\n'),
    want: 'cut',
  },
];

const lines = (fields: string): string => `HTTP/1.1 103 Early Hints\r\n${fields}\r\n\r\n${OK}`;

/** Fields that would make clients and proxies before us look for a body where there is none. */
const bodiless = [
  ['a length of 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', /^content-length/im],
  ['chunks of 204', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n', /^transfer-/im],
  ['a length of 103', lines('Link: x\r\nContent-Length: 5'), /content-length: 5/i],
  ['chunks of 103', lines('Transfer-Encoding: chunked\r\nLink: x'), /transfer-encoding/i],
  ['Connection of 103', lines('Connection: close, X-A\r\nX-A: b\r\nLink: x'), /connection|x-a/i],
] as const;

let row: Row = rows[0]!;
let backend: RawBackend;
let rig: Rig;

beforeAll(async () => {
  backend = await RawBackend.open((socket) => {
    let text = '';
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (!text.endsWith('\r\n\r\n')) return;
      text = '';
      socket.write(row.bytes, 'latin1', () => {
        if (row.finally === 'end') socket.end();
        else if (row.finally === 'reset') socket.resetAndDestroy();
      });
    });
  });
  rig = await Rig.open([
    ...service('web', backend.endpoint),
    ingress({ annotations: { 'proxy-next-upstream': 'off' } }),
  ]);
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

describe('an answer', () => {
  test.for(rows)('$name', async (given) => {
    row = given;
    if (given.want === 'cut') {
      const told = await ask(rig.http);
      expect([told.status, told.cut]).toEqual([200, true]);
    } else {
      const told = await ask(rig.http);
      expect([told.status, told.cut]).toEqual([given.want, false]);
    }
    if (given.kept) expect(backend.sockets.size).toBe(1);
    else await waitFor('the connection to be closed', () => backend.sockets.size === 0);
    row = rows[0]!;
    expect((await ask(rig.http)).body).toBe('ok');
  });

  test('HEAD has no body whatever Content-Length says', async () => {
    row = { name: 'head', bytes: head('Content-Length: 999'), want: 200 };
    const { text } = await talk(
      rig.http,
      'HEAD / HTTP/1.1\r\nHost: web.test\r\n\r\nHEAD / HTTP/1.1\r\nHost: web.test\r\n\r\n',
    );
    row = rows[0]!;
    expect(statusesOf(text)).toEqual([200, 200]);
  });
});

describe('connections', () => {
  test('a kept connection that died is replaced, and no endpoint is blamed', async () => {
    await using lazy = await RawBackend.open((socket, nth) => {
      let requests = 0;
      socket.on('data', () => {
        // the first connection dies with its second request unread
        if (nth === 1 && ++requests === 2) return socket.resetAndDestroy();
        socket.write(OK);
      });
    });
    await rig.apply(...service('lazy', lazy.endpoint), ingress({ host: 'lazy.test', service: 'lazy' }));
    expect((await ask(rig.http, { host: 'lazy.test' })).status).toBe(200);
    expect((await ask(rig.http, { host: 'lazy.test' })).status).toBe(200);
    expect(lazy.connections).toBe(2);
  });

  test('a POST on a kept connection that dies is not sent again', async () => {
    let posts = 0;
    await using lazy = await RawBackend.open((socket) => {
      let requests = 0;
      socket.on('data', (bytes: Buffer) => {
        if (bytes.includes('POST')) posts++;
        if (++requests === 2) return socket.resetAndDestroy();
        socket.write(OK);
      });
    });
    await rig.apply(...service('once', lazy.endpoint), ingress({ host: 'once.test', service: 'once' }));
    expect((await ask(rig.http, { host: 'once.test' })).status).toBe(200);
    expect((await ask(rig.http, { host: 'once.test', method: 'POST', body: 'pay' })).status).toBe(502);
    expect(posts).toBe(1);
  });

  test('an early answer to a body still coming ends the connection, not the answer', async () => {
    await using early = await RawBackend.open((socket) =>
      socket.once('data', () => socket.write('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n')),
    );
    await rig.apply(
      ...service('early', early.endpoint),
      ingress({ host: 'early.test', service: 'early', annotations: { 'proxy-body-size': '0' } }),
    );
    const { text } = await talk(
      rig.http,
      `POST / HTTP/1.1\r\nHost: early.test\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(1_000)}`,
    );
    expect(statusesOf(text)).toEqual([401]);
    await waitFor('the connection to be closed', () => early.sockets.size === 0);
  });

  test('proxy-connect- and -read-timeout answer 504', async () => {
    await using silent = await RawBackend.open(() => {});
    await rig.apply(
      ...service('silent', silent.endpoint),
      ingress({
        host: 'silent.test',
        service: 'silent',
        annotations: { 'proxy-read-timeout': '1', 'proxy-next-upstream': 'off' },
      }),
    );
    expect((await ask(rig.http, { host: 'silent.test' })).status).toBe(504);
  });

  test('requests that may be repeated go to another endpoint, within the tries', async () => {
    await using broken = await RawBackend.open((socket) => socket.once('data', () => socket.destroy()));
    await using fine = await Backend.open();
    await rig.apply(
      ...service('mixed', broken.endpoint, fine.endpoint),
      ingress({ host: 'mixed.test', service: 'mixed' }),
    );
    for (let i = 0; i < 4; i++) expect((await ask(rig.http, { host: 'mixed.test' })).status).toBe(200);
    const posts = await Promise.all(
      [1, 2, 3, 4].map(() => ask(rig.http, { host: 'mixed.test', method: 'POST', body: 'x' })),
    );
    expect(posts.some(({ status }) => status === 502)).toBe(true);
  });
});

describe('answers without a body', () => {
  test.each(bodiless)('%s does not reach the client', async (name, bytes, forbidden) => {
    row = { name, bytes, want: 200 };
    const { text } = await talk(rig.http, 'GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n');
    const [first = ''] = text.split('\r\n\r\n');
    expect(first).toMatch(/^HTTP\/1\.1 (?:204|103) /);
    expect(first).not.toMatch(forbidden);
    expect(first.includes('Link: x')).toBe(bytes.includes('Link: x'));
  });
});

describe('clients that take their time', () => {
  test('a head, a body and an idle connection that never come are ended', async () => {
    await using fine = await Backend.open();
    const { server } = (await import('../../ingress/default-settings.ts')).defaultSettings(false);
    await using quick = await Rig.open([...service('web', fine.endpoint), ingress()], {
      settings: { server: { ...server, headerMs: 300, bodyIdleMs: 300, idleMs: 300 } },
    });
    const slowHead = await talk(quick.http, 'GET / HTTP/1.1\r\nHost: web.test\r\nX-A');
    expect([statusesOf(slowHead.text), slowHead.closed]).toEqual([[408], true]);
    const slowBody = await talk(
      quick.http,
      'POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 9\r\n\r\nabc',
    );
    expect([statusesOf(slowBody.text), slowBody.closed]).toEqual([[408], true]);
    const silent = net.connect(quick.http, '127.0.0.1');
    await new Promise((resolve) => silent.once('close', resolve).resume());
    expect(fine.received).toEqual([]);
  });
});
