/**
 * A thread that serves plain HTTP/1.1 by system calls: an epoll loop over the listeners it was given. It sleeps in the
 * kernel and nowhere else; the main thread wakes it when it has something to say.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/base/clock.ts';
import { Acceptor } from '../../src/net/native/acceptor.ts';
import { DescriptorTable } from '../../src/net/native/descriptor-table.ts';
import { EpollLoop } from '../../src/net/native/epoll-loop.ts';
import { errnoName } from '../../src/net/native/errno.ts';
import { TimerWheel } from '../../src/net/native/timer-wheel.ts';
import { Tallies } from '../observe/tallies.ts';
import { ClientConnection } from './client-connection.ts';
import { PULSE_MS, TIMER_SLOTS, TIMER_TICK_MS } from './limits.ts';
import type { FromWorker, TableUpdate, ToWorker, WorkerStart } from './messages.ts';
import { listenerFields } from './request-writer.ts';
import { sharedMemory } from './tally-slabs.ts';
import { WorkerContext } from './worker-context.ts';

class RelayWorker {
  readonly #start: WorkerStart;
  readonly #port: MessagePort;
  readonly #loop: EpollLoop;
  readonly #context: WorkerContext;
  #acceptors: Acceptor[] = [];
  #running = true;

  constructor(start: WorkerStart, port: MessagePort) {
    const post = (message: FromWorker): void => port.postMessage(message);
    this.#start = start;
    this.#port = port;
    const timers = new TimerWheel(systemClock, { slots: TIMER_SLOTS, tickMs: TIMER_TICK_MS });
    const descriptors = new DescriptorTable(start.descriptors);
    this.#loop = EpollLoop.open({ descriptors, timers, wakeFd: start.wakeFd });
    const tallies = new Tallies(sharedMemory((labels, memory) => post({ kind: 'tally', labels, memory })));
    this.#context = new WorkerContext({
      loop: this.#loop,
      clock: systemClock,
      counts: start.counts,
      tallies,
      post,
    });
    this.#loop.onWake = () => this.#listen();
    post({ kind: 'up' });
  }

  run(): void {
    const { pulse } = this.#start;
    const context = this.#context;
    this.#listen();
    while (this.#running) {
      this.#loop.turn(PULSE_MS);
      Atomics.add(pulse, 0, 1);
      context.flushLog();
    }
    this.#loop[Symbol.dispose]();
  }

  #listen(): void {
    for (;;) {
      const said = receiveMessageOnPort(this.#port);
      if (!said) return;
      this.#hear(said.message as ToWorker);
    }
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
      case 'drain':
        return this.#drain();
      case 'stop':
        this.#running = false;
    }
  }

  #publish(message: TableUpdate): void {
    const context = this.#context;
    context.settings = message.settings;
    context.table.update(message, context.nowMs());
    context.post({ kind: 'applied', version: message.version });
    if (this.#acceptors.length === 0 && !context.draining) this.#accept();
  }

  /** With the first table. */
  #accept(): void {
    const context = this.#context;
    this.#acceptors = this.#start.listeners.map(({ fd, port }, index) => {
      const listener = { index, port, fields: listenerFields(port) };
      return new Acceptor(this.#loop, fd, {
        accepted: (stream, peer) => ClientConnection.take(context, stream, peer(), listener),
        failed: (failure) => context.post({ kind: 'accept-failed', errno: errnoName(failure) }),
      });
    });
  }

  #drain(): void {
    this.#context.draining = true;
    for (const acceptor of this.#acceptors) acceptor[Symbol.dispose]();
    this.#acceptors = [];
    for (const client of this.#context.clients.slice()) client.drain();
  }
}

if (parentPort) new RelayWorker(workerData as WorkerStart, parentPort).run();
