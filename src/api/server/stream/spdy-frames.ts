import { Buffer } from 'node:buffer';
import { createDeflate, createInflate, constants, type Deflate, type Inflate } from 'node:zlib';
import { SPDY_FRAME_MAX_BYTES, SPDY_HEADERS_MAX_BYTES } from '../limits.ts';

/** Frame types of SPDY/3.1 that port-forward uses (draft-mbelshe-httpbis-spdy-00, section 2.6). */
export const FRAME = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

export const FLAG_FIN = 0x01;
const VERSION = 3;

export type Frame =
  | { readonly kind: 'control'; readonly type: number; readonly flags: number; readonly payload: Buffer }
  | { readonly kind: 'data'; readonly streamId: number; readonly flags: number; readonly payload: Buffer };

/** Cuts a byte stream into frames; 'bad' = not SPDY/3 or over the limit, the connection must end. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Uint8Array): Frame[] | 'bad' {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (this.#rest.length >= 8) {
      const head = this.#rest.readUInt32BE(0);
      const flags = this.#rest[4] ?? 0;
      const length = this.#rest.readUIntBE(5, 3);
      if (length > SPDY_FRAME_MAX_BYTES) return 'bad';
      if (this.#rest.length < 8 + length) break;
      const payload = this.#rest.subarray(8, 8 + length);
      this.#rest = this.#rest.subarray(8 + length);
      if (head & 0x8000_0000) {
        if (((head >>> 16) & 0x7fff) !== VERSION) return 'bad';
        frames.push({ kind: 'control', type: head & 0xffff, flags, payload });
      } else {
        frames.push({ kind: 'data', streamId: head & 0x7fff_ffff, flags, payload });
      }
    }
    return frames;
  }
}

export function controlFrame(type: number, flags: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(0x8000 | VERSION, 0);
  head.writeUInt16BE(type, 2);
  head[4] = flags;
  head.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([head, payload]);
}

export function dataFrame(streamId: number, flags: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(streamId & 0x7fff_ffff, 0);
  head[4] = flags;
  head.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export type Headers = Readonly<Record<string, string>>;

/** Header blocks of one connection: name/value pairs, compressed with one state a direction and a fixed dictionary. */
export class HeaderCodec implements Disposable {
  readonly #inflate: Inflate;
  readonly #deflate: Deflate;
  #inflated: Buffer[] = [];
  #deflated: Buffer[] = [];
  #failed: Error | undefined;

  constructor() {
    this.#inflate = createInflate({ dictionary: DICTIONARY });
    this.#deflate = createDeflate({ dictionary: DICTIONARY });
    this.#inflate.on('data', (chunk: Buffer) => this.#inflated.push(chunk));
    this.#deflate.on('data', (chunk: Buffer) => this.#deflated.push(chunk));
    this.#inflate.on('error', (error) => (this.#failed = error));
    this.#deflate.on('error', (error) => (this.#failed = error));
  }

  /** Undefined for bytes that are no header block. Calls must not overlap. */
  async decode(block: Buffer): Promise<Headers | undefined> {
    await new Promise<void>((resolve) => {
      this.#inflate.once('error', () => resolve());
      this.#inflate.write(block, () => this.#inflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
    });
    this.#inflate.removeAllListeners('error').on('error', (error) => (this.#failed = error));
    const bytes = Buffer.concat(this.#inflated.splice(0));
    return this.#failed || bytes.length > SPDY_HEADERS_MAX_BYTES ? undefined : parsePairs(bytes);
  }

  async encode(headers: Headers): Promise<Buffer> {
    const pairs = Object.entries(headers);
    const parts: Buffer[] = [uint32(pairs.length)];
    for (const [name, value] of pairs) {
      parts.push(uint32(Buffer.byteLength(name)), Buffer.from(name));
      parts.push(uint32(Buffer.byteLength(value)), Buffer.from(value));
    }
    await new Promise<void>((resolve) => {
      this.#deflate.write(Buffer.concat(parts), () =>
        this.#deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()),
      );
    });
    return Buffer.concat(this.#deflated.splice(0));
  }

  [Symbol.dispose](): void {
    this.#inflate.destroy();
    this.#deflate.destroy();
  }
}

function parsePairs(bytes: Buffer): Headers | undefined {
  if (bytes.length < 4) return undefined;
  const headers: Record<string, string> = {};
  let at = 4;
  const text = (): string | undefined => {
    if (at + 4 > bytes.length) return undefined;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return undefined;
    const value = bytes.toString('utf8', at + 4, end);
    at = end;
    return value;
  };
  for (let left = bytes.readUInt32BE(0); left > 0; left--) {
    const name = text();
    const value = text();
    if (name === undefined || value === undefined) return undefined;
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** The dictionary of section 2.6.10.1: names with their length in front, then plain text. */
const DICTIONARY_NAMES =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow ' +
  'authorization cache-control connection content-base content-encoding content-language content-length ' +
  'content-location content-md5 content-range content-type date etag expect expires from host if-match ' +
  'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma ' +
  'proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade ' +
  'user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie ' +
  'keep-alive origin';
const DICTIONARY_TEXT =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized' +
  '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable' +
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,' +
  'text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

export const DICTIONARY: Buffer = Buffer.concat([
  ...DICTIONARY_NAMES.split(' ').flatMap((word) => {
    const bytes = Buffer.from(word.replace('_', ' '), 'latin1');
    return [uint32(bytes.length), bytes];
  }),
  Buffer.from(DICTIONARY_TEXT, 'latin1'),
]);
