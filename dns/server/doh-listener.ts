import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import { STREAM_CONNECTIONS, STREAM_IDLE_MS, TLS_HANDSHAKE_MS } from '../limits.ts';
import type { TlsFiles, TransportSettings } from '../block-settings.ts';
import type { Peer } from '../query.ts';
import { HEADER_BYTES } from '../wire/decode.ts';
import { MAX_MESSAGE_BYTES } from '../wire/encode.ts';
import { smallestTtl } from './message-ttl.ts';
import { plainAddress } from './portable-datagram.ts';
import type { Answerer } from './responder.ts';
import { listening } from './stream-listener.ts';
import { tlsFilesFault } from './tls-files.ts';
import { guardTls, readTlsOptions } from './tls-options.ts';

export interface DohOptions {
  readonly address: string;
  readonly port: number;
  readonly listener: string;
  readonly tls: TlsFiles;
  readonly settings?: Partial<Readonly<TransportSettings>>;
}

const MEDIA_TYPE = 'application/dns-message';
const PATH = '/dns-query';
/** HTTP/2 streams of one connection at a time. */
const STREAMS_MAX = 128;

/** DNS over HTTPS (RFC 8484): GET and POST on /dns-query, HTTP/2 and, for old clients, HTTP/1.1. */
export class DohListener implements AsyncDisposable {
  readonly #server: Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly address: Peer;

  private constructor(server: Http2SecureServer) {
    this.#server = server;
    const { address, port } = server.address() as AddressInfo;
    this.address = { address, port };
  }

  /** Rejects with Fault LISTEN_FAILED or TLS_FILES. */
  static async open(deps: { clock: Clock; responder: Answerer }, options: DohOptions): Promise<DohListener> {
    const server = createSecureServer({
      allowHTTP1: true,
      handshakeTimeout: TLS_HANDSHAKE_MS,
      settings: { maxConcurrentStreams: STREAMS_MAX },
      ...readTlsOptions(options.tls),
    });
    const { settings = {} } = options;
    server.setTimeout(settings.idleMs ?? STREAM_IDLE_MS);
    server.maxConnections = settings.httpsConnections ?? STREAM_CONNECTIONS;
    server.on('timeout', (session: { destroy?(): void; close?(): void }) => session.destroy?.());
    server.on('sessionError', () => {}); // a broken peer; its session is gone with it
    guardTls(server, options.tls);
    await listening(server, options);
    const listener = new DohListener(server);
    server.on('connection', (socket: Socket) => listener.#follow(socket));
    server.on(
      'request',
      (request, response) => void serve(deps.responder, options.listener, request, response),
    );
    return listener;
  }

  /** Who must show a certificate is decided when it opens, and stays so. */
  renewTls(files: TlsFiles): void {
    const options = readTlsOptions(files);
    try {
      this.#server.setSecureContext(options);
    } catch (cause) {
      throw tlsFilesFault(files, cause);
    }
  }

  drain(): void {
    this.#server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #follow(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

async function serve(
  responder: Answerer,
  listener: string,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
): Promise<void> {
  const abort = new AbortController();
  response.on('close', () => abort.abort(new Error('client is gone')));
  response.on('error', () => abort.abort(new Error('client is gone')));
  const asked = await questionOf(request);
  if (typeof asked === 'number') return refuse(response, asked);
  const { socket } = request;
  const arrival = {
    transport: 'https',
    listener,
    client: { address: plainAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 },
    server: { address: plainAddress(socket.localAddress ?? ''), port: socket.localPort ?? 0 },
    signal: abort.signal,
  } as const;
  let answered = false;
  const respond = (bytes: Uint8Array): void => {
    if (answered || abort.signal.aborted) return;
    answered = true;
    response.writeHead(200, {
      'content-type': MEDIA_TYPE,
      'content-length': bytes.length,
      'cache-control': `max-age=${smallestTtl(bytes)}`,
    });
    response.end(bytes);
  };
  responder.answer(asked, arrival, respond, () => {
    if (!answered && !abort.signal.aborted) refuse(response, 400);
  });
}

function refuse(response: Http2ServerResponse, status: number): void {
  response.writeHead(status, status === 405 ? { allow: 'GET, POST' } : {});
  response.end();
}

/** The message of a request, or the HTTP status that says what is wrong with it. */
async function questionOf(request: Http2ServerRequest): Promise<Uint8Array | number> {
  const [path, query] = request.url.split('?', 2);
  if (path !== PATH) return 404;
  if (request.method === 'GET') return fromGet(query ?? '');
  if (request.method !== 'POST') return 405;
  if (request.headers['content-type']?.split(';')[0]?.trim() !== MEDIA_TYPE) return 415;
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of request) {
      chunks.push(chunk as Uint8Array);
      size += (chunk as Uint8Array).length;
      if (size > MAX_MESSAGE_BYTES) return 413;
    }
  } catch {
    return 400; // the client went away in the middle
  }
  return size < HEADER_BYTES ? 400 : Uint8Array.from(Buffer.concat(chunks));
}

function fromGet(query: string): Uint8Array | number {
  const text = new URLSearchParams(query).get('dns');
  if (text === null || !/^[A-Za-z0-9_-]*$/.test(text)) return 400;
  if (text.length > (MAX_MESSAGE_BYTES * 4) / 3) return 414;
  const bytes = Uint8Array.from(Buffer.from(text, 'base64url'));
  return bytes.length < HEADER_BYTES ? 400 : bytes;
}
