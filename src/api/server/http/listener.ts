import { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import http2, { type Http2SecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../base/clock.ts';
import type { Drain } from '../../../base/drain.ts';
import { messageOf } from '../../../base/fault.ts';
import type { Logger } from '../../../base/log.ts';
import { joinHostPort } from '../../../net/ip.ts';
import { listenFault } from '../../../net/listen-fault.ts';
import { BODY_MAX_BYTES } from '../limits.ts';
import { tooLarge } from '../status.ts';
import type { ByteSink } from './byte-sink.ts';
import { compressed } from './compress.ts';
import { peerOf } from './peer.ts';
import { errorReply, type Reply } from './reply.ts';
import type { ApiRequest, UpgradeSocket } from './request.ts';

export const API_PORT_IN_USE = 'API_PORT_IN_USE';

/** Long bodies go out in pieces of this size: the first is on its way while the next is encrypted. */
const PIECE_BYTES = 64 * 1024;
/** After so many of them (some 0.3 ms) the rest of the body waits for its user's turn. */
const PIECES_PER_SLICE = 4;

/** One for all: an AbortSignal without a reason makes an error with its stack for each request that ends. */
const CLIENT_GONE = new Error('the client is gone');

export type ApiHandler = (request: ApiRequest) => Promise<Reply | undefined>;

export interface ListenerDeps {
  readonly handler: ApiHandler;
  readonly clock: Clock;
  readonly log: Logger;
  readonly drain: Drain;
  /** Waits until it is this address's turn to have a connection: its TLS handshake will keep the thread busy. */
  readonly mayConnect: (address: string) => Promise<void>;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly caPem: string;
}

/** TLS with HTTP/2 and HTTP/1.1 on one port. Client certificates are asked for, never demanded. */
export class ApiListener implements AsyncDisposable {
  readonly #deps: ListenerDeps;
  /** Accepts; hands each connection on when its turn has come. */
  readonly #acceptor: Server;
  readonly #server: Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();

  static async open(deps: ListenerDeps, options: ListenerOptions): Promise<ApiListener> {
    const listener = new ApiListener(deps, options);
    await listener.#listen(options);
    return listener;
  }

  private constructor(deps: ListenerDeps, options: ListenerOptions) {
    this.#deps = deps;
    this.#server = http2.createSecureServer({
      key: options.keyPem,
      cert: options.certificatePem,
      ca: options.caPem,
      requestCert: true,
      rejectUnauthorized: false,
      allowHTTP1: true,
      minVersion: 'TLSv1.2',
      settings: { maxConcurrentStreams: 1000, initialWindowSize: 256 * 1024 },
      maxSessionMemory: 64,
    });
    this.#acceptor = createServer({ pauseOnConnect: true }, (socket) => void this.#onConnection(socket));
    this.#wire();
  }

  /** `127.0.0.1:6443`. */
  get address(): string {
    const { address, port } = this.#acceptor.address() as AddressInfo;
    return joinHostPort(address, port);
  }

  /** New connections get this certificate; open ones keep theirs. */
  renew(keyPem: string, certificatePem: string, caPem: string): void {
    this.#server.setSecureContext({ key: keyPem, cert: certificatePem, ca: caPem });
  }

  /** Stops accepting and tells HTTP/2 clients to go elsewhere; requests under way go on. */
  stopAccepting(): void {
    this.#acceptor.close();
    this.#server.close();
    for (const session of this.#sessions) session.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#acceptor.close(() => resolve()));
    this.#server.close();
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #listen(options: ListenerOptions): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#acceptor.once('error', (error: NodeJS.ErrnoException) => {
        const { host: address, port } = options;
        reject(listenFault({ address, port }, error, API_PORT_IN_USE));
      });
      this.#acceptor.listen(options.port, options.host, resolve);
    });
    this.#acceptor.removeAllListeners('error');
    this.#acceptor.on('error', (error) =>
      this.#deps.log.warn('listener error', { reason: messageOf(error) }),
    );
  }

  async #onConnection(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    await this.#deps.mayConnect(socket.remoteAddress ?? '');
    if (!socket.destroyed) this.#server.emit('connection', socket);
  }

  #wire(): void {
    const server = this.#server;
    server.on('secureConnection', (socket) => {
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
    });
    server.on('tlsClientError', (error) => {
      this.#deps.log.debug('tls handshake failed', { reason: messageOf(error) });
    });
    server.on('sessionError', (error) => {
      this.#deps.log.debug('http2 session error', { reason: messageOf(error) });
    });
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
    });
    server.on('stream', (stream, headers) => void this.#onStream(stream, headers));
    server.on('request', (request, response) => {
      if (request.httpVersionMajor === 1) {
        void this.#onRequest(request as unknown as IncomingMessage, response as unknown as ServerResponse);
      }
    });
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      void this.#onUpgrade(request, socket, head);
    });
  }

  async #answer(request: ApiRequest): Promise<Reply | undefined> {
    using _unit = this.#deps.drain.track();
    try {
      const reply = await this.#deps.handler(request);
      return reply && (await compressed(request, reply));
    } catch (error) {
      return errorReply(error);
    }
  }

  async #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const gone = new AbortController();
    stream.once('close', () => gone.abort(CLIENT_GONE));
    stream.on('error', () => gone.abort(CLIENT_GONE));
    const socket = stream.session?.socket;
    if (!socket) {
      stream.destroy();
      return;
    }
    const request = requestOf({
      method: headers[':method'] ?? 'GET',
      target: headers[':path'] ?? '/',
      headers: flatHeaders(headers),
      source: stream,
      socket,
      upgrade: undefined,
      signal: gone.signal,
    });
    const reply = await this.#answer(request);
    if (!reply) return;
    if (stream.destroyed || stream.closed) return reply.done?.();
    if (reply.body instanceof Uint8Array) {
      stream.respond({ ':status': reply.status, ...reply.headers, 'content-length': reply.body.length });
      whenClosed(stream, reply);
      stream.end(request.method === 'HEAD' ? undefined : reply.body);
      return;
    }
    stream.respond({ ':status': reply.status, ...reply.headers });
    await this.#pump(stream, gone.signal, reply);
  }

  async #onRequest(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort(CLIENT_GONE));
    const request = requestOf({
      method: message.method ?? 'GET',
      target: message.url ?? '/',
      headers: flatHeaders(message.headers),
      source: message,
      socket: message.socket,
      upgrade: undefined,
      signal: gone.signal,
    });
    const reply = await this.#answer(request);
    if (!reply) return;
    if (response.destroyed) return reply.done?.();
    if (this.#deps.drain.signal.aborted) response.setHeader('connection', 'close');
    if (reply.body instanceof Uint8Array) {
      response.writeHead(reply.status, { ...reply.headers, 'content-length': reply.body.length });
      whenClosed(response, reply);
      if (request.method === 'HEAD') response.end();
      else if (reply.body.length <= PIECE_BYTES) response.end(reply.body);
      else await this.#writeLong(response, gone.signal, reply.body, reply.nextSlice);
      return;
    }
    response.writeHead(reply.status, reply.headers);
    response.flushHeaders();
    await this.#pump(response, gone.signal, reply);
  }

  /** To encrypt megabytes takes milliseconds, in which nobody else would be served. */
  async #writeLong(
    response: ServerResponse,
    gone: AbortSignal,
    body: Uint8Array,
    nextSlice: Reply['nextSlice'],
  ): Promise<void> {
    using _unit = this.#deps.drain.track();
    const sink = streamSink(response, gone);
    let at = 0;
    for (let piece = 1; body.length - at > PIECE_BYTES; piece++, at += PIECE_BYTES) {
      sink.write(body.subarray(at, at + PIECE_BYTES));
      if (piece % PIECES_PER_SLICE > 0) continue;
      await sink.drained();
      await nextSlice?.();
      if (gone.aborted) return;
    }
    response.end(body.subarray(at));
  }

  async #onUpgrade(message: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const gone = new AbortController();
    socket.once('close', () => gone.abort(CLIENT_GONE));
    socket.on('error', () => socket.destroy());
    const upgrade: UpgradeSocket = { socket, head, raw: message };
    const request = requestOf({
      method: message.method ?? 'GET',
      target: message.url ?? '/',
      headers: flatHeaders(message.headers),
      source: undefined,
      socket: message.socket,
      upgrade,
      signal: gone.signal,
    });
    const reply = await this.#answer(request);
    reply?.done?.();
    if (!reply || socket.destroyed) return;
    const body = reply.body instanceof Uint8Array ? reply.body : Buffer.alloc(0);
    const lines = Object.entries({ ...reply.headers, 'content-length': body.length, connection: 'close' });
    const text = lines.map(([key, value]) => `${key}: ${value}\r\n`).join('');
    socket.end(
      Buffer.concat([Buffer.from(`HTTP/1.1 ${reply.status} Status\r\n${text}\r\n`, 'latin1'), body]),
    );
  }

  async #pump(stream: ServerHttp2Stream | ServerResponse, gone: AbortSignal, reply: Reply): Promise<void> {
    if (reply.body instanceof Uint8Array) return;
    using _unit = this.#deps.drain.track();
    const closed = AbortSignal.any([gone, this.#deps.drain.signal]);
    try {
      await reply.body(streamSink(stream, closed));
    } catch (error) {
      this.#deps.log.warn('reply stream failed', { reason: messageOf(error) });
    } finally {
      reply.done?.();
    }
    stream.end();
  }
}

