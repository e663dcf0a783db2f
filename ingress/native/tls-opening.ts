import { X509Certificate } from 'node:crypto';
import { DUPLEX_EVENTS, EPOLL } from '../../src/net/native/abi.ts';
import type { ReadyHandler } from '../../src/net/native/epoll-loop.ts';
import { ERRNO } from '../../src/net/native/errno.ts';
import type { SocketAddress } from '../../src/net/native/socket-address.ts';
import type { Handshake } from '../../src/net/native/handshakes.ts';
import type { StreamSocket } from '../../src/net/native/stream-socket.ts';
import { TlsStream } from '../../src/net/native/tls-stream.ts';
import { clientFacts } from '../certificates/client-facts.ts';
import { type ClientHello, readClientHello } from '../certificates/client-hello.ts';
import { CLIENT_HELLO_BYTES_MAX, TLS_HANDSHAKE_MS } from '../limits.ts';
import type { ClientCertificate } from '../http/exchange.ts';
import { plainAddress } from '../relay/context.ts';
import type { ClientListener } from './client.ts';
import { ClientConnection } from './client-connection.ts';
import { TlsBridge } from '../../src/net/native/tls-bridge.ts';
import { HELLO_LOOKED_BYTES_MAX } from './limits.ts';
import { FAST_PROTOCOL, type NameTls, type NameWaiter } from './tls-names.ts';
import { WheelDeadline } from './wheel-deadline.ts';
import type { WorkerContext } from './worker-context.ts';

const State = {
  /** Its ClientHello is read, and left where it is. */
  HELLO: 0,
  /** The main thread is asked how TLS is spoken by its name. */
  NAME: 1,
  HANDSHAKE: 2,
  CLOSED: 3,
} as const;
type State = (typeof State)[keyof typeof State];

const BAD_EVENTS = EPOLL.ERR | EPOLL.HUP;

/**
 * A client of a TLS port until its handshake is done. The ClientHello is looked at first: whoever wants HTTP/2, or a name
 * that the fast path does not serve, goes to the portable engine as it came, not a byte of it taken.
 */
export class TlsOpening implements ReadyHandler, NameWaiter, Handshake {
  readonly #context: WorkerContext;
  readonly #stream: StreamSocket;
  readonly #peer: SocketAddress;
  readonly #listener: ClientListener;
  readonly #deadline: WheelDeadline;
  /** Infinity while it waits for us. */
  waitsSinceMs = performance.now();
  #state: State = State.HELLO;
  #lookedBytes = 0;
  #ended = false;
  #serverName: string | undefined;
  #tls: TlsStream | undefined;
  #name: NameTls | undefined;

