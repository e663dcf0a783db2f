/**
 * A thread that accepts the connections of one listener, plain or over TLS, and answers from the compiled table what it
 * can. A connection that asks for more goes to the owner with what was read of it.
 */
import { systemClock } from '../../../src/base/clock.ts';
import { messageOf } from '../../../src/base/fault.ts';
import { parseAddress } from '../../../src/net/ip.ts';
import { Acceptor } from '../../../src/net/native/acceptor.ts';
import { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import { errnoName } from '../../../src/net/native/errno.ts';
import type { SocketAddress } from '../../../src/net/native/socket-address.ts';
import type { StreamSocket } from '../../../src/net/native/stream-socket.ts';
import { ThreadSeat } from '../../../src/net/native/thread-seat.ts';
import { TlsSessions } from '../../../src/net/native/tls-sessions.ts';
import { TimerWheel } from '../../../src/net/native/timer-wheel.ts';
import { PackedReader } from '../../cluster/table/packed-reader.ts';
import { CookieMaker } from '../cookie-maker.ts';
import type { ReceiverTable } from './receiver-memory.ts';
import {
  STREAM_CONTROL,
  type HandedOver,
  type SentTls,
  type StreamData,
  type StreamOrder,
  type StreamReply,
} from './stream-memory.ts';
import { type StreamClient, StreamRoom } from './stream-room.ts';
import { TableStream } from './table-stream.ts';
import { TlsGreeting } from './tls-greeting.ts';
import { TlsManner } from './tls-manner.ts';

const WHEEL = { slots: 512, tickMs: 50 };

type Seat = ThreadSeat<StreamData, StreamOrder, StreamReply>;

class StreamThread {
  readonly #seat: Seat;
  readonly #loop: EpollLoop;
  readonly #room: StreamRoom;
  readonly #sessions: TlsSessions | undefined;
  #acceptor: Acceptor | undefined;
  #table: ReceiverTable | undefined;
  #tls: TlsManner | undefined;

  constructor(seat: Seat) {
    this.#seat = seat;
    const { descriptors, wakeFd, data } = seat;
    const timers = new TimerWheel(systemClock, WHEEL);
    this.#loop = EpollLoop.open({ descriptors, timers, wakeFd });
    this.#sessions = data.sessions && new TlsSessions(data.sessions);
    const deps = {
      loop: this.#loop,
      handOver: (connection: HandedOver) =>
        seat.post({ kind: 'handed over', connection }, [connection.unread.buffer as ArrayBuffer]),
      broken: (error: unknown) => seat.post({ kind: 'broken', reason: messageOf(error) }),
      watched: () => seat.post({ kind: 'watched' }),
      refused: () => void Atomics.add(data.control, STREAM_CONTROL.HANDSHAKE_FAILURES, 1),
    };
    this.#room = new StreamRoom(deps, data.limits);
  }

  run(): void {
    const { control } = this.#seat.data;
    this.#seat.serve(this.#loop, {
      obey: (order) => this.#obey(order),
      turned: () => {
        this.#room.greetings.turned();
        Atomics.store(control, STREAM_CONTROL.OPEN, this.#room.members.size);
      },
    });
    this.#sessions?.freeAll();
    this.#tls?.[Symbol.dispose]();
    this.#loop[Symbol.dispose]();
  }

  #obey(order: StreamOrder): void {
    switch (order.kind) {
      case 'drain':
        return this.#drain();
      case 'tls':
        return this.#speak(order.tls);
      case 'table':
        this.#use(order.table);
        this.#listen();
    }
  }

  #listen(): void {
    if (this.#acceptor || this.#room.draining) return;
    this.#acceptor = new Acceptor(this.#loop, this.#seat.data.listenerFd, {
      accepted: (stream, peer) => this.#accept(stream, clientOf(peer())),
      failed: (failure) => this.#seat.post({ kind: 'accept failed', errno: errnoName(failure) }),
    });
  }

  #accept(stream: StreamSocket, client: StreamClient): void {
    this.#room.makeRoom();
    if (this.#tls) return TlsGreeting.take(this.#room, stream, client, this.#tls);
    // of a listener that speaks TLS nobody hears a plain word
    if (this.#sessions) return stream.close();
    const release = (): { fd: number; ends: undefined } => ({ fd: stream.release(), ends: undefined });
    TableStream.serve(this.#room, { stream, client, early: false, release });
  }

  #speak(tls: SentTls): void {
    if (!this.#sessions) return;
    const before = this.#tls;
    this.#tls = new TlsManner(this.#sessions, tls);
    before?.[Symbol.dispose]();
  }

  #use(table: ReceiverTable | undefined): void {
    const { reader } = this.#room;
    if (table && reader && table.counts.buffer === this.#table?.counts.buffer)
      reader.useBuffers(table.buffers);
    else this.#room.reader = table && readerOf(table);
    this.#table = table;
  }

  #drain(): void {
    this.#room.draining = true;
    this.#acceptor?.acceptAll();
    this.#acceptor?.[Symbol.dispose]();
    for (const member of this.#room.members) member.drain();
  }
}

function readerOf({ buffers, options, cookieSecret, counts, watched }: ReceiverTable): PackedReader {
  const cookies = new CookieMaker({ clock: systemClock }, cookieSecret);
  return new PackedReader(buffers, options, { cookies, counts, watched, stream: true });
}

function clientOf(peer: SocketAddress): StreamClient {
  const { address } = peer;
  return {
    peer,
    port: peer.port,
    six: address.includes(':'),
    writeAddress: (into) => {
      const bytes = parseAddress(address);
      if (bytes) into.set(bytes);
      return bytes?.length ?? 0;
    },
  };
}

new StreamThread(ThreadSeat.take()).run();
