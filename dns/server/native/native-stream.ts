import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../../src/base/clock.ts';
import { messageOf } from '../../../src/base/fault.ts';
import type { Logger } from '../../../src/base/log.ts';
import { siblingModule } from '../../../src/base/module-url.ts';
import { DescriptorTable } from '../../../src/net/native/descriptor-table.ts';
import { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import { PulseWatch, stoppedThread } from '../../../src/net/native/pulse-watch.ts';
import { WakeUp } from '../../../src/net/native/event-fd.ts';
import { openStreamListener, type StreamListener } from '../../../src/net/native/stream-listener.ts';
import {
  NATIVE_RESTART_MS,
  NATIVE_THREAD_HEAP,
  STREAM_BACKLOG,
  STREAM_CONNECTIONS,
  STREAM_IDLE_MS,
  STREAM_READ_MS,
  STREAM_WRITE_STALL_MS,
} from '../../limits.ts';
import type { Peer } from '../../plugin.ts';
import type { FastPath } from '../datagram-engine.ts';
import { StreamConnection } from '../stream-connection.ts';
import type { OpenStreamEngine, StreamDeps, StreamEngine, StreamOptions } from '../stream-engine.ts';
import type { ReceiverTable } from './receiver-memory.ts';
import { STREAM_CONTROL, type HandedOver, type StreamData, type StreamOrder } from './stream-memory.ts';

/** Numbers of descriptors that the thread may hold. */
const DESCRIPTORS_MAX = 65_536;

/**
 * TCP by epoll: a thread accepts, and answers from the compiled table. Connections that ask for more go on in
 * node:net, on the thread of the chain. Rejects with LISTEN_FAILED, FFI or NATIVE_UNSUPPORTED.
 */
export function nativeStream(deps: { readonly clock: Clock; readonly log: Logger }): OpenStreamEngine {
  return async (streamDeps, options) => {
    EpollLoop.prove();
    const { address, port } = options;
    const dualStack = address === '::';
    const listener = openStreamListener({
      address,
      port,
      backlog: STREAM_BACKLOG,
      reusePort: false,
      dualStack,
    });
    return await Promise.resolve(new NativeStream({ ...deps, ...streamDeps }, options, listener));
  };
}

class NativeStream implements StreamEngine {
  readonly address: Peer;
  readonly #deps: StreamDeps & { readonly log: Logger };
  readonly #options: StreamOptions;
  readonly #listener: StreamListener;
  readonly #control = new Int32Array(new SharedArrayBuffer(STREAM_CONTROL.WORDS * 4));
  readonly #descriptors = DescriptorTable.sized(DESCRIPTORS_MAX);
  readonly #handedOver = new Set<StreamConnection>();
  #worker: Worker | undefined;
  #wakeUp: WakeUp | undefined;
  #exit: Promise<void> = Promise.resolve();
  #table: ReceiverTable | undefined;
  #following: Disposable | undefined;
  readonly #watch: PulseWatch;
  #restart: Disposable | undefined;
  #draining = false;
  #open = true;

  constructor(deps: StreamDeps & { readonly log: Logger }, options: StreamOptions, listener: StreamListener) {
    this.#deps = deps;
    this.#options = options;
    this.#listener = listener;
    const { address, port } = listener;
    this.address = { address, port };
    this.#watch = new PulseWatch(deps.clock, {
      beats: () => Atomics.load(this.#control, STREAM_CONTROL.BEATS),
      onStill: () => void this.#worker?.terminate(),
    });
  }

  get connectionCount(): number {
    return this.#handedOver.size + Atomics.load(this.#control, STREAM_CONTROL.OPEN);
  }

  /** Clients wait in the kernel until this is called first: the thread starts with the table. */
  useFastPath(fast: FastPath | undefined): void {
    this.#following?.[Symbol.dispose]();
    this.#following = undefined;
    this.#table = undefined;
    if (fast) {
      const { cookieSecret, names } = fast;
      const counts = fast.countsMemory();
      const { options, table } = names;
      this.#table = { buffers: table.buffers, options, cookieSecret, counts };
      this.#following = table.onBuffers((buffers) => {
        this.#table = { buffers, options, cookieSecret, counts };
        this.#tell({ kind: 'table', table: this.#table });
      });
    }
    if (this.#worker || this.#restart) this.#tell({ kind: 'table', table: this.#table });
    else this.#start();
  }

  drain(): void {
    this.#draining = true;
    this.#tell({ kind: 'drain' });
    if (!this.#worker) this.#listener.refuse();
    for (const connection of this.#handedOver) connection.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#following?.[Symbol.dispose]();
    this.#watch[Symbol.dispose]();
    this.#restart?.[Symbol.dispose]();
    this.#tell({ kind: 'stop' });
    await stoppedThread(this.#deps.clock, this.#worker, this.#exit);
    this.#listener[Symbol.dispose]();
    for (const connection of this.#handedOver) connection.destroy();
  }

  #tell(order: StreamOrder): void {
    this.#worker?.postMessage(order, []);
    this.#wakeUp?.wake();
  }

  #start(): void {
    const wakeUp = WakeUp.open();
    const { settings } = this.#options;
    const workerData: StreamData = {
      listenerFd: this.#listener.fd,
      wakeFd: wakeUp.fd,
      control: this.#control,
      descriptors: this.#descriptors.memory,
      limits: {
        connectionsMax: STREAM_CONNECTIONS,
        idleMs: settings?.idleMs ?? STREAM_IDLE_MS,
        readMs: settings?.readMs ?? STREAM_READ_MS,
        writeMs: settings?.writeMs ?? STREAM_WRITE_STALL_MS,
      },
      table: settings?.queriesMax === undefined ? this.#table : undefined,
    };
    const resourceLimits = NATIVE_THREAD_HEAP;
    const worker = new Worker(siblingModule(import.meta.url, './stream-worker'), {
      workerData,
      resourceLimits,
    });
    this.#worker = worker;
    this.#wakeUp = wakeUp;
    worker.on('message', (connection: HandedOver) => this.#takeOver(connection));
    worker.on('error', (error) =>
      this.#deps.log.error('dns stream thread failed', { reason: messageOf(error) }),
    );
    this.#exit = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#ended(wakeUp);
        resolve();
      });
    });
  }

  /** The listener stays open meanwhile: clients wait in the kernel for the next thread. */
  #ended(wakeUp: WakeUp): void {
    Atomics.store(this.#control, STREAM_CONTROL.BEATS, 0);
    this.#worker = undefined;
    this.#wakeUp = undefined;
    wakeUp[Symbol.dispose]();
    this.#descriptors.closeAll(); // what the thread has left open
    Atomics.store(this.#control, STREAM_CONTROL.OPEN, 0);
    if (!this.#open || this.#draining) return;
    this.#deps.log.warn('dns stream thread started anew', { port: this.address.port });
    this.#restart = this.#deps.clock.setTimer(NATIVE_RESTART_MS, () => {
      this.#restart = undefined;
      this.#start();
    });
  }

  #takeOver({ fd, unread, unsent }: HandedOver): void {
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    if (!this.#open) return void socket.destroy();
    if (this.#handedOver.size >= STREAM_CONNECTIONS) this.#makeRoom();
    if (unsent.length > 0) socket.write(unsent);
    socket.unshift(unread);
    const { listener, settings } = this.#options;
    const options = { transport: 'tcp', listener, ...(settings && { settings }) } as const;
    const connection = new StreamConnection(this.#deps, options, socket, (gone) => {
      this.#handedOver.delete(gone);
    });
    this.#handedOver.add(connection);
    if (this.#draining) connection.drain();
  }

  #makeRoom(): void {
    for (const connection of this.#handedOver) {
      if (connection.idle) return connection.destroy();
    }
  }
}
