import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkedDecoder } from '../../../ingress/http/chunked.ts';
import { frameRequest, frameResponse } from '../../../ingress/http/framing.ts';
import { H1ClientConnection } from '../../../ingress/http/h1-client.ts';
import { fieldLines } from '../../../ingress/http/h1-exchange.ts';
import { scanRequestHead, scanResponseHead } from '../../../ingress/http/head.ts';
import { defaultSettings } from '../../../ingress/default-settings.ts';
import { BESIDE, BROKEN, ChunkScan } from '../../../ingress/native/chunk-scan.ts';
import { RequestScan, Scanned } from '../../../ingress/native/request-scan.ts';
import { clientFields, listenerFields, RequestWriter } from '../../../ingress/native/request-writer.ts';
import { ResponseScan } from '../../../ingress/native/response-scan.ts';
import { contextOf, type RoutedRequest } from '../../../ingress/relay/context.ts';
import { outgoingRequest, responseFields } from '../../../ingress/relay/outgoing.ts';
import { defaultPolicy } from '../../../ingress/compile/default-policy.ts';
import { deafHandler, type Wire } from '../../../ingress/wire.ts';

/** What the scanners in place accept, the portable engine accepts too and means the same by it, to the byte. */
const settings = { ...defaultSettings(false), generateRequestId: false };
const LIMITS = settings.server.limits;
const CLIENT = '192.0.2.7';
const PORT = 8080;

/** The head an endpoint gets of the portable engine. */
function portableHead(bytes: Buffer, secure: boolean): string | undefined {
  const scanned = scanRequestHead(bytes, 0, LIMITS);
  const head = scanned && !('status' in scanned) ? frameRequest(scanned) : undefined;
  if (!head || 'status' in head || head.upgrade !== undefined || head.expectContinue) return undefined;
  const connection = {
    clientAddress: CLIENT,
    clientPort: 1,
    peerAddress: CLIENT,
    localPort: PORT,
    secure,
    tls: undefined,
    proxiedPort: undefined,
  };
  const route = { policy: defaultPolicy(settings) } as RoutedRequest['route'];
  const request = { ...contextOf(head, connection, settings), route, path: '/', captures: undefined };
  const sent: string[] = [];
  const wire = { handler: deafHandler, closed: false, write: (text: string) => sent.push(text) };
  const owner = { released() {}, dropped() {} };
  const upstream = new H1ClientConnection(wire as unknown as Wire, owner);
  upstream.open(outgoingRequest(request, head.fields.get('x-request-id') ?? '', undefined), {} as never);
  upstream.flush();
  return sent.join('');
}

function nativeHead(scan: RequestScan, bytes: Buffer, secure: boolean): string {
  const memory = new Uint8Array(64 * 1024);
  memory.set(bytes);
  const at = 32 * 1024;
  const fields = { client: clientFields(CLIENT), listener: listenerFields(PORT, secure ? 'https' : 'http') };
  const end = new RequestWriter(memory).write(scan, 0, at, fields, new Uint8Array(), false);
  return Buffer.from(memory.subarray(at, end)).toString('latin1');
}

/** The first mostly, else one of the others. */
const mostly = (usual: readonly string[], odd: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { arbitrary: fc.constantFrom(...usual), weight: 6 },
    { arbitrary: fc.constantFrom(...odd), weight: 1 },
  );
