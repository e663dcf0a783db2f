import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Backend } from './support/backend.ts';
import { statusesOf, talk } from './support/client.ts';
import { ingress, secret, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** Requests that two parsers read differently (RFC 9112 sections 3, 5, 6, 7, 11.2), and ways around rules. */
let backend: Backend;
let rig: Rig;

beforeAll(async () => {
  backend = await Backend.open();
  rig = await Rig.open([
    ...service('web', backend.endpoint),
    ingress(),
    ingress({ host: 'shop.test', path: '/shop' }),
    secret('users', { auth: 'u:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=' }),
    ingress({
      host: 'shop.test',
      name: 'admin',
      path: '/admin',
      annotations: { 'auth-type': 'basic', 'auth-secret': 'users' },
    }),
  ]);
});

beforeEach(() => {
  backend.received.length = 0;
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: web.test\r\n\r\n';
const post = (fields: string, body: string): string =>
  `POST / HTTP/1.1\r\nHost: web.test\r\n${fields}\r\n\r\n${body}`;
const get = (lines: string): string => `GET / HTTP/1.1\r\nHost: web.test\r\n${lines}\r\n\r\n`;
const chunked = (body: string): string => post('Transfer-Encoding: chunked', body);

describe('refused with one answer, and the connection closed', () => {
  const rows: readonly [string, string, number][] = [
    ['CL.TE', post('Content-Length: 6\r\nTransfer-Encoding: chunked', `0\r\n\r\n${HIDDEN}`), 400],
    ['TE.CL', post('Transfer-Encoding: chunked\r\nContent-Length: 4', `5c\r\n${HIDDEN}0\r\n\r\n`), 400],
    [
      'TE.TE, two fields',
      post('Transfer-Encoding: chunked\r\nTransfer-Encoding: x', `0\r\n\r\n${HIDDEN}`),
      400,
    ],
    ['TE with a tab', post('Transfer-Encoding:\tchunked\r\nContent-Length: 3', '0\r\n\r\n'), 400],
    ['TE with a vertical tab', post('Transfer-Encoding: \vchunked', `0\r\n\r\n${HIDDEN}`), 400],
    ['TE with a quote', post('Transfer-Encoding: "chunked"', `0\r\n\r\n${HIDDEN}`), 400],
    ['TE in the name with a space', post('Transfer-Encoding : chunked', `0\r\n\r\n${HIDDEN}`), 400],
    ['TE identity', post('Transfer-Encoding: identity', HIDDEN), 501],
    ['TE chunked twice', post('Transfer-Encoding: chunked, chunked', `0\r\n\r\n${HIDDEN}`), 501],
    ['TE, folded', post('Transfer-Encoding:\r\n chunked', `0\r\n\r\n${HIDDEN}`), 400],
    [
      'TE in HTTP/1.0',
      `POST / HTTP/1.0\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
      400,
    ],
    ['CL twice, different', post('Content-Length: 0\r\nContent-Length: 44', HIDDEN), 400],
    ['CL as a list', post('Content-Length: 0, 44', HIDDEN), 400],
    ['CL hexadecimal', post('Content-Length: 0x2c', HIDDEN), 400],
    ['CL with a plus', post('Content-Length: +44', HIDDEN), 400],
    ['CL negative', post('Content-Length: -1', HIDDEN), 400],
    ['CL empty', post('Content-Length: ', HIDDEN), 400],
    ['CL too large for a number', post('Content-Length: 18446744073709551616', HIDDEN), 400],
    ['CL with inner space', post('Content-Length: 4 4', HIDDEN), 400],
    ['obs-fold', get('X-A: 1\r\n Transfer-Encoding: chunked'), 400],
    ['obs-fold with a tab', get('X-A: 1\r\n\tX-B: 2'), 400],
    ['a field without a colon', get('X-A'), 400],
    ['an empty name', get(': x'), 400],
    ['a name with a space', get('X A: 1'), 400],
    ['NUL in a value', get('X-A: a\0b'), 400],
    ['NUL in a name', get('X\0A: b'), 400],
    ['CR in a value', get('X-A: a\rb'), 400],
    ['bare LF after a field', 'GET / HTTP/1.1\r\nHost: web.test\nX-A: 1\r\n\r\n', 400],
    ['bare LF after the request line', 'GET / HTTP/1.1\nHost: web.test\n\n', 400],
    ['bare CR after the request line', 'GET / HTTP/1.1\rHost: web.test\r\n\r\n', 400],
    ['a tab in the request line', 'GET\t/\tHTTP/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['two spaces in the request line', 'GET  / HTTP/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['a space at its end', 'GET / HTTP/1.1 \r\nHost: web.test\r\n\r\n', 400],
    ['HTTP/0.9', 'GET /\r\n\r\n', 400],
    ['HTTP/1.2 is another version', 'GET / HTTP/1.2\r\nHost: web.test\r\n\r\n', 505],
    ['lower-case version', 'GET / http/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: web.test\r\nHost: shop.test\r\n\r\n', 400],
    ['Host with a space', 'GET / HTTP/1.1\r\nHost: web.test shop.test\r\n\r\n', 400],
    ['Host with a path', 'GET / HTTP/1.1\r\nHost: web.test/x\r\n\r\n', 400],
    ['Host with a user', 'GET / HTTP/1.1\r\nHost: a@web.test\r\n\r\n', 400],
    ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['a target without a slash', 'GET web.test/ HTTP/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['an absolute target with a user', 'GET http://a@web.test/ HTTP/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['another scheme', 'GET ftp://web.test/ HTTP/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['CONNECT', 'CONNECT web.test:80 HTTP/1.1\r\nHost: web.test\r\n\r\n', 405],
    ['an unknown expectation', get('Expect: cake'), 417],
    ['chunk size with a sign', chunked(`+5\r\nhello\r\n0\r\n\r\n`), 400],
    ['chunk size with 0x', chunked(`0x5\r\nhello\r\n0\r\n\r\n`), 400],
    ['chunk size with a space', chunked(`5 \r\nhello\r\n0\r\n\r\n`), 400],
    ['chunk size empty', chunked(`\r\nhello\r\n0\r\n\r\n`), 400],
    ['chunk size of 17 digits', chunked(`00000000000000005\r\nhello\r\n0\r\n\r\n`), 400],
    ['chunk longer than its size', chunked(`3\r\nhello\r\n0\r\n\r\n`), 400],
    ['chunk line with a bare LF', chunked(`5\nhello\r\n0\r\n\r\n`), 400],
    ['chunk data ended by a bare LF', chunked(`5\r\nhello\n0\r\n\r\n`), 400],
    ['chunk extension with a bare LF', chunked(`5;a\nb\r\nhello\r\n0\r\n\r\n`), 400],
    ['chunk extension with NUL', chunked(`5;a=\0\r\nhello\r\n0\r\n\r\n`), 400],
    ['chunk extension of 2 KiB', chunked(`5;${'a'.repeat(2048)}\r\nhello\r\n0\r\n\r\n`), 400],
    ['many chunk extensions', chunked(`${`1;${'a'.repeat(1000)}\r\nx\r\n`.repeat(20)}0\r\n\r\n`), 400],
    ['a trailer with a space in its name', chunked(`0\r\nX A: 1\r\n\r\n`), 400],
    ['a trailer of 20 KiB', chunked(`0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`), 400],
    ['one field of 9 KiB', get(`X-A: ${'a'.repeat(9_000)}`), 431],
    ['fields of 40 KiB', get(`X-A: ${'a'.repeat(7_000)}\r\n`.repeat(6).trimEnd()), 431],
    ['100,000 names', get(Array.from({ length: 100_000 }, (_, n) => `a${n}:`).join('\r\n')), 431],
    ['a target of 9 KiB', `GET /${'a'.repeat(9_000)} HTTP/1.1\r\nHost: web.test\r\n\r\n`, 414],
    ['a method without an end', 'A'.repeat(10_000), 400],
    ['a method in small letters', 'get / HTTP/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['a method in both', `Post / HTTP/1.1\r\nHost: web.test\r\n\r\n${HIDDEN}`, 400],
    ['a method with a mark', 'G!T / HTTP/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['a bare LF before the request line', `\n${HIDDEN}`, 400],
    ['a version of two digits', `GET / HTTP/1.01\r\nHost: web.test\r\n\r\n${HIDDEN}`, 400],
    ['TE with a parameter', post('Transfer-Encoding: chunked;x=1', `0\r\n\r\n${HIDDEN}`), 400],
    ['TE after a no-break space', post('Transfer-Encoding: \xa0chunked', `0\r\n\r\n${HIDDEN}`), 400],
    ['TE with a comma behind', post('Transfer-Encoding: chunked,', `0\r\n\r\n${HIDDEN}`), 501],
    ['CL in scientific notation', post('Content-Length: 4e1', HIDDEN), 400],
    ['CL twice, the same', post('Content-Length: 0\r\nContent-Length: 0', HIDDEN), 400],
    ['Host with letters for a port', 'GET / HTTP/1.1\r\nHost: web.test:abc\r\n\r\n', 400],
    ['Host twice, the same', 'GET / HTTP/1.1\r\nHost: web.test\r\nHost: web.test\r\n\r\n', 400],
    ['an absolute target without a host', 'GET http:///x HTTP/1.1\r\nHost: web.test\r\n\r\n', 400],
    ['chunk size of 2^64-1', chunked('ffffffffffffffff\r\nx'), 400],
    ['chunk size negative', chunked('-1\r\nx\r\n0\r\n\r\n'), 400],
    ['chunk extension with a bare CR', chunked('1;a\rb\r\nx\r\n0\r\n\r\n'), 400],
  ];

  test.for(rows)('%s', async ([, bytes, status]) => {
    const { text, closed } = await talk(rig.http, bytes);
    expect(statusesOf(text)).toEqual([status]);
    expect(closed).toBe(true);
    expect(backend.received.map(({ target }) => target)).not.toContain('/hidden');
  });

  test.for(rows.slice(0, 20))('%s, byte by byte', async ([, bytes, status]) => {
    const { text } = await talk(rig.http, ...bytes.split(''));
    expect(statusesOf(text)).toEqual([status]);
  });
});

describe('read as the RFCs say', () => {
  test('chunk extensions and leading zeros are dropped, trailers pass', async () => {
    const body = '0005;name="a b"\r\nhello\r\n01;x\r\n!\r\n000\r\nX-Sum: 7\r\n\r\n';
    const { text } = await talk(
      rig.http,
      `POST / HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n${body}`,
    );
    expect(statusesOf(text)).toEqual([200]);
    expect([backend.last.body, backend.last.trailers]).toEqual(['hello!', { 'x-sum': '7' }]);
  });

  test('pipelined requests are answered in order', async () => {
    const requests = Array.from({ length: 20 }, (_, n) => `GET /${n} HTTP/1.1\r\nHost: web.test\r\n\r\n`);
    const { text } = await talk(rig.http, requests.join(''));
    expect(statusesOf(text)).toHaveLength(20);
    expect(backend.received.map(({ target }) => target)).toEqual(requests.map((_, n) => `/${n}`));
  });

  test('a GET body is a body and no request', async () => {
    const { text } = await talk(rig.http, get(`Content-Length: ${HIDDEN.length}`) + HIDDEN);
    expect(statusesOf(text)).toEqual([200]);
    expect(backend.received.map(({ body }) => body)).toEqual([HIDDEN]);
  });

  test('fields Connection names go, ours stay', async () => {
    await talk(
      rig.http,
      get(
        'Connection: X-Secret, X-Forwarded-For, Host, Content-Length\r\nX-Secret: 1\r\nX-Forwarded-For: 6.6.6.6',
      ),
    );
    expect(backend.last.headers).toMatchObject({ host: 'web.test', 'x-forwarded-for': '127.0.0.1' });
    expect(backend.last.headers).not.toHaveProperty('x-secret');
  });

  test('what comes after a request that ends the connection is not read', async () => {
    for (const value of ['close', 'keep-alive, close', 'Close']) {
      const { text, closed } = await talk(rig.http, get(`Connection: ${value}`) + HIDDEN);
      expect([statusesOf(text), closed]).toEqual([[200], true]);
    }
    expect(backend.received.map(({ target }) => target)).toEqual(['/', '/', '/']);
  });

  test('an offer of HTTP/2 or TLS in clear text is not taken up', async () => {
    for (const offer of ['h2c', 'TLS/1.3', 'HTTP/2.0'])
      await talk(
        rig.http,
        get(`Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${offer}\r\nHTTP2-Settings: AAMAAABk`),
      );
    expect(backend.received).toHaveLength(3);
    for (const { headers } of backend.received)
      expect([headers.upgrade, headers['http2-settings']]).toEqual([undefined, undefined]);
  });

  test('trailers that frame or name a host are no part of the next request', async () => {
    const { text } = await talk(
      rig.http,
      chunked('0\r\nContent-Length: 40\r\nHost: evil.test\r\n\r\n') + HIDDEN,
    );
    expect(statusesOf(text)).toEqual([200, 200]);
    expect(backend.received.map(({ target, trailers }) => [target, trailers])).toEqual([
      ['/', {}],
      ['/hidden', {}],
    ]);
  });

  test('Proxy never reaches a backend, nor do names with an underscore', async () => {
    await talk(rig.http, get('Proxy: http://evil\r\nX_Real_IP: 6.6.6.6\r\nX-Real-IP: 6.6.6.6'));
    expect(backend.last.headers).not.toHaveProperty('proxy');
    expect(backend.last.headers).not.toHaveProperty('x_real_ip');
    expect(backend.last.headers['x-real-ip']).toBe('127.0.0.1');
  });

  test('TRACE and OPTIONS * are answered here', async () => {
    const trace = await talk(rig.http, 'TRACE / HTTP/1.1\r\nHost: web.test\r\nCookie: a\r\n\r\n');
    expect(statusesOf(trace.text)).toEqual([405]);
    expect(trace.text).not.toContain('Cookie');
    expect(statusesOf((await talk(rig.http, 'OPTIONS * HTTP/1.1\r\nHost: web.test\r\n\r\n')).text)).toEqual([
      200,
    ]);
  });
});

describe('paths that try to get around a rule', () => {
  const rows: readonly [string, number][] = [
    ['/admin', 401],
    ['/admin/', 401],
    ['//admin', 401],
    ['/./admin', 401],
    ['/shop/../admin', 401],
    ['/shop/%2e%2e/admin', 401],
    ['/shop/%2E./admin', 401],
    ['/%61dmin', 401],
    ['/admi%6e/x', 401],
    ['/shop/..%2fadmin', 400],
    ['/shop/%2e%2e%2fadmin', 400],
    ['/shop/..%5cadmin', 400],
    ['/shop/..\\admin', 400],
    ['/shop/%', 400],
    ['/shop/%zz', 400],
    ['/shop/%00', 400],
    ['/../admin', 400],
    ['/shop', 200],
    ['/shop/a%2Fb', 200],
    ['/shop/%C3%BC', 200],
    ['/Admin', 404],
    ['/shopping', 404],
  ];
  test.for(rows)('%s is %i', async ([path, status]) => {
    const { text } = await talk(rig.http, `GET ${path} HTTP/1.1\r\nHost: shop.test\r\n\r\n`);
    expect(statusesOf(text)).toEqual([status]);
    if (status === 200) expect(backend.last.target).toBe(path);
    else expect(backend.received).toEqual([]);
  });

  test.for([['shop.test.'], ['SHOP.test'], ['shop.test:8080'], ['SHOP.TEST.:80']] as const)(
    'Host %s is the same host',
    async ([host]) => {
      const { text } = await talk(rig.http, `GET /admin HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect(statusesOf(text)).toEqual([401]);
    },
  );

  test('the authority of an absolute target is the host, not Host', async () => {
    const { text } = await talk(rig.http, 'GET http://shop.test/admin HTTP/1.1\r\nHost: web.test\r\n\r\n');
    expect(statusesOf(text)).toEqual([401]);
  });
});
