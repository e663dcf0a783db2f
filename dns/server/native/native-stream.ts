import { Socket } from 'node:net';
import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import type { Registry } from '../../../src/base/metrics.ts';
import { EngineMetrics } from '../../../src/net/engine-metrics.ts';
import { siblingModule } from '../../../src/base/module-url.ts';
import { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import { openStreamListener, type StreamListener } from '../../../src/net/native/stream-listener.ts';
import { TlsSessions } from '../../../src/net/native/tls-sessions.ts';
import { SupervisedWorker } from '../../../src/net/native/supervised-worker.ts';
import {
  NATIVE_THREAD_HEAP,
  STREAM_BACKLOG,
  STREAM_CONNECTIONS,
  STREAM_DESCRIPTORS,
  STREAM_IDLE_MS,
  STREAM_READ_MS,
  STREAM_WRITE_STALL_MS,
  TLS_HANDSHAKE_MS,
} from '../../limits.ts';
import type { TlsFiles } from '../../block-settings.ts';
import type { Peer } from '../../query.ts';
import type { FastPath } from '../datagram-engine.ts';
import { StreamConnection } from '../stream-connection.ts';
import type { OpenStreamEngine, StreamDeps, StreamEngine, StreamOptions } from '../stream-engine.ts';
import type { ReceiverTable } from './receiver-memory.ts';
import {
  STREAM_CONTROL,
  type HandedOver,
  type SentTls,
  type StreamData,
  type StreamOrder,
  type StreamReply,
} from './stream-memory.ts';
import { readSentTls } from './sent-tls.ts';
import { ThreadTable } from './thread-table.ts';

/**
 * TCP and TLS by epoll: a thread accepts, and answers from the compiled table. Connections that ask for more go on in
 * node:net, on the thread of the chain; what they had of TLS stays with the thread. Rejects with LISTEN_FAILED, TLS_FILES,
 * FFI or NATIVE_UNSUPPORTED.
 */
export function nativeStream(deps: NativeStreamDeps, thread: NativeStreamOptions = {}): OpenStreamEngine {
  return async (streamDeps, options) => {
    EpollLoop.prove();
    const { address, port } = options;
    const tls = options.tls && readSentTls(options.tls);
    const dualStack = address === '::';
    const listener = openStreamListener({
      address,
      port,
      backlog: STREAM_BACKLOG,
      reusePort: false,
      dualStack,
    });
    return await Promise.resolve(
      new NativeStream({ ...deps, ...streamDeps }, { ...options, ...thread }, listener, tls),
    );
  };
}

/** The name of the thread in the log and in metrics. */
const STREAM = 'dns stream thread';

interface NativeStreamDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: Registry;
}

interface NativeStreamOptions {
  /** The processor that the thread is bound to; absent = any. */
  readonly cpu?: number | undefined;
}

class NativeStream implements StreamEngine {
  readonly address: Peer;
  readonly #deps: StreamDeps & NativeStreamDeps;
  readonly #metrics: EngineMetrics | undefined;
  readonly #options: StreamOptions & NativeStreamOptions;
  readonly #listener: StreamListener;
  readonly #sessions: TlsSessions | undefined;
  readonly #control = new Int32Array(new SharedArrayBuffer(STREAM_CONTROL.WORDS * 4));
  readonly #handedOver = new Set<StreamConnection>();
  readonly #followed: Disposable | undefined;
  #worker: SupervisedWorker<StreamOrder, StreamReply> | undefined;
  readonly #table = new ThreadTable((table) => this.#tell(table));
  #tls: SentTls | undefined;
  #draining = false;
  #open = true;

