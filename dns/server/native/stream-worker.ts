/**
 * A thread that accepts the TCP connections of one listener and answers from the compiled table what it can. A
 * connection that asks for more goes to the owner with what was read of it.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../../src/base/clock.ts';
import { parseAddress } from '../../../src/net/ip.ts';
import { Acceptor } from '../../../src/net/native/acceptor.ts';
import { Arena } from '../../../src/net/native/arena.ts';
import { DescriptorTable } from '../../../src/net/native/descriptor-table.ts';
import { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import type { SocketAddress } from '../../../src/net/native/socket-address.ts';
import type { StreamSocket } from '../../../src/net/native/stream-socket.ts';
import { TimerWheel } from '../../../src/net/native/timer-wheel.ts';
import { PackedReader } from '../../cluster/table/packed-reader.ts';
import type { AskingClient } from '../../cluster/table/raw-question.ts';
import { NATIVE_RECEIVE_TIMEOUT_MS } from '../../limits.ts';
import { CookieMaker } from '../cookie-maker.ts';
import type { ReceiverTable } from './receiver-memory.ts';
import { STREAM_CONTROL, type StreamData, type StreamOrder } from './stream-memory.ts';
import { StreamRoom, TableStream } from './table-stream.ts';

const WHEEL = { slots: 512, tickMs: 50 };
/** Connections looked at for the one that has been idle for longest. */
const ROOM_LOOKS = 64;

class StreamThread {
  readonly #data: StreamData;
  readonly #loop: EpollLoop;
  readonly #room: StreamRoom;
  readonly #acceptor: Acceptor;
  #table: ReceiverTable | undefined;
  #running = true;

  constructor(data: StreamData) {
    this.#data = data;
    const timers = new TimerWheel(systemClock, WHEEL);
    const descriptors = new DescriptorTable(data.descriptors);
    this.#loop = EpollLoop.open({ descriptors, timers, wakeFd: data.wakeFd });
    this.#loop.onWake = () => this.#readOrders();
    const arena = new Arena(StreamRoom.bytes);
    this.#room = new StreamRoom({ loop: this.#loop, arena }, data.limits, (connection) => {
      parentPort?.postMessage(connection, [
        connection.unread.buffer as ArrayBuffer,
        ...(connection.unsent.length > 0 ? [connection.unsent.buffer as ArrayBuffer] : []),
      ]);
    });
    this.#use(data.table);
    this.#acceptor = new Acceptor(this.#loop, data.listenerFd, {
      accepted: (stream, peer) => this.#accept(stream, peer),
      failed: () => {}, // it waits and goes on by itself
    });
  }

  run(): void {
    const { control } = this.#data;
    this.#readOrders(); // those that came before there was a loop to wake
    while (this.#running) {
      this.#loop.turn(NATIVE_RECEIVE_TIMEOUT_MS);
      Atomics.add(control, STREAM_CONTROL.BEATS, 1);
      Atomics.store(control, STREAM_CONTROL.OPEN, this.#room.open.size);
    }
    this.#loop[Symbol.dispose]();
  }

  #accept(stream: StreamSocket, peer: () => SocketAddress): void {
    if (this.#room.open.size >= this.#data.limits.connectionsMax) this.#makeRoom();
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

  #readOrders(): void {
    for (;;) {
      const received = receiveMessageOnPort(parentPort!);
      if (!received) return;
      const order = received.message as StreamOrder;
      if (order.kind === 'table') this.#use(order.table);
      else if (order.kind === 'drain') this.#drain();
      else this.#running = false;
    }
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
    this.#acceptor.acceptAll();
    this.#acceptor[Symbol.dispose]();
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

new StreamThread(workerData as StreamData).run();
