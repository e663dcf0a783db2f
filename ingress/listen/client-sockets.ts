import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { ACME_PROTOCOL } from '../acme/challenges.ts';
import type { Certificate } from '../certificates/certificate-store.ts';
import type { ClientHello } from '../certificates/client-hello.ts';
import { readClientHello } from '../certificates/client-hello.ts';
import type { OcspAnswer } from '../certificates/ocsp-stapler.ts';
import type { ServerTls } from '../certificates/server-names.ts';
import type { ConnectionFacts, Exchange, TlsFacts } from '../http/exchange.ts';
import { H1ServerConnection, type H1ServerHooks } from '../http/h1-server.ts';
import { H2ServerConnection } from '../http/h2-server.ts';
import type { BadHead } from '../http/message.ts';
import { CLIENT_HELLO_BYTES_MAX, PROXY_V2_BYTES_MAX } from '../limits.ts';
import { NetWire } from '../net-wire.ts';
import type { GlobalSettings } from '../settings.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import { inCidrs, plainAddress } from '../relay/context.ts';
import type { FailedTry } from '../relay/failed-try.ts';
import { Opening } from './opening.ts';
import { TlsAcceptor } from './tls-acceptor.ts';
import { type ProxyHeader, readProxyHeader } from './proxy-protocol.ts';

export interface ClientSocketsDeps {
  readonly wheel: TimerWheel;
  settings(): GlobalSettings;
  /** `failed`: another engine has made the first try already. */
  exchangeStarted(exchange: Exchange, failed?: FailedTry): void;
  badRequest(facts: ConnectionFacts, bad: BadHead): void;
  /** How TLS is spoken with a client. */
  serverTls(hello: ClientHello): ServerTls;
  /** The OCSP answer to show with a certificate. */
  staple(certificate: Certificate): OcspAnswer | undefined;
  /** Takes a TLS connection that is passed through by its server name; false = not one of those. */
  passThrough(socket: net.Socket, hello: ClientHello): boolean;
  refused(reason: string): void;
}

export interface ClientSocketsOptions {
  readonly secure: boolean;
  /** The port clients came to. */
  readonly port: () => number;
}

/** A connection that another engine has served so far. */
export interface AdoptedClient {
  readonly address: string;
  readonly port: number;
  /** The other engine speaks TLS with the client, and goes on doing so. */
  readonly tls?: TlsFacts | undefined;
  /** Read but not used. */
  readonly bytes: Uint8Array;
  /** Requests served on it before. */
  readonly served: number;
  /** The request cannot be understood: the answer. */
  readonly refuse?: BadHead | undefined;
  /** The next request has been tried already. */
  readonly failed?: FailedTry | undefined;
}

/** A connection that can be told to finish. */
interface Drainable {
  drain(): void;
}

/** Serves accepted connections, plain or TLS: reads PROXY header and ClientHello, then starts HTTP/1.1 or HTTP/2. */
export class ClientSockets implements Disposable {
  readonly #deps: ClientSocketsDeps;
  readonly #options: ClientSocketsOptions;
  readonly #connections = new Set<Drainable>();
  readonly #sockets = new Set<net.Socket>();
  readonly #tls: TlsAcceptor;
  /** The same for all connections. */
  readonly #hooks: H1ServerHooks;
  #draining = false;
  #accepted = 0;

  constructor(deps: ClientSocketsDeps, options: ClientSocketsOptions) {
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
  }

  /** Connections so far, adopted ones not. */
  get acceptedCount(): number {
    return this.#accepted;
  }

  get count(): number {
    return this.#sockets.size;
  }

  /** Open connections finish what they have, later ones are told to. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const connection of this.#connections) connection.drain();
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  accept(socket: net.Socket): void {
    this.#accepted++;
    this.#take(socket, { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }, undefined);
  }

  /** Goes on where another engine stopped. */
  adopt(socket: net.Socket, client: AdoptedClient): void {
    if (client.bytes.length > 0) socket.unshift(client.bytes);
    this.#take(socket, client, client);
  }

  #take(
    socket: net.Socket,
    from: { readonly address: string; readonly port: number },
    adopted: AdoptedClient | undefined,
  ): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const peer = plainAddress(from.address);
    const facts: ConnectionFacts = {
      clientAddress: peer,
      clientPort: from.port,
      peerAddress: peer,
      localPort: this.#options.port(),
      secure: adopted?.tls !== undefined,
      tls: adopted?.tls,
      proxiedPort: undefined,
    };
    if (adopted?.tls) return this.#startH1(socket, facts, adopted);
    const useProxyProtocol = this.#deps.settings().useProxyProtocol && !adopted?.served;
    if (!useProxyProtocol && !this.#options.secure) return this.#startH1(socket, facts, adopted);
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

  #startH1(socket: net.Socket, facts: ConnectionFacts, adopted?: AdoptedClient): void {
    const wire = new NetWire(
      socket,
      { address: facts.clientAddress, port: facts.clientPort },
      facts.localPort,
    );
    const hooks = adopted?.failed ? this.#resuming(adopted.failed) : this.#hooks;
    const { server } = this.#deps.settings();
    const connection = new H1ServerConnection(wire, facts, hooks, server, adopted?.served);
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
    if (adopted?.refuse) connection.refuse(adopted.refuse);
    // it was paused while the connection was opened, whether or not bytes were put back
    socket.resume();
  }

  /** The first exchange has been tried before. */
  #resuming(failed: FailedTry): H1ServerHooks {
    let first: FailedTry | undefined = failed;
    return {
      ...this.#hooks,
      exchangeStarted: (exchange) => {
        const before = first;
        first = undefined;
        this.#deps.exchangeStarted(exchange, before);
      },
    };
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
