import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import type { Registry } from '../../../src/base/metrics.ts';
import { siblingModule } from '../../../src/base/module-url.ts';
import { DatagramSender } from '../../../src/net/native/datagram-batch.ts';
import { EngineMetrics } from '../../../src/net/engine-metrics.ts';
import { type DatagramSocket, openDatagramSocket } from '../../../src/net/native/datagram-socket.ts';
import { readSocketAddress } from '../../../src/net/native/socket-address.ts';
import { SupervisedWorker } from '../../../src/net/native/supervised-worker.ts';
import { SEAT_SLEEP_MS } from '../../../src/net/native/thread-seat.ts';
import {
  NATIVE_RECEIVE_BYTES,
  NATIVE_RING_DRAIN,
  NATIVE_RING_SLOTS,
  NATIVE_THREAD_HEAP,
  SOCKET_BUFFER_BYTES,
  UDP_MESSAGE_BYTES,
} from '../../limits.ts';
import type { Peer } from '../../query.ts';
import type {
  DatagramCounts,
  DatagramEngine,
  DatagramHandler,
  FastPath,
  OpenDatagramEngine,
} from '../datagram-engine.ts';
import { type ReceiverData, type ReceiverTable, TOTAL } from './receiver-memory.ts';
import { SlowRing, slowRingMemory } from './slow-ring.ts';
import { ThreadTable } from './thread-table.ts';

export interface NativeDatagramDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Gets `weft_engine_*`. */
  readonly metrics?: Registry;
}

export interface NativeDatagramOptions {
  /** Receiving threads, each with a socket of its own on the same port. */
  readonly receivers: number;
  /** Processors that the threads are bound to, in turn; absent = any. */
  readonly cpus?: readonly number[];
}

/**
 * The engine on recvmmsg and sendmmsg: threads that sleep in the kernel, answer from the compiled table and hand over
 * the rest. Answers leave from the address they were asked at. Rejects with LISTEN_FAILED, FFI or NATIVE_UNSUPPORTED.
 */
export function nativeDatagram(deps: NativeDatagramDeps, options: NativeDatagramOptions): OpenDatagramEngine {
  return async ({ address, port, sockets: wanted }, handler) => {
    const receivers = wanted ?? options.receivers;
    const sockets: DatagramSocket[] = [];
    try {
      // A shared port would be shared with another program too: see first that there is none.
      if (receivers > 1 && port !== 0) openOn(address, port, false)[Symbol.dispose]();
      for (let i = 0; i < receivers; i++) {
        sockets.push(openOn(address, sockets[0]?.port ?? port, receivers > 1));
      }
      const engine = new NativeDatagram(deps, sockets, handler, options.cpus);
      await engine.started;
      return engine;
    } catch (error) {
      for (const socket of sockets) socket[Symbol.dispose]();
      throw error;
    }
  };
}

function openOn(address: string, port: number, reusePort: boolean): DatagramSocket {
  const bufferBytes = SOCKET_BUFFER_BYTES;
  return openDatagramSocket({ address, port, reusePort, bufferBytes, receiveTimeoutMs: SEAT_SLEEP_MS });
}

class NativeDatagram implements DatagramEngine {
  readonly address: Peer;
  readonly #receivers: readonly Receiver[];
  #open = true;

  constructor(
    deps: NativeDatagramDeps,
    sockets: readonly DatagramSocket[],
    handler: DatagramHandler,
    cpus: readonly number[] = [],
  ) {
    const { address, port } = sockets[0]!;
    this.address = { address, port };
    this.#receivers = sockets.map(
      (socket, i) => new Receiver(deps, { socket, cpu: cpus[i % cpus.length] }, handler),
    );
  }

  get counts(): DatagramCounts {
    const sum = { received: 0, fast: 0, sendErrors: 0 };
    for (const { totals, refused } of this.#receivers) {
      sum.received += totals[TOTAL.RECEIVED]!;
      sum.fast += totals[TOTAL.FAST]!;
      sum.sendErrors += totals[TOTAL.SEND_ERRORS]! + refused;
    }
    return sum;
  }

  /** Resolves when every thread receives, or has failed and will be started anew. */
  get started(): Promise<unknown> {
    return Promise.all(this.#receivers.map(({ worker }) => worker.seated));
  }

  useFastPath(fast: FastPath | undefined): void {
    for (const receiver of this.#receivers) receiver.useFastPath(fast);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await Promise.all(this.#receivers.map((receiver) => receiver[Symbol.asyncDispose]()));
  }
}

/** Of each receiving thread, in the log and in metrics. */
const RECEIVER = 'dns receiver';

/** One thread and its socket, and what the thread hands over. */
class Receiver implements AsyncDisposable {
  readonly totals = new Float64Array(new SharedArrayBuffer(TOTAL.WORDS * 8));
  readonly worker: SupervisedWorker<ReceiverTable | undefined, null>;
  refused = 0;
  readonly #socket: DatagramSocket;
  readonly #handler: DatagramHandler;
  readonly #ring: SlowRing;
  readonly #sender: DatagramSender;
  readonly #followed: Disposable | undefined;
  readonly #table = new ThreadTable((table) => this.worker.tell(table));
  #open = true;

  constructor(
    deps: NativeDatagramDeps,
    { socket, cpu }: { readonly socket: DatagramSocket; readonly cpu: number | undefined },
    handler: DatagramHandler,
  ) {
    this.#socket = socket;
    this.#handler = handler;
    const metrics = deps.metrics && EngineMetrics.on(deps.metrics);
    this.#followed = metrics?.follow(RECEIVER, {
      sendErrors: () => this.totals[TOTAL.SEND_ERRORS]! + this.refused,
      shed: () => this.#ring.shed,
    });
    const ring = slowRingMemory(NATIVE_RING_SLOTS, NATIVE_RECEIVE_BYTES);
    const { fd, wildcard, port } = socket;
    this.#ring = new SlowRing(ring);
    this.#sender = new DatagramSender(fd, { sendBytes: UDP_MESSAGE_BYTES, wildcard });
    const data: ReceiverData = { fd, wildcard, totals: this.totals, ring };
    // the socket stays open between two threads: what comes waits in the kernel
    this.worker = new SupervisedWorker(
      { ...deps, metrics, heard: () => this.#heard(), started: (tell) => this.#started(tell) },
      {
        name: RECEIVER,
        module: siblingModule(import.meta.url, './receiver-worker'),
        data,
        cpu,
        resourceLimits: NATIVE_THREAD_HEAP,
        fields: { port },
      },
    );
  }

  useFastPath(fast: FastPath | undefined): void {
    this.#table.use(fast);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
    this.#table[Symbol.dispose]();
    await this.worker[Symbol.asyncDispose]();
    this.#table.drain();
    this.#followed?.[Symbol.dispose]();
    this.#socket[Symbol.dispose]();
  }

  /** One before it may have ended before it told of what it had put down. */
  #started(tell: (table: ReceiverTable | undefined) => void): void {
    tell(this.#table.current);
    this.#heard();
  }

  #heard(): void {
    this.#table.heard();
    this.#drain();
  }

  #drain(): void {
    const more = this.#ring.drain(NATIVE_RING_DRAIN, (datagram, peer) => {
      const client = readSocketAddress(peer);
      if (client.port === 0) return; // forged: nobody can hear an answer there
      this.#handler(datagram, client, (reply) => this.#send(reply, peer));
    });
    if (more && this.#open) setImmediate(() => this.#drain());
  }

  #send(reply: Uint8Array, peer: Uint8Array): void {
    if (this.#open && !this.#sender.send(reply, peer)) this.refused++;
  }
}
