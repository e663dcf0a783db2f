/**
 * A thread that accepts the TCP connections of one listener and answers from the compiled table what it can. A
 * connection that asks for more goes to the owner with what was read of it.
 */
import { systemClock } from '../../../src/base/clock.ts';
import { parseAddress } from '../../../src/net/ip.ts';
import { Acceptor } from '../../../src/net/native/acceptor.ts';
import { Arena } from '../../../src/net/native/arena.ts';
import { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import { errnoName } from '../../../src/net/native/errno.ts';
import type { SocketAddress } from '../../../src/net/native/socket-address.ts';
import type { StreamSocket } from '../../../src/net/native/stream-socket.ts';
import { ThreadSeat } from '../../../src/net/native/thread-seat.ts';
import { TimerWheel } from '../../../src/net/native/timer-wheel.ts';
import { PackedReader } from '../../cluster/table/packed-reader.ts';
import type { AskingClient } from '../../cluster/table/raw-question.ts';
import { CookieMaker } from '../cookie-maker.ts';
import type { ReceiverTable } from './receiver-memory.ts';
import { STREAM_CONTROL, type StreamData, type StreamOrder, type StreamReply } from './stream-memory.ts';
import { StreamRoom, TableStream } from './table-stream.ts';

const WHEEL = { slots: 512, tickMs: 50 };
/** Connections looked at for the one that has been idle for longest. */
const ROOM_LOOKS = 64;

type Seat = ThreadSeat<StreamData, StreamOrder, StreamReply>;

class StreamThread {
  readonly #seat: Seat;
  readonly #loop: EpollLoop;
  readonly #room: StreamRoom;
  #acceptor: Acceptor | undefined;
  #table: ReceiverTable | undefined;

  constructor(seat: Seat) {
    this.#seat = seat;
    const { descriptors, wakeFd, data } = seat;
    const timers = new TimerWheel(systemClock, WHEEL);
    this.#loop = EpollLoop.open({ descriptors, timers, wakeFd });
    const arena = new Arena(StreamRoom.bytes);
    this.#room = new StreamRoom({ loop: this.#loop, arena }, data.limits, (connection) => {
      seat.post({ kind: 'handed over', connection }, [
        connection.unread.buffer as ArrayBuffer,
        ...(connection.unsent.length > 0 ? [connection.unsent.buffer as ArrayBuffer] : []),
      ]);
    });
  }

  run(): void {
    const { control } = this.#seat.data;
    this.#seat.serve(this.#loop, {
      obey: (order) => this.#obey(order),
      turned: () => Atomics.store(control, STREAM_CONTROL.OPEN, this.#room.open.size),
    });
    this.#loop[Symbol.dispose]();
  }

  #obey(order: StreamOrder): void {
    if (order.kind === 'drain') return this.#drain();
    this.#use(order.table);
    if (this.#acceptor || this.#room.draining) return;
    this.#acceptor = new Acceptor(this.#loop, this.#seat.data.listenerFd, {
      accepted: (stream, peer) => this.#accept(stream, peer),
      failed: (failure) => this.#seat.post({ kind: 'accept failed', errno: errnoName(failure) }),
    });
  }

  #accept(stream: StreamSocket, peer: () => SocketAddress): void {
    if (this.#room.open.size >= this.#seat.data.limits.connectionsMax) this.#makeRoom();
    TableStream.serve(this.#room, stream, clientOf(peer()));
  }

  /** Cuts off the connection that has been idle for longest; insertion order approximates it well enough. */
  #makeRoom(): void {
    let oldest: TableStream | undefined;
    let looked = 0;
    for (const stream of this.#room.open) {
      if (stream.idle && (!oldest || stream.lastActiveMs < oldest.lastActiveMs)) oldest = stream;
      if (++looked >= ROOM_LOOKS && oldest) break;
    }
    oldest?.close();
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
    for (const stream of this.#room.open) stream.drain();
  }
}

function readerOf({ buffers, options, cookieSecret, counts }: ReceiverTable): PackedReader {
  const cookies = new CookieMaker({ clock: systemClock }, cookieSecret);
  return new PackedReader(buffers, options, { cookies, counts, stream: true });
}

function clientOf({ address }: SocketAddress): AskingClient {
  return {
    six: address.includes(':'),
    writeAddress: (into) => {
      const bytes = parseAddress(address);
      if (bytes) into.set(bytes);
      return bytes?.length ?? 0;
    },
  };
}

new StreamThread(ThreadSeat.take()).run();
