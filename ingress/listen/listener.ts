import net from 'node:net';
import { listenFault } from '../../src/net/listen-fault.ts';
import { acceptLent } from '../lent-socket.ts';
import { ClientSockets, type ClientSocketsDeps } from './client-sockets.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** A listening TCP port of any engine. */
export interface HttpListener extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number };
  readonly secure: boolean;
  /** Connections so far. */
  readonly acceptedCount: number;
  readonly connectionCount: number;
  /** Requests under way that the gateway does not know of. */
  readonly requestCount: number;
  /** Stops accepting; open connections finish what they have. */
  drain(): void;
}

/** The portable engine: one listening TCP port of node:net, plain or TLS. */
export class Listener implements HttpListener {
  readonly requestCount = 0;
  readonly #options: ListenerOptions;
  readonly #server: net.Server;
  readonly #clients: ClientSockets;
  #draining = false;

  private constructor(deps: ClientSocketsDeps, options: ListenerOptions) {
    this.#options = options;
    const { secure } = options;
    this.#clients = new ClientSockets(deps, { secure, port: () => this.address.port });
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: false }, (socket) =>
      this.#clients.accept(socket),
    );
  }

  /** Rejects with Fault INGRESS_LISTEN when the address cannot be had. */
  static async open(deps: ClientSocketsDeps, options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(deps, options);
    await new Promise<void>((resolve, reject) => {
      const { host: address, port } = options;
      listener.#server.once('error', (cause) =>
        reject(listenFault({ address, port }, cause, 'INGRESS_LISTEN')),
      );
      listener.#server.listen({ host: options.host, port: options.port, backlog: 4096 }, resolve);
    });
    // TLS reads its sockets itself
    if (!options.secure) acceptLent(listener.#server, (socket) => listener.#clients.accept(socket));
    return listener;
  }

  get address(): { host: string; port: number } {
    const bound = this.#server.address() as net.AddressInfo;
    return { host: bound.address, port: bound.port };
  }

  get secure(): boolean {
    return this.#options.secure;
  }

  get acceptedCount(): number {
    return this.#clients.acceptedCount;
  }

  get connectionCount(): number {
    return this.#clients.count;
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#server.close();
    this.#clients.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain();
    const closed = new Promise<void>((resolve) =>
      this.#server.listening ? this.#server.once('close', resolve) : resolve(),
    );
    this.#clients[Symbol.dispose]();
    await closed;
  }
}
