import http2 from 'node:http2';
import type { Duplex } from 'node:stream';
import type { ConnectionFacts, Exchange, ExchangeHandler } from './exchange.ts';
import { fieldName, Fields, Role } from './fields.ts';
import { isAuthority } from './framing.ts';
import { isFieldValue, isMethod, isToken } from './bytes.ts';
import { NO_BODY, type RequestHead, UNKNOWN_LENGTH } from './message.ts';

const nobody: ExchangeHandler = {
  bodyData() {},
  bodyEnd() {},
  exchangeAborted() {},
  exchangeDrained() {},
};

/** Makes a request head of HTTP/2 pseudo fields and fields (RFC 9113 section 8.3), or says what is wrong. */
export function readH2Head(
  raw: readonly string[],
  endStream: boolean,
): RequestHead | { status: number; reason: string } {
  const pseudo: Record<string, string> = {};
  const fields = new Fields();
  let cookie: string | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (name.charCodeAt(0) === 58) pseudo[name] = value;
    else if (name === 'cookie') cookie = cookie === undefined ? value : `${cookie}; ${value}`;
    else if (!isToken(name) || !isFieldValue(value)) return { status: 400, reason: 'bad header field' };
    else fields.add(name, value);
  }
  if (cookie !== undefined) fields.add('cookie', cookie);
  return placed(pseudo, fields, endStream);
}

function placed(
  pseudo: Record<string, string>,
  fields: Fields,
  endStream: boolean,
): RequestHead | { status: number; reason: string } {
  const method = pseudo[':method'] ?? '';
  const target = pseudo[':path'] ?? '';
  const protocol = pseudo[':protocol'];
  if (
    fields.names.some(
      ({ role }) => role === Role.CONNECTION || role === Role.TRANSFER_ENCODING || role === Role.UPGRADE,
    )
  ) {
    return { status: 400, reason: 'connection-specific header field' };
  }
  const fault = pseudoFault(method, target, protocol);
  if (fault) return fault;
  const host = fields.joined('host');
  const authority = pseudo[':authority'] ?? host ?? '';
  if (!isAuthority(authority)) return { status: 400, reason: 'bad authority' };
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase())
    return { status: 400, reason: ':authority and Host differ' };
  const length = fields.joined('content-length');
  if (length !== undefined && !/^\d{1,15}$/.test(length))
    return { status: 400, reason: 'bad Content-Length' };
  return {
    method: protocol === undefined ? method : 'GET',
    target,
    version: 20,
    authority,
    fields,
    bodyLength:
      protocol !== undefined || endStream ? NO_BODY : length === undefined ? UNKNOWN_LENGTH : Number(length),
    keepAlive: true,
    upgrade: protocol,
    expectContinue: false,
    connectionNames: undefined,
  };
}

