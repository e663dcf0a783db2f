import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { listenFault } from '../../src/net/listen-fault.ts';
import { STREAM_CONNECTIONS } from '../limits.ts';
import type { TlsFiles } from '../block-settings.ts';
import type { Peer } from '../query.ts';
import { StreamConnection } from './stream-connection.ts';
import type { OpenStreamEngine, StreamDeps, StreamEngine, StreamOptions } from './stream-engine.ts';

export interface StreamListenerOptions extends StreamOptions {
  readonly maxConnections?: number;
}

/** DNS over TCP or TLS on one address. */
export class StreamListener implements StreamEngine {
  readonly #server: Server;
  readonly #deps: StreamDeps;
  readonly #options: StreamListenerOptions;
  readonly #connections = new Set<StreamConnection>();
  readonly #handshakes = new Set<Socket>();
  /** Never listens: it is given what the other accepts, and another one takes its place when certificates change. */
  #secure: TlsServer | undefined;
  readonly #openSecure: OpenSecure | undefined;
  readonly address: Peer;

  private constructor(
    server: Server,
    deps: StreamDeps,
    options: StreamListenerOptions,
    tls: { readonly open: OpenSecure; readonly secure: TlsServer } | undefined,
  ) {
    this.#server = server;
    this.#deps = deps;
    this.#options = options;
    const { address, port } = server.address() as AddressInfo;
    this.address = { address, port };
    this.#openSecure = tls?.open;
    if (tls) this.#use(tls.secure);
    server.on('connection', (socket: Socket) => (tls ? this.#shake(socket) : this.#accept(socket)));
  }

  /** Rejects with Fault LISTEN_FAILED or TLS_FILES. */
  static async open(deps: StreamDeps, options: StreamListenerOptions): Promise<StreamListener> {
    const tls = options.tls && (await secured(options.tls));
    const server = createServer({ allowHalfOpen: true });
    await listening(server, options);
    return new StreamListener(server, deps, options, tls);
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

  renewTls(files: TlsFiles): void {
    if (this.#openSecure) this.#use(this.#openSecure(files));
  }

  #use(secure: TlsServer): void {
    this.#secure = secure;
    secure.on('secureConnection', (socket) => this.#accept(socket));
  }

  /** Raw sockets whose handshake is still open must not outlive the listener. */
  #shake(socket: Socket): void {
    this.#handshakes.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#handshakes.delete(socket));
    this.#secure?.emit('connection', socket);
  }

  #accept(socket: Socket): void {
    const { listener, tls, settings, maxConnections = STREAM_CONNECTIONS } = this.#options;
    if (this.#connections.size >= maxConnections) this.#makeRoom();
    const options = { transport: tls ? 'tls' : 'tcp', listener, ...(settings && { settings }) } as const;
    const connection = new StreamConnection(this.#deps, options, socket, (gone) =>
      this.#connections.delete(gone),
    );
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

type OpenSecure = (files: TlsFiles) => TlsServer;

/** The module of TLS is loaded by who speaks it: most servers do not, and start without. */
async function secured(files: TlsFiles): Promise<{ readonly open: OpenSecure; readonly secure: TlsServer }> {
  const { openSecureServer: open } = await import('./secure-server.ts');
  return { open, secure: open(files) };
}

export async function listening(
  server: Server,
  { address, port }: { address: string; port: number },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: Error): void => reject(listenFault({ address, port, protocol: 'tcp' }, cause));
    server.once('error', refuse);
    server.listen({ host: address, port, exclusive: true, backlog: 1024 }, () => {
      server.off('error', refuse);
      server.on('error', () => {}); // accept errors (EMFILE): the kernel keeps the queue, the next accept retries
      resolve();
    });
  });
}