  constructor(
    deps: StreamDeps & NativeStreamDeps,
    options: StreamOptions & NativeStreamOptions,
    listener: StreamListener,
    tls: SentTls | undefined,
  ) {
    this.#tls = tls;
    this.#sessions = tls && TlsSessions.sized(STREAM_DESCRIPTORS);
    this.#deps = deps;
    this.#metrics = deps.metrics && EngineMetrics.on(deps.metrics);
    this.#followed =
      tls &&
      this.#metrics?.follow(STREAM, {
        handshakeFailures: () => Atomics.load(this.#control, STREAM_CONTROL.HANDSHAKE_FAILURES),
      });
    this.#options = options;
    this.#listener = listener;
    const { address, port } = listener;
    this.address = { address, port };
  }

  get connectionCount(): number {
    return this.#handedOver.size + Atomics.load(this.#control, STREAM_CONTROL.OPEN);
  }

  /** Clients wait in the kernel until this is called first: the thread starts with the table. */
  useFastPath(fast: FastPath | undefined): void {
    // a block that bounds the questions of a connection counts them all
    this.#table.use(this.#options.settings?.queriesMax === undefined ? fast : undefined);
  }

  renewTls(files: TlsFiles): void {
    if (!this.#tls) return;
    this.#tls = readSentTls(files);
    this.#worker?.tell({ kind: 'tls', tls: this.#tls });
  }

  drain(): void {
    this.#draining = true;
    if (this.#worker) this.#worker.tell({ kind: 'drain' });
    else this.#listener.refuse();
    for (const connection of this.#handedOver) connection.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#table[Symbol.dispose]();
    await this.#worker?.[Symbol.asyncDispose]();
    this.#table.drain();
    this.#followed?.[Symbol.dispose]();
    this.#sessions?.freeAll();
    this.#listener[Symbol.dispose]();
    for (const connection of this.#handedOver) connection.destroy();
  }

  #tell(table: ReceiverTable | undefined): void {
    if (this.#worker) this.#worker.tell({ kind: 'table', table });
    else this.#worker = this.#start();
  }

  /** The listener stays open between two threads: clients wait in the kernel. */
  #start(): SupervisedWorker<StreamOrder, StreamReply> {
    const { settings, cpu } = this.#options;
    const data: StreamData = {
      listenerFd: this.#listener.fd,
      control: this.#control,
      sessions: this.#sessions?.memory,
      limits: {
        connectionsMax: STREAM_CONNECTIONS,
        handshakeMs: TLS_HANDSHAKE_MS,
        idleMs: settings?.idleMs ?? STREAM_IDLE_MS,
        readMs: settings?.readMs ?? STREAM_READ_MS,
        writeMs: settings?.writeMs ?? STREAM_WRITE_STALL_MS,
      },
    };
    const { clock, log } = this.#deps;
    return new SupervisedWorker(
      {
        clock,
        log,
        metrics: this.#metrics,
        heard: (reply) => this.#hear(reply),
        started: (tell) => {
          this.#sessions?.freeAll(); // of the thread before
          if (this.#tls) tell({ kind: 'tls', tls: this.#tls });
          tell({ kind: 'table', table: this.#table.current });
          if (this.#draining) tell({ kind: 'drain' });
          this.#table.heard(); // which it may not have told of
        },
        lost: () => Atomics.store(this.#control, STREAM_CONTROL.OPEN, 0),
      },
      {
        name: STREAM,
        module: siblingModule(import.meta.url, './stream-worker'),
        data,
        cpu,
        descriptorsMax: STREAM_DESCRIPTORS,
        resourceLimits: NATIVE_THREAD_HEAP,
        fields: { port: this.address.port },
      },
    );
  }

  #hear(reply: StreamReply): void {
    const { log } = this.#deps;
    const { port } = this.address;
    switch (reply.kind) {
      case 'handed over':
        return this.#takeOver(reply.connection);
      case 'accept failed':
        this.#metrics?.acceptFailed(STREAM, reply.errno);
        return log.warn('accept failed', { port, errno: reply.errno });
      case 'watched':
        return this.#table.heard();
      case 'broken':
        return log.error('connection failed', { port, reason: reply.reason });
    }
  }

  #takeOver({ fd, ends, unread }: HandedOver): void {
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    if (!this.#open) return void socket.destroy();
    if (this.#handedOver.size >= STREAM_CONNECTIONS) this.#makeRoom();
    socket.unshift(unread);
    const { listener, settings } = this.#options;
    const transport = this.#tls ? 'tls' : 'tcp';
    const options = { transport, listener, ...(settings && { settings }), ...(ends && { ends }) } as const;
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