/** Tells who holds something for the reply that its bytes have left, or never will. */
function whenClosed(stream: ServerHttp2Stream | ServerResponse, { release, done }: Reply): void {
  if (release) stream.once('close', release);
  if (done) stream.once('close', done);
}

function streamSink(stream: ServerHttp2Stream | ServerResponse, closed: AbortSignal): ByteSink {
  return {
    write: (chunk) => void (closed.aborted || stream.write(chunk)),
    get bufferedBytes() {
      return stream.writableLength;
    },
    drained: () =>
      new Promise((resolve) => {
        if (!stream.writableNeedDrain || closed.aborted) return resolve();
        const done = (): void => {
          stream.off('drain', done);
          closed.removeEventListener('abort', done);
          resolve();
        };
        stream.once('drain', done);
        closed.addEventListener('abort', done, { once: true });
      }),
    closed,
  };
}

function flatHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [key, value] of Object.entries(headers)) {
    if (value !== undefined && !key.startsWith(':'))
      flat[key] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly source: AsyncIterable<Uint8Array> | undefined;
  readonly socket: Socket;
  readonly upgrade: UpgradeSocket | undefined;
  readonly signal: AbortSignal;
}

function requestOf(raw: RawRequest): ApiRequest {
  const question = raw.target.indexOf('?');
  const path = question < 0 ? raw.target : raw.target.slice(0, question);
  const query = new URLSearchParams(question < 0 ? '' : raw.target.slice(question + 1));
  let body: Promise<Uint8Array> | undefined;
  return {
    method: raw.method,
    path,
    query,
    target: raw.target,
    headers: raw.headers,
    body: () => (body ??= readBody(raw)),
    peer: peerOf(raw.socket),
    trusted: undefined,
    upgrade: raw.upgrade,
    signal: raw.signal,
  };
}

async function readBody({ headers, source }: RawRequest): Promise<Uint8Array> {
  const tooBig = () => tooLarge(`Request entity too large: limit is ${BODY_MAX_BYTES}`);
  if (Number(headers['content-length'] ?? 0) > BODY_MAX_BYTES) throw tooBig();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of source ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > BODY_MAX_BYTES) throw tooBig();
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}
