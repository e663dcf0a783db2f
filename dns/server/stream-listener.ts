import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { TlsOptions, TLSSocket } from 'node:tls';
import { Fault, messageOf } from '../../src/base/fault.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { STREAM_CONNECTIONS, TLS_HANDSHAKE_MS } from '../limits.ts';
import type { Peer, TlsFiles } from '../plugin.ts';
import { StreamConnection } from './stream-connection.ts';
import type { OpenStreamEngine, StreamDeps, StreamEngine, StreamOptions } from './stream-engine.ts';
import { guardTls } from './tls-options.ts';

export interface StreamListenerOptions extends StreamOptions {
  /** With it: DNS over TLS (RFC 7858). */
  readonly tls?: TlsOptions;
  /** What `tls` was read from. */
  readonly tlsFiles?: TlsFiles;
  readonly maxConnections?: number;
}

/** DNS over TCP or TLS on one address. */
export class StreamListener implements StreamEngine {
  readonly #server: Server;
  readonly #connections = new Set<StreamConnection>();
  readonly #handshakes = new Set<Socket>();
  readonly address: Peer;

  private constructor(server: Server) {
    this.#server = server;
    const { address, port } = server.address() as AddressInfo;
    this.address = { address, port };
  }

  /** Rejects with Fault LISTEN_FAILED. */
  static async open(deps: StreamDeps, options: StreamListenerOptions): Promise<StreamListener> {
    const server = options.tls ? await tlsServer(options.tls) : createServer({ allowHalfOpen: true });
    if (options.tlsFiles) guardTls(server, options.tlsFiles);
    await listening(server, options);
    const listener = new StreamListener(server);
    server.on(options.tls ? 'secureConnection' : 'connection', (socket: Socket | TLSSocket) =>
      listener.#accept(deps, options, socket),
    );
    if (options.tls) listener.#followHandshakes(server);
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return listener;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Accepts nothing more; connections end after their last answer. */
  drain(): void {
    this.#server.close();
    for (const connection of this.#connections) connection.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
    for (const socket of this.#handshakes) socket.destroy();
  }

  /** Raw sockets whose handshake is still open: they must not outlive the listener. */
  #followHandshakes(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#handshakes.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => this.#handshakes.delete(socket));
    });
  }

  #accept(
    deps: StreamDeps,
    { listener, tls, settings, maxConnections = STREAM_CONNECTIONS }: StreamListenerOptions,
    socket: Socket,
  ): void {
    if (this.#connections.size >= maxConnections) this.#makeRoom();
    const options = { transport: tls ? 'tls' : 'tcp', listener, ...(settings && { settings }) } as const;
    const connection = new StreamConnection(deps, options, socket, (gone) => this.#connections.delete(gone));
    this.#connections.add(connection);
  }

  /** Cuts off the connection that has been idle for longest; insertion order approximates it well enough. */
  #makeRoom(): void {
    let oldest: StreamConnection | undefined;
    let looked = 0;
    for (const connection of this.#connections) {
      if (connection.idle && (!oldest || connection.lastActiveMs < oldest.lastActiveMs)) oldest = connection;
      if (++looked >= 64 && oldest) break;
    }
    oldest?.destroy();
  }
}

/** The engine on node:net: works wherever Node does. */
export const openPortableStream: OpenStreamEngine = (deps, options) => StreamListener.open(deps, options);

/** The module of TLS is loaded by who speaks it: most servers do not, and start without. */
async function tlsServer(options: TlsOptions): Promise<Server> {
  const tls = await import('node:tls');
  return tls.createServer({ ALPNProtocols: ['dot'], handshakeTimeout: TLS_HANDSHAKE_MS, ...options });
}

export async function listening(
  server: Server,
  { address, port }: { address: string; port: number },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: Error): void => {
      const at = joinHostPort(address, port);
      reject(new Fault('LISTEN_FAILED', `cannot listen on ${at}/tcp: ${messageOf(cause)}`, { cause }));
    };
    server.once('error', refuse);
    server.listen({ host: address, port, exclusive: true, backlog: 1024 }, () => {
      server.off('error', refuse);
      server.on('error', () => {}); // accept errors (EMFILE): the kernel keeps the queue, the next accept retries
      resolve();
    });
  });
}