const methods = mostly(['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'], ['get', 'TRACE', 'X']);
const targets = mostly(['/', '/a/b?c=d', '/a%2F', '//'], ['*', 'http://web.test/', '/#', '/\u00e9', '/a b']);
const versions = mostly(['HTTP/1.1'], ['HTTP/1.0', 'HTTP/2.0', 'http/1.1']);
const fieldLine = fc.constantFrom(
  'Accept: */*',
  'X-A: b c  d',
  'X-A:b',
  'X-A:  b',
  'X-A: b ',
  'X-A:',
  'X_Under: 1',
  'Host: other.test',
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: 05',
  'Content-Length: 5, 5',
  'content-length: 12',
  'Transfer-Encoding: chunked',
  'transfer-encoding: Chunked',
  'Transfer-Encoding: gzip, chunked',
  'Connection: keep-alive',
  'Connection: Close',
  'Connection: X-A, close',
  'Connection: upgrade',
  'Upgrade: websocket',
  'Expect: 100-continue',
  'TE: trailers',
  'Trailer: X-Sum',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'Proxy: http://evil',
  'X-Forwarded-For: 6.6.6.6',
  'X-Forwarded-Host: evil.test',
  'X-Real-IP: 6.6.6.6',
  'X-Request-ID: abc',
  'Cookie: a=\u00ff',
  ' folded',
  'Bad Name: x',
  'NoColon',
);
const damage = fc.record({ at: fc.nat(400), byte: fc.nat(255), remove: fc.boolean() });

function damaged(text: string, changes: readonly { at: number; byte: number; remove: boolean }[]): Buffer {
  let bytes = Buffer.from(text, 'latin1');
  for (const { at, byte, remove } of changes) {
    const place = at % bytes.length;
    const middle = remove ? [] : [byte];
    bytes = Buffer.concat([bytes.subarray(0, place), Buffer.from(middle), bytes.subarray(place + 1)]);
  }
  return bytes;
}

const request = fc
  .tuple(
    methods,
    targets,
    versions,
    fc.array(fieldLine, { maxLength: 6 }),
    fc.array(damage, { maxLength: 2 }),
  )
  .map(([method, target, version, lines, changes]) => {
    const fields = ['Host: web.test', ...lines].map((line) => `${line}\r\n`).join('');
    return damaged(`${method} ${target} ${version}\r\n${fields}\r\n`, changes);
  });

