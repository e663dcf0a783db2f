import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readClientHello } from '../../ingress/certificates/client-hello.ts';
import { normalPath } from '../../ingress/compile/path-normal.ts';
import { ChunkedDecoder } from '../../ingress/http/chunked.ts';
import type { Fields } from '../../ingress/http/fields.ts';
import { frameRequest, frameResponse } from '../../ingress/http/framing.ts';
import { scanRequestHead, scanResponseHead } from '../../ingress/http/head.ts';
import { defaultH1ServerOptions } from '../../ingress/http/h1-server.ts';
import { readProxyHeader } from '../../ingress/listen/proxy-protocol.ts';

/** Decoders of bytes anybody can send: they never throw, never depend on how bytes are cut, and round-trip. */
const { limits } = defaultH1ServerOptions;
const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/);
const value = fc.stringMatching(/^([!-~]([ -~]{0,30}[!-~])?)?$/);
const noise = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc
    .array(
      fc.constantFrom(
        'GET ',
        '/',
        ' HTTP/1.1',
        '\r\n',
        '\n',
        '\r',
        ':',
        ' ',
        '\t',
        '\0',
        'Host: a',
        'Content-Length',
        '0',
        '5',
        'Transfer-Encoding: chunked',
        'x',
        ';',
        'é',
      ),
      { maxLength: 40 },
    )
    .map((parts) => Buffer.from(parts.join(''), 'latin1')),
);

interface Decoded {
  readonly body: string;
  readonly trailers: readonly [string, string][] | undefined;
  readonly used: number;
  readonly fault: string | undefined;
}

function decode(pieces: readonly Buffer[]): Decoded {
  const decoder = new ChunkedDecoder();
  const out: string[] = [];
  let trailers: Fields | undefined;
  let used = 0;
  for (const piece of pieces) {
    if (decoder.done) break;
    const next = decoder.feed(piece, 0, {
      chunkData: (bytes) => void out.push(bytes.toString('latin1')),
      chunkEnd: (received) => void (trailers = received),
    });
    if (typeof next === 'string') return { body: out.join(''), trailers: undefined, used, fault: next };
    used += next;
  }
  const fault = decoder.done ? undefined : 'incomplete';
  return { body: out.join(''), trailers: trailers && [...trailers.entries()], used, fault };
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((each) => each % (bytes.length + 1)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const place of [...places, bytes.length]) {
    if (place > from) pieces.push(bytes.subarray(from, place));
    from = Math.max(from, place);
  }
  return pieces;
}