function pseudoFault(
  method: string,
  target: string,
  protocol: string | undefined,
): { status: number; reason: string } | undefined {
  if (!isMethod(method) || !/^(\/[^\u0000-\u0020#\u007f]*|\*)$/.test(target))
    return { status: 400, reason: 'bad pseudo header field' };
  if (method === 'CONNECT' && protocol === undefined) return { status: 405, reason: 'CONNECT is not served' };
  if (protocol !== undefined && (method !== 'CONNECT' || protocol !== 'websocket'))
    return { status: 501, reason: 'unknown :protocol' };
  return undefined;
}

/** Pieces up to this size wait for `flush` or the end. */
const HOLD_BYTES_MAX = 8 * 1024;

/**
 * node:http2 throws when a stream is gone or refuses a field: neither is a reason for anybody else to suffer. The
 * stream is reset, and its `close` tells the rest.
 */
export function attempt(stream: http2.Http2Stream, action: () => void): void {
  if (stream.destroyed || stream.closed) return;
  try {
    action();
  } catch {
    stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  }
}

/** A request on an HTTP/2 stream. */
export class H2Exchange implements Exchange {
  handler: ExchangeHandler = nobody;
  readonly head: RequestHead;
  readonly connection: ConnectionFacts;
  bodyEnded: boolean;
  headSent = false;
  sentBytes = 0;
  readonly #stream: http2.ServerHttp2Stream;
  #reading = false;
  #over = false;
  #bodyless = false;
  #trailers: Fields | undefined;
  /** Trailers of the request. */
  #received: Fields | undefined;
  /** A small piece that waits for the end, to go out with it. */
  #held: Buffer | undefined;

  constructor(stream: http2.ServerHttp2Stream, head: RequestHead, connection: ConnectionFacts) {
    this.#stream = stream;
    this.head = head;
    this.connection = connection;
    this.bodyEnded = head.bodyLength === NO_BODY;
    stream.on('drain', () => this.handler.exchangeDrained());
    stream.on('error', () => {}); // `close` follows and tells the rest
    // they may come before anybody reads the body
    stream.on('trailers', (received: http2.IncomingHttpHeaders) => {
      this.#received = fieldsOf(received);
    });
    stream.on('aborted', () => this.#gone());
    stream.on('close', () => this.#gone());
  }

  resumeBody(): void {
    if (this.bodyEnded || this.#over) return;
    if (this.#reading) {
      this.#stream.resume();
      return;
    }
    this.#reading = true;
    this.#stream.on('data', (bytes: Buffer) => this.handler.bodyData(bytes));
    this.#stream.on('end', () => {
      if (this.#over || this.#stream.aborted) return;
      this.bodyEnded = true;
      this.handler.bodyEnd(this.#received);
    });
  }

  pauseBody(): void {
    if (this.#reading) this.#stream.pause();
  }

  sendInterim(status: number, fields: Fields): void {
    if (this.headSent || this.#over || this.#stream.destroyed || status === 101) return;
    attempt(this.#stream, () => this.#stream.additionalHeaders({ ':status': status, ...headersOf(fields) }));
  }

  sendHead(status: number, _reason: string, fields: Fields, bodyLength: number): void {
    if (this.headSent || this.#over || this.#stream.destroyed) return;
    this.headSent = true;
    this.#bodyless =
      this.head.method === 'HEAD' || status === 204 || status === 304 || bodyLength === NO_BODY;
    const waitForTrailers = !this.#bodyless && bodyLength < 0;
    const endStream = this.#bodyless;
    attempt(this.#stream, () =>
      this.#stream.respond(rawHeadersOf(status, fields), { endStream, waitForTrailers }),
    );
    if (waitForTrailers) this.#stream.on('wantTrailers', () => this.#sendTrailers());
  }

  sendData(bytes: Buffer): boolean {
    if (this.#bodyless || this.#over || bytes.length === 0 || this.#stream.destroyed) return true;
    this.sentBytes += bytes.length;
    if (!this.#held && bytes.length <= HOLD_BYTES_MAX) {
      this.#held = Buffer.from(bytes);
      return true;
    }
    this.flush();
    return this.#stream.write(Buffer.from(bytes));
  }

  sendEnd(trailers: Fields | undefined): void {
    if (this.#over || this.#stream.destroyed) return;
    this.#trailers = trailers;
    this.#over = true;
    if (!this.#bodyless) this.#stream.end(this.#held);
    if (!this.bodyEnded) this.#stopBody();
  }

  flush(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held && !this.#over && !this.#stream.destroyed) this.#stream.write(held);
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  }

  switchProtocols(fields: Fields): Duplex {
    this.#over = true;
    fields.remove('sec-websocket-accept');
    attempt(this.#stream, () => this.#stream.respond({ ':status': 200, ...headersOf(fields) }));
    return this.#stream;
  }

  /** The answer is complete before the request: the rest is not wanted (RFC 9113 section 8.1, NO_ERROR). */
  #stopBody(): void {
    const stream = this.#stream;
    stream.removeAllListeners('data');
    stream.resume();
    stream.once('finish', () => stream.close(http2.constants.NGHTTP2_NO_ERROR));
  }

  #sendTrailers(): void {
    if (this.#stream.destroyed) return;
    attempt(this.#stream, () => this.#stream.sendTrailers(this.#trailers ? headersOf(this.#trailers) : {}));
  }

  #gone(): void {
    if (this.#over) return;
    this.#over = true;
    this.handler.exchangeAborted('client closed');
  }
}

/** A response head as a list of names and values: no object is made that V8 would have to learn the shape of. */
function rawHeadersOf(status: number, fields: Fields): string[] {
  const raw = [':status', String(status)];
  const { names, values } = fields;
  for (let i = 0; i < names.length; i++) {
    const { lower, role } = names[i]!;
    if (!isConnectionSpecific(role)) raw.push(lower, values[i]!);
  }
  return raw;
}

/** RFC 9113 section 8.2.2. */
function isConnectionSpecific(role: Role): boolean {
  return (
    role === Role.CONNECTION ||
    role === Role.TRANSFER_ENCODING ||
    role === Role.UPGRADE ||
    role === Role.HOP_BY_HOP
  );
}

/** Lower-case header object without connection-specific fields; several values become an array. */
export function headersOf(fields: Fields): http2.OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {};
  for (let i = 0; i < fields.names.length; i++) {
    const { lower, role } = fields.names[i]!;
    if (isConnectionSpecific(role)) continue;
    const value = fields.values[i]!;
    const before = headers[lower];
    headers[lower] =
      before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
  }
  return headers;
}

export function fieldsOf(headers: http2.IncomingHttpHeaders): Fields {
  const fields = new Fields();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) fields.push(fieldName(name), one);
  }
  return fields;
}
