import net from 'node:net';
import type { Duplex } from 'node:stream';
import { ACME_PROTOCOL } from '../acme/challenges.ts';
import { Fault } from '../../src/base/fault.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { Certificate } from '../certificates/certificate-store.ts';
import type { ClientHello } from '../certificates/client-hello.ts';
import { readClientHello } from '../certificates/client-hello.ts';
import type { ServerTls } from '../certificates/server-names.ts';
import type { ConnectionFacts, Exchange } from '../http/exchange.ts';
import { H1ServerConnection, type H1ServerHooks } from '../http/h1-server.ts';
import { H2ServerConnection } from '../http/h2-server.ts';
import type { BadHead } from '../http/message.ts';
import { CLIENT_HELLO_BYTES_MAX, PROXY_V2_BYTES_MAX } from '../limits.ts';
import { acceptLent } from '../lent-socket.ts';
import { NetWire } from '../net-wire.ts';
import type { GlobalSettings } from '../settings.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import { inCidrs, plainAddress } from '../relay/context.ts';
import { Opening } from './opening.ts';
import { TlsAcceptor } from './tls-acceptor.ts';
import { type ProxyHeader, readProxyHeader } from './proxy-protocol.ts';

export interface ListenerDeps {
  readonly wheel: TimerWheel;
  settings(): GlobalSettings;
  exchangeStarted(exchange: Exchange): void;
  badRequest(facts: ConnectionFacts, bad: BadHead): void;
  /** How TLS is spoken with a client. */
  serverTls(hello: ClientHello): ServerTls;
  /** The OCSP answer to show with a certificate. */
  staple(certificate: Certificate): Buffer | undefined;
  /** Takes a TLS connection that is passed through by its server name; false = not one of those. */
  passThrough(socket: net.Socket, hello: ClientHello): boolean;
  refused(reason: string): void;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** A connection that can be told to finish. */
interface Drainable {
  drain(): void;
}

/** One listening TCP port, plain or TLS: reads PROXY header and ClientHello, then starts HTTP/1.1 or HTTP/2. */
export class Listener implements AsyncDisposable {
  readonly #deps: ListenerDeps;
  readonly #options: ListenerOptions;
  readonly #server: net.Server;
  readonly #connections = new Set<Drainable>();
  readonly #sockets = new Set<net.Socket>();
  readonly #tls: TlsAcceptor;
  /** The same for all connections. */
  readonly #hooks: H1ServerHooks;
  #draining = false;
  #accepted = 0;

  private constructor(deps: ListenerDeps, options: ListenerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#tls = new TlsAcceptor(
      (reason) => deps.refused(reason),
      (certificate) => deps.staple(certificate),
    );
    this.#hooks = {
      wheel: deps.wheel,
      exchangeStarted: (exchange) => deps.exchangeStarted(exchange),
      badRequest: (at, bad) => deps.badRequest(at, bad),
      prefaceSeen: (stream, at) => this.#startH2(stream, at),
      connectionClosed: (closed) => this.#connections.delete(closed),
    };
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: false }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Rejects with Fault INGRESS_LISTEN when the address cannot be had. */
  static async open(deps: ListenerDeps, options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(deps, options);
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', (cause: NodeJS.ErrnoException) =>
        reject(
          new Fault(
            'INGRESS_LISTEN',
            `cannot listen on ${joinHostPort(options.host, options.port)}: ${cause.code === 'EADDRINUSE' ? 'the port is in use' : cause.message}`,
            { cause },
          ),
        ),
      );
      listener.#server.listen({ host: options.host, port: options.port, backlog: 4096 }, resolve);
    });
    // TLS reads its sockets itself
    if (!options.secure) acceptLent(listener.#server, (socket) => listener.#accept(socket));
    return listener;
  }

  get address(): { host: string; port: number } {
    const bound = this.#server.address() as net.AddressInfo;
    return { host: bound.address, port: bound.port };
  }

  get secure(): boolean {
    return this.#options.secure;
  }

  /** Connections so far. */
  get acceptedCount(): number {
    return this.#accepted;
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** Stops accepting; open connections finish what they have. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#server.close();
    for (const connection of this.#connections) connection.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain();
    const closed = new Promise<void>((resolve) =>
      this.#server.listening ? this.#server.once('close', resolve) : resolve(),
    );
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: net.Socket): void {
    this.#accepted++;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const peer = plainAddress(socket.remoteAddress ?? '');
    const facts: ConnectionFacts = {
      clientAddress: peer,
      clientPort: socket.remotePort ?? 0,
      peerAddress: peer,
      localPort: this.address.port,
      secure: false,
      tls: undefined,
      proxiedPort: undefined,
    };
    const { useProxyProtocol } = this.#deps.settings();
    if (!useProxyProtocol && !this.#options.secure) return this.#startH1(socket, facts);
    const opening = new Opening(socket, this.#deps.wheel, (reason) => this.#deps.refused(reason));
    if (!useProxyProtocol) return this.#readHello(opening, facts);
    opening.read(PROXY_V2_BYTES_MAX + PROXY_V2_BYTES_MAX, readProxyHeader, (header: ProxyHeader, rest) => {
      const { trustedProxies } = this.#deps.settings();
      // a header of anybody else is read and not believed
      const proxied = inCidrs(trustedProxies, peer) ? withProxyHeader(facts, header) : facts;
      opening.held = rest.subarray(header.length);
      if (this.#options.secure) this.#readHello(opening, proxied);
      else this.#startH1(opening.release(), proxied);
    });
  }

  #readHello(opening: Opening, facts: ConnectionFacts): void {
    opening.read(CLIENT_HELLO_BYTES_MAX, readClientHello, (hello: ClientHello) => {
      const socket = opening.release();
      if (this.#deps.passThrough(socket, hello)) return;
      this.#startTls(socket, facts, hello);
    });
  }

  #startTls(socket: net.Socket, facts: ConnectionFacts, hello: ClientHello): void {
    this.#tls.accept(socket, this.#deps.serverTls(hello), hello, (secured, tlsFacts) => {
      const now: ConnectionFacts = { ...facts, secure: true, tls: tlsFacts };
      // TLS-ALPN-01: the handshake was the answer (RFC 8737 section 3)
      if (secured.alpnProtocol === ACME_PROTOCOL) return void secured.end();
      if (secured.alpnProtocol === 'h2') this.#startH2(secured, now);
      else this.#startH1(secured, now);
    });
  }

  #startH1(socket: net.Socket, facts: ConnectionFacts): void {
    const wire = new NetWire(
      socket,
      { address: facts.clientAddress, port: facts.clientPort },
      facts.localPort,
    );
    const connection = new H1ServerConnection(wire, facts, this.#hooks, this.#deps.settings().server);
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
    // it was paused while the connection was opened, whether or not bytes were put back
    socket.resume();
  }

  #startH2(stream: Duplex, facts: ConnectionFacts): void {
    if (!this.#deps.settings().useHttp2) return void stream.destroy();
    const connection = new H2ServerConnection(
      stream,
      facts,
      this.#deps,
      this.#deps.settings().http2StreamsMax,
      (closed) => this.#connections.delete(closed),
    );
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
  }
}

function withProxyHeader(facts: ConnectionFacts, header: ProxyHeader): ConnectionFacts {
  if (!header.source) return facts;
  return {
    ...facts,
    clientAddress: plainAddress(header.source.address),
    clientPort: header.source.port,
    localPort: header.destinationPort ?? facts.localPort,
    proxiedPort: header.destinationPort,
  };
}
