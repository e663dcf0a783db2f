import { DUPLEX_EVENTS } from '../../../src/net/native/abi.ts';
import type { ReadyHandler } from '../../../src/net/native/epoll-loop.ts';
import { ERRNO } from '../../../src/net/native/errno.ts';
import type { StreamSocket } from '../../../src/net/native/stream-socket.ts';
import { WheelTimer } from '../../../src/net/native/timer-wheel.ts';
import { TlsBridge } from '../../../src/net/native/tls-bridge.ts';
import { TlsStream } from '../../../src/net/native/tls-stream.ts';
import { mayAsk } from '../client-auth.ts';
import type { SentTls } from './stream-memory.ts';
import type { GreetingMember, StreamClient, StreamRoom } from './stream-room.ts';
import { TableStream } from './table-stream.ts';
import type { TlsManner } from './tls-manner.ts';

/** A client of DNS over TLS (RFC 7858) until its handshake is done. */
export class TlsGreeting implements ReadyHandler, GreetingMember {
  readonly idle = true;
  readonly lastActiveMs = performance.now();
  readonly #room: StreamRoom;
  readonly #socket: StreamSocket;
  readonly #tls: TlsStream;
  readonly #client: StreamClient;
  readonly #clientAuth: SentTls['clientAuth'];
  readonly #deadline: WheelTimer;
  /** Infinity while it waits for us. */
  waitsSinceMs = this.lastActiveMs;
  #isOpen = true;
  #isDeferred = false;

  private constructor(
    room: StreamRoom,
    socket: StreamSocket,
    tls: TlsStream,
    client: StreamClient,
    clientAuth: SentTls['clientAuth'],
  ) {
    this.#room = room;
    this.#socket = socket;
    this.#tls = tls;
    this.#client = client;
    this.#clientAuth = clientAuth;
    this.#deadline = new WheelTimer(() => this.refuse());
  }

  /** The room holds the connection until it ends. */
  static take(room: StreamRoom, socket: StreamSocket, client: StreamClient, manner: TlsManner): void {
    const tls = TlsStream.accept(socket, manner.context, manner.sessions);
    if (typeof tls === 'number') {
      room.refused();
      return socket.close();
    }
    room.greetings.stalled()?.refuse();
    const greeting = new TlsGreeting(room, socket, tls, client, manner.clientAuth);
    room.members.add(greeting);
    room.greetings.add(greeting);
    room.loop.timers.set(greeting.#deadline, room.limits.handshakeMs);
    if (room.loop.add(tls, DUPLEX_EVENTS, greeting) < 0) greeting.close();
  }

  ready(events: number): void {
    if (events === 0) this.#isDeferred = false;
    if (this.#isOpen) this.#shake();
  }

  /** It has asked nothing yet. */
  drain(): void {
    this.close();
  }

  refuse(): void {
    if (this.#isOpen) this.#room.refused();
    this.close();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#leave();
    this.#tls.close();
  }

  #shake(): void {
    if (!this.#room.greetings.takeStep()) return this.#later();
    const failure = this.#tls.handshake();
    this.waitsSinceMs = performance.now();
    if (failure === -ERRNO.EAGAIN) return;
    if (failure < 0) return this.refuse();
    const { client } = this.#tls;
    if (!mayAsk(this.#clientAuth, { given: client !== undefined, trusted: client?.verdict === 'OK' }))
      return this.refuse();
    this.#serve();
  }

  /** The full turn of others comes first. */
  #later(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.waitsSinceMs = Infinity;
    this.#room.loop.defer(this);
  }

  #serve(): void {
    const tls = this.#tls;
    const room = this.#room;
    const server = this.#socket.localAddress;
    this.#leave();
    // the next one asks for its events anew, and is told of what has come meanwhile
    room.loop.remove(tls);
    TableStream.serve(room, {
      stream: tls,
      client: this.#client,
      early: true,
      release: () => ({
        fd: TlsBridge.open(room, tls),
        ends: { client: this.#client.peer, server: server ?? { address: '', port: 0 } },
      }),
    });
  }

  #leave(): void {
    this.#isOpen = false;
    this.#room.loop.timers.cancel(this.#deadline);
    this.#room.members.delete(this);
    this.#room.greetings.delete(this);
  }
}