  private constructor(
    context: WorkerContext,
    stream: StreamSocket,
    peer: SocketAddress,
    listener: ClientListener,
  ) {
    this.#context = context;
    this.#stream = stream;
    this.#peer = peer;
    this.#listener = listener;
    this.#deadline = new WheelDeadline(context.loop.timers, () =>
      this.#guarded(() => this.#refuse('timeout before the first request')),
    );
  }

  static take(
    context: WorkerContext,
    stream: StreamSocket,
    peer: SocketAddress,
    listener: ClientListener,
  ): void {
    context.openings.stalled()?.giveWay();
    const opening = new TlsOpening(context, stream, peer, listener);
    context.opened();
    context.openings.add(opening);
    if (!context.table.isFast) return opening.#handOver();
    if (context.loop.add(stream, DUPLEX_EVENTS, opening) < 0) return opening.#close();
    opening.#deadline.arm(TLS_HANDSHAKE_MS);
  }

  /** It has stalled, and others want to come in. */
  giveWay(): void {
    this.#guarded(() => this.#refuse('stalled before the first request'));
  }

  ready(events: number): void {
    if (events & EPOLL.RDHUP) this.#ended = true;
    this.#guarded(() => (events & BAD_EVENTS ? this.#close() : this.#proceed()));
  }

  named(tls: NameTls): void {
    if (this.#state === State.NAME) this.#guarded(() => this.#begin(tls));
  }

  /** Our own fault with one connection is the end of that one, and of nobody else's. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#context.broken(error);
      this.#close();
    }
  }

  #begin(name: NameTls): void {
    const { context } = name;
    if (!context) return this.#handOver();
    const tls = TlsStream.accept(this.#stream, context, this.#context.sessions);
    if (typeof tls === 'number') return this.#close();
    this.#tls = tls;
    this.#name = name;
    this.#state = State.HANDSHAKE;
    this.#shake(tls);
  }

  #proceed(): void {
    switch (this.#state) {
      case State.HELLO:
        return this.#readHello();
      case State.HANDSHAKE:
        return this.#shake(this.#tls!);
      case State.NAME:
        // who leaves meanwhile wants no answer
        if (this.#ended) this.#close();
        return;
      case State.CLOSED:
    }
  }

  #readHello(): void {
    const { arena, receiveAt } = this.#context;
    const size = this.#stream.peek(arena, receiveAt, CLIENT_HELLO_BYTES_MAX + 1);
    if (size === -ERRNO.EAGAIN) return;
    if (size <= 0) return this.#close();
    const hello = readClientHello(Buffer.from(arena.bytes.buffer, receiveAt, size));
    if (typeof hello === 'string') return this.#refuse(hello);
    if (hello) return this.#heard(hello);
    this.#lookedBytes += size;
    if (this.#lookedBytes > HELLO_LOOKED_BYTES_MAX) return this.#refuse('first bytes in too many pieces');
    if (size > CLIENT_HELLO_BYTES_MAX) return this.#refuse('first bytes too long');
    if (this.#ended) this.#close();
  }

  #heard({ serverName, alpn }: ClientHello): void {
    const wantsOther = alpn.length > 0 && !alpn.includes(FAST_PROTOCOL);
    const mayHaveOther = alpn.some((name) => name !== FAST_PROTOCOL && this.#isServed(name));
    if (wantsOther || mayHaveOther) return this.#handOver();
    this.#serverName = serverName;
    this.#state = State.NAME;
    this.waitsSinceMs = Infinity;
    this.#context.names.ask(serverName ?? '', this);
  }

  /** By the portable engine: HTTP/2, and ACME's proof of a name (RFC 8737). */
  #isServed(protocol: string): boolean {
    return protocol === 'acme-tls/1' || (protocol === 'h2' && this.#context.settings.useHttp2);
  }

  #shake(tls: TlsStream): void {
    if (!this.#context.openings.takeStep()) {
      this.waitsSinceMs = Infinity;
      return this.#context.loop.defer(this);
    }
    const failure = tls.handshake();
    this.waitsSinceMs = performance.now();
    if (failure === -ERRNO.EAGAIN) return;
    if (failure < 0) return this.#refuse(`tls: ${tls.error}`);
    this.#state = State.CLOSED;
    this.#deadline.cancel();
    this.#context.openings.delete(this);
    // it asks for its events anew: what has come meanwhile is reported to the next one
    this.#context.loop.remove(tls);
    ClientConnection.take(this.#context, {
      stream: tls,
      release: () => TlsBridge.open(this.#context, tls),
      address: plainAddress(this.#peer.address),
      port: this.#peer.port,
      listener: this.#listener,
      tls: {
        serverName: this.#serverName,
        ...tls.facts,
        client: this.#name?.asks === true ? shown(tls) : undefined,
        clientAuthority: this.#name?.clientAuthority,
        checkedBy: this.#name?.checkedBy,
      },
    });
  }

  #handOver(): void {
    this.#leave();
    const { address, port } = this.#peer;
    this.#context.post({
      kind: 'handover',
      fd: this.#stream.release(),
      listener: this.#listener.index,
      address: plainAddress(address),
      port,
      tls: undefined,
      bytes: new Uint8Array(),
      served: 0,
      order: { kind: 'handshake' },
    });
  }

  #refuse(reason: string): void {
    if (this.#state === State.CLOSED) return;
    this.#context.post({ kind: 'refused', reason });
    // what was only looked at would have the kernel send a reset
    if (!this.#tls)
      this.#stream.receive(this.#context.arena, this.#context.receiveAt, CLIENT_HELLO_BYTES_MAX);
    this.#close();
  }

  #close(): void {
    if (this.#state === State.CLOSED) return;
    this.#leave();
    if (this.#tls) this.#tls.close();
    else this.#stream.close();
  }

  #leave(): void {
    this.#state = State.CLOSED;
    this.#deadline.cancel();
    this.#context.openings.delete(this);
    this.#context.closed();
  }
}

function shown({ client }: TlsStream): ClientCertificate {
  if (!client) return clientFacts(undefined, undefined);
  return clientFacts(new X509Certificate(client.der), client.verdict === 'OK' ? undefined : client.verdict);
}
