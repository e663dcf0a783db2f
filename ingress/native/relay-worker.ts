/**
 * A thread that serves HTTP/1.1, plain and over TLS, by system calls: an epoll loop over the listeners it was given. It sleeps in the
 * kernel and nowhere else; the main thread wakes it when it has something to say.
 */
import { systemClock } from '../../src/base/clock.ts';
import { Acceptor } from '../../src/net/native/acceptor.ts';
import { EpollLoop } from '../../src/net/native/epoll-loop.ts';
import { errnoName } from '../../src/net/native/errno.ts';
import type { SocketAddress } from '../../src/net/native/socket-address.ts';
import type { StreamSocket } from '../../src/net/native/stream-socket.ts';
import { ThreadSeat } from '../../src/net/native/thread-seat.ts';
import { TlsSessions } from '../../src/net/native/tls-sessions.ts';
import { TimerWheel } from '../../src/net/native/timer-wheel.ts';
import { TurnClock } from '../../src/net/native/turn-clock.ts';
import { Tallies } from '../observe/tallies.ts';
import { plainAddress } from '../relay/context.ts';
import type { ClientListener } from './client.ts';
import { ClientConnection } from './client-connection.ts';
import { TIMER_SLOTS, TIMER_TICK_MS } from './limits.ts';
import type { FromWorker, TableUpdate, ToWorker, WorkerStart } from './messages.ts';
import { listenerFields } from './request-writer.ts';
import { sharedMemory } from './tally-slabs.ts';
import { TlsOpening } from './tls-opening.ts';
import { WorkerContext } from './worker-context.ts';

type Seat = ThreadSeat<WorkerStart, ToWorker, FromWorker>;

class RelayWorker {
  readonly #seat: Seat;
  readonly #loop: EpollLoop;
  readonly #context: WorkerContext;
  #acceptors: Acceptor[] = [];

  constructor(seat: Seat) {
    const post = (message: FromWorker): void => seat.post(message);
    const { descriptors, wakeFd, data } = seat;
    this.#seat = seat;
    const clock = new TurnClock(systemClock);
    const timers = new TimerWheel(clock, { slots: TIMER_SLOTS, tickMs: TIMER_TICK_MS });
    this.#loop = EpollLoop.open({ descriptors, timers, wakeFd, clock });
    const tallies = new Tallies(sharedMemory((labels, memory) => post({ kind: 'tally', labels, memory })));
    this.#context = new WorkerContext({
      loop: this.#loop,
      clock,
      sessions: new TlsSessions(data.sessions),
      counts: data.counts,
      tallies,
      post,
    });
  }

  run(): void {
    const context = this.#context;
    this.#seat.serve(this.#loop, {
      obey: (message) => this.#hear(message),
      turned: () => context.turned(),
    });
    context.sessions.freeAll();
    context.names[Symbol.dispose]();
    this.#loop[Symbol.dispose]();
  }

  #hear(message: ToWorker): void {
    const context = this.#context;
    switch (message.kind) {
      case 'table':
        return this.#publish(message);
      case 'clusters':
        return context.table.setClusters(message.clusters, context.nowMs());
      case 'forget':
        return context.table.forgetClusters(message.clusters, context.nowMs());
      case 'name':
        return context.names.answered(message);
      case 'stapled':
        return context.names.stapled(message);
      case 'drain':
        return this.#drain();
    }
  }

  #publish(message: TableUpdate): void {
    const context = this.#context;
    context.settings = message.settings;
    context.table.update(message, context.nowMs());
    context.names.clear();
    context.post({ kind: 'applied', version: message.version });
    if (this.#acceptors.length === 0 && !context.draining) this.#accept();
  }

  /** With the first table. */
  #accept(): void {
    const context = this.#context;
    this.#acceptors = this.#seat.data.listeners.map(({ fd, port, secure }, index) => {
      const listener = { index, port, fields: listenerFields(port, secure ? 'https' : 'http') };
      return new Acceptor(this.#loop, fd, {
        accepted: (stream, peer) =>
          secure
            ? TlsOpening.take(context, stream, peer(), listener)
            : this.#takePlain(stream, peer(), listener),
        failed: (failure) => context.post({ kind: 'accept-failed', errno: errnoName(failure) }),
      });
    });
  }

  #takePlain(stream: StreamSocket, { address, port }: SocketAddress, listener: ClientListener): void {
    this.#context.opened();
    const release = (): number => stream.release();
    const from = { address: plainAddress(address), port, listener, tls: undefined };
    ClientConnection.take(this.#context, { stream, release, ...from });
  }

  #drain(): void {
    this.#context.draining = true;
    for (const acceptor of this.#acceptors) acceptor[Symbol.dispose]();
    this.#acceptors = [];
    for (const client of this.#context.clients.slice()) client.drain();
  }
}

new RelayWorker(ThreadSeat.take()).run();