describe('a request head', () => {
  test('is accepted only with the meaning the portable engine gives it', () => {
    const scan = new RequestScan();
    let ready = 0;
    fc.assert(
      fc.property(request, (bytes) => {
        if (scan.scan(bytes, 0, bytes.length) !== Scanned.READY) return;
        ready++;
        const scanned = scanRequestHead(bytes, 0, LIMITS);
        if (!scanned || 'status' in scanned) throw new Error('the portable scanner refuses it');
        const head = frameRequest(scanned);
        if ('status' in head) {
          // the name of the host is looked at with the route
          expect(head.reason).toBe('bad Host');
          return;
        }
        expect(scan.end).toBe(scanned.end);
        expect(scan.method.name).toBe(head.method);
        expect(scan.bodyLength).toBe(head.bodyLength);
        expect(scan.close).toBe(!head.keepAlive);
        expect(bytes.toString('latin1', scan.host, scan.hostEnd)).toBe(head.authority);
        expect(bytes.toString('latin1', scan.target, scan.targetEnd)).toBe(head.target);
        for (const secure of [false, true])
          expect(nativeHead(scan, bytes, secure)).toBe(portableHead(bytes, secure));
      }),
      { numRuns: 3_000 },
    );
    expect(ready).toBeGreaterThan(100);
  });

  test('in pieces is partial until it is there, and never mistaken', () => {
    const scan = new RequestScan();
    const bytes = Buffer.from('POST /a?b HTTP/1.1\r\nHost: web.test\r\nContent-Length: 5\r\nX-A: b\r\n\r\n');
    for (let end = 0; end < bytes.length; end++)
      expect([end, scan.scan(bytes, 0, end)]).toEqual([end, Scanned.PARTIAL]);
    expect(scan.scan(bytes, 0, bytes.length)).toBe(Scanned.READY);
  });

  test('over the limits is left to the portable scanner', () => {
    const scan = new RequestScan();
    const unsure = (fields: string): Scanned => {
      const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: web.test\r\n${fields}\r\n`);
      return scan.scan(bytes, 0, bytes.length);
    };
    expect(unsure(`X: ${'a'.repeat(9_000)}\r\n`)).toBe(Scanned.UNSURE);
    expect(unsure('X: a\r\n'.repeat(96))).toBe(Scanned.UNSURE);
    expect(unsure('X: a\r\n'.repeat(95))).toBe(Scanned.READY);
  });
});

const statusLine = fc.constantFrom(
  'HTTP/1.1 200 OK',
  'HTTP/1.1 404 Not Found',
  'HTTP/1.1 204 ',
  'HTTP/1.1 304',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 100 Continue',
  'HTTP/1.1 099 x',
  'HTTP/1.1 20 OK',
);
const response = fc
  .tuple(statusLine, fc.array(fieldLine, { maxLength: 6 }), fc.array(damage, { maxLength: 2 }))
  .map(([line, lines, changes]) =>
    damaged(`${line}\r\n${lines.map((each) => `${each}\r\n`).join('')}\r\n`, changes),
  );

test('a response head is accepted only with the meaning the portable engine gives it', () => {
  const scan = new ResponseScan();
  let ready = 0;
  const limits = { totalBytes: 100_000, lineBytes: 100_000, fields: 1_000 };
  fc.assert(
    fc.property(response, (bytes) => {
      if (scan.scan(bytes, 0, bytes.length) !== Scanned.READY) return;
      ready++;
      const scanned = scanResponseHead(bytes, 0, limits);
      if (!scanned || 'status' in scanned) throw new Error('the portable scanner refuses it');
      const head = frameResponse(scanned, 'GET');
      if (!('fields' in head)) throw new Error(head.reason);
      expect([scan.end, scan.status]).toEqual([scanned.end, head.status]);
      if (head.status !== 204 && head.status !== 304) expect(scan.bodyLength).toBe(head.bodyLength);
      expect(scan.close).toBe(bytes.toString('latin1').toLowerCase().includes('\nconnection: close\r'));
      const copy = new Uint8Array(4096);
      copy.set(bytes);
      const written = copy.subarray(2048, scan.passing.copy(copy, 2048));
      const text = `HTTP/1.1 ${head.status} ${head.reason}\r\n${fieldLines(responseFields(head, []))}`;
      expect(Buffer.from(written).toString('latin1')).toBe(text);
    }),
    { numRuns: 3_000 },
  );
  expect(ready).toBeGreaterThan(100);
});

describe('a chunked body', () => {
  const sink = { chunkData() {}, chunkEnd() {} };
  const pieces = fc.array(
    fc.constantFrom(
      '5\r\nhello\r\n',
      '1\r\nx\r\n',
      '0a\r\n0123456789\r\n',
      '2;x=y\r\nab\r\n',
      '3\r\nab\r\n',
      'z',
    ),
    { maxLength: 5 },
  );
  const endings = fc.constantFrom('0\r\n\r\n', '000\r\n\r\n', '0\r\nX-T: 1\r\n\r\n', '0\r\n', '', '0\r\n\n');
  const body = fc
    .tuple(pieces, endings, fc.array(damage, { maxLength: 1 }))
    .map(([chunks, end, changes]) => damaged(`${chunks.join('')}${end}GET`, changes));

  test('ends where the portable decoder sees its end, however it comes', () => {
    fc.assert(
      fc.property(body, fc.array(fc.nat(60), { maxLength: 4 }), (bytes, cuts) => {
        const scan = new ChunkScan();
        const decoder = new ChunkedDecoder();
        const expected = decoder.feed(bytes, 0, sink);
        let at = 0;
        for (const cut of [...cuts, bytes.length]
          .map((each) => Math.min(each, bytes.length))
          .sort((a, b) => a - b)) {
          if (cut < at || scan.done) continue;
          const next = scan.feed(bytes, at, cut);
          if (next === BESIDE) return;
          if (next === BROKEN) {
            expect(typeof expected).toBe('string');
            return;
          }
          at = next;
        }
        if (scan.done) expect([expected, decoder.done]).toEqual([at, true]);
        else if (typeof expected === 'number') expect(decoder.done).toBe(false);
      }),
      { numRuns: 3_000 },
    );
  });
});