describe('the chunked coding', () => {
  const chunks = fc.array(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }), { maxLength: 8 });
  const encode = (parts: readonly string[], trailers: readonly (readonly [string, string])[]): Buffer =>
    Buffer.from(
      `${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n` +
        `${trailers.map(([name, text]) => `${name}: ${text}\r\n`).join('')}\r\n`,
      'latin1',
    );

  test('round-trips, however the bytes are cut, and leaves what follows alone', () => {
    fc.assert(
      fc.property(
        chunks,
        fc.array(fc.tuple(token, value), { maxLength: 3 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        noise,
        (parts, trailers, at, rest) => {
          const bytes = encode(parts, trailers);
          const whole = Buffer.concat([bytes, rest]);
          const got = decode(cut(whole, at));
          expect(got.fault).toBeUndefined();
          expect(got.body).toBe(parts.join(''));
          expect(got.used).toBe(bytes.length);
          expect(got.trailers ?? []).toEqual(trailers.map(([name, text]) => [name.toLowerCase(), text]));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('never throws, and says the same however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          noise,
          chunks.map((parts) => encode(parts, [])),
        ),
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.nat(),
        fc.nat(255),
        (bytes, at, where, what) => {
          const changed = Buffer.from(bytes);
          if (changed.length > 0) changed[where % changed.length] = what;
          const whole = decode([changed]);
          const pieces = decode(cut(changed, at));
          expect([pieces.body, pieces.fault, pieces.trailers]).toEqual([
            whole.body,
            whole.fault,
            whole.trailers,
          ]);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('heads', () => {
  const fields = fc.array(fc.tuple(token, value), { maxLength: 12 });

  test('a well-formed one is read as it was written', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Z_-]{1,20}$/),
        fc.stringMatching(/^\/[!-"$-~]{0,40}$/),
        fields,
        noise,
        (method, target, pairs, rest) => {
          const text = `${method} ${target} HTTP/1.1\r\n${pairs.map(([name, text]) => `${name}:${text}\r\n`).join('')}\r\n`;
          const scanned = scanRequestHead(Buffer.concat([Buffer.from(text), rest]), 0, limits);
          if (!scanned || 'status' in scanned) throw new Error(scanned?.reason ?? 'incomplete');
          expect(scanned.startLine).toEqual([method, target, 'HTTP/1.1']);
          expect(scanned.end).toBe(text.length);
          expect(scanned.fields.names.map(({ raw }, n) => [raw, scanned.fields.values[n]])).toEqual(pairs);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a prefix of one is incomplete, never another request', () => {
    fc.assert(
      fc.property(fields, fc.nat(), (pairs, at) => {
        const text = `GET /a HTTP/1.1\r\nHost: a\r\n${pairs.map(([name, text]) => `${name}: ${text}\r\n`).join('')}\r\n`;
        const scanned = scanRequestHead(Buffer.from(text.slice(0, at % text.length)), 0, limits);
        expect(scanned).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  test('noise never throws, and what is taken holds no control character', () => {
    fc.assert(
      fc.property(noise, (bytes) => {
        for (const scan of [scanRequestHead, scanResponseHead]) {
          const scanned = scan(bytes, 0, limits);
          if (!scanned || 'status' in scanned) continue;
          const head = scan === scanRequestHead ? frameRequest(scanned) : frameResponse(scanned, 'GET');
          if (!('fields' in head)) continue;
          const taken = head.fields.names.map(({ raw }, n) => raw + head.fields.values[n]).join('');
          expect(taken).not.toMatch(/[\u0000-\u0008\u000a-\u001f\u007f]/);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('other first bytes', () => {
  test('PROXY headers and ClientHellos never throw, and are read the same a byte later', () => {
    const starts = fc.constantFrom(
      'PROXY TCP4 1.2.3.4 ',
      'PROXY TCP6 ::1 ',
      'PROXY UNKNOWN',
      '\x16\x03\x01',
      '\r\n\r\n\0\r\nQUIT\n\x21\x11\0',
    );
    fc.assert(
      fc.property(starts, noise, (start, rest) => {
        const bytes = Buffer.concat([Buffer.from(start, 'latin1'), rest]);
        for (const read of [readProxyHeader, readClientHello]) {
          const first = read(bytes);
          if (first !== undefined && typeof first === 'object')
            expect(read(Buffer.concat([bytes, Buffer.from('x')]))).toEqual(first);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('normalPath', () => {
  const path = fc
    .array(
      fc.constantFrom(
        '/',
        'a',
        '..',
        '.',
        '%2e',
        '%2E',
        '%2f',
        '%5c',
        '\\',
        '%41',
        '%',
        '%00',
        '%zz',
        '?q',
        'ü',
        ';',
        '%C3%BC',
      ),
      { maxLength: 14 },
    )
    .map((parts) => `/${parts.join('')}`);

  test('is a fixed point without dot segments, and no decoding of it climbs', () => {
    fc.assert(
      fc.property(path, (target) => {
        const normal = normalPath(target);
        if (normal === undefined) return;
        expect(normal.startsWith('/')).toBe(true);
        expect(normalPath(normal.replaceAll('?', '%3F'))).toBe(normal.replaceAll('?', '%3F'));
        const decoded = normal.replaceAll(/%2f|%5c|\\/gi, '/');
        expect(decoded.split('/')).not.toContain('..');
        expect(normal).not.toMatch(/%2e|%41|\/\//i);
      }),
      { numRuns: 2_000 },
    );
  });
});
