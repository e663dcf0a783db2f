import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { Clock } from '../../../src/base/clock.ts';
import { Fault, hasCode } from '../../../src/base/fault.ts';
import type { Peer } from '../../query.ts';
import { frame, FrameReader } from '../../server/framing.ts';

export interface StreamExchangeOptions {
  readonly to: Peer;
  readonly tls: ConnectionOptions | undefined;
  readonly source: string | undefined;
  /** Idle connections are closed after this. */
  readonly expireMs: number;
  /** Connections older than this get no further questions; 0 = any age. */
  readonly maxAgeMs: number;
  /** 0 = unlimited. */
  readonly maxIdle: number;
}

interface OpenStream {
  readonly socket: Socket;
  readonly waiting: Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void }>;
  idle: Disposable | undefined;
  readonly openedMs: number;
}

/** Told of each question: did it find an open connection, and where does that one start? */
export type ConnectionListener = (reused: boolean, local: Peer) => void;

/** Questions to one upstream over TCP or TLS; connections are kept, and several questions share one (RFC 7766 6.2.1.1). */
export class StreamExchange implements Disposable {
  readonly #clock: Clock;
  readonly #options: StreamExchangeOptions;
  readonly #open: OpenStream[] = [];

  constructor(deps: { clock: Clock }, options: StreamExchangeOptions) {
    this.#clock = deps.clock;
    this.#options = options;
  }

  async ask(
    bytes: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal,
    used: ConnectionListener,
  ): Promise<Uint8Array> {
    const kept = this.#young();
    const stream = kept ?? (await this.#connect(timeoutMs));
    const { localAddress = '', localPort = 0 } = stream.socket;
    used(kept !== undefined, { address: localAddress, port: localPort });
    stream.idle?.[Symbol.dispose]();
    try {
      return await this.#askOn(stream, bytes, timeoutMs, signal);
    } catch (error) {
      // A kept connection may have been closed by the other side in the meantime: one fresh try.
      if (!kept || !hasCode(error, 'UPSTREAM_CLOSED') || signal.aborted) throw error;
      return await this.#askOn(await this.#connect(timeoutMs), bytes, timeoutMs, signal);
    }
  }

  /** The newest connection, those beyond their age let go. */
  #young(): OpenStream | undefined {
    const { maxAgeMs } = this.#options;
    if (maxAgeMs > 0) {
      const oldestMs = this.#clock.monotonicMs() - maxAgeMs;
      for (const stream of this.#open.filter(({ openedMs }) => openedMs < oldestMs)) this.#retire(stream);
    }
    return this.#open.at(-1);
  }

  /** No further questions for it; it closes with the last answer. */
  #retire(stream: OpenStream): void {
    const at = this.#open.indexOf(stream);
    if (at >= 0) this.#open.splice(at, 1);
    if (stream.waiting.size === 0) stream.socket.destroy();
  }

  [Symbol.dispose](): void {
    for (const { socket, idle } of this.#open.splice(0)) {
      idle?.[Symbol.dispose]();
      socket.destroy();
    }
  }

  async #askOn(
    stream: OpenStream,
    bytes: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    let id = randomInt(0x10000);
    while (stream.waiting.has(id)) id = randomInt(0x10000);
    const question = Uint8Array.from(bytes);
    question[0] = id >> 8;
    question[1] = id & 0xff;
    return await new Promise<Uint8Array>((resolve, reject) => {
      const settle = (): void => {
        timer[Symbol.dispose]();
        signal.removeEventListener('abort', onAbort);
        stream.waiting.delete(id);
        this.#rest(stream);
      };
      const fail = (error: Error): void => {
        settle();
        reject(error);
      };
      const onAbort = (): void => fail(signal.reason as Error);
      const timer = this.#clock.setTimer(timeoutMs, () => {
        // The other side may be gone without a word: the next question tries a connection of its own.
        this.#retire(stream);
        fail(new Fault('UPSTREAM_TIMEOUT', `no answer within ${timeoutMs} ms`));
      });
      signal.addEventListener('abort', onAbort, { once: true });
      const done = (reply: Uint8Array): void => {
        settle();
        resolve(reply);
      };
      stream.waiting.set(id, { resolve: done, reject: fail });
      stream.socket.write(frame(question));
    });
  }

  async #connect(timeoutMs: number): Promise<OpenStream> {
    const { to, tls, source } = this.#options;
    const target = { host: to.address, port: to.port, ...(source !== undefined && { localAddress: source }) };
    const socket = tls ? (await import('node:tls')).connect({ ...target, ...tls }) : connect(target);
    socket.setNoDelay(true);
    const openedMs = this.#clock.monotonicMs();
    const stream: OpenStream = { socket, waiting: new Map(), idle: undefined, openedMs };
    await new Promise<void>((resolve, reject) => {
      const timer = this.#clock.setTimer(timeoutMs, () => {
        socket.destroy();
        reject(new Fault('UPSTREAM_TIMEOUT', `no connection within ${timeoutMs} ms`));
      });
      socket.once('error', (error) => {
        timer[Symbol.dispose]();
        reject(error);
      });
      socket.once(tls ? 'secureConnect' : 'connect', () => {
        timer[Symbol.dispose]();
        resolve();
      });
    });
    this.#follow(stream);
    return stream;
  }

  #follow(stream: OpenStream): void {
    const { socket, waiting } = stream;
    const frames = new FrameReader();
    this.#open.push(stream);
    socket.on('data', (chunk: Uint8Array) => {
      for (const message of frames.push(chunk)) {
        if (message.length >= 12) waiting.get((message[0]! << 8) | message[1]!)?.resolve(message);
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      stream.idle?.[Symbol.dispose]();
      const at = this.#open.indexOf(stream);
      if (at >= 0) this.#open.splice(at, 1);
      for (const { reject } of waiting.values()) reject(new Fault('UPSTREAM_CLOSED', 'connection closed'));
    });
  }

  #rest(stream: OpenStream): void {
    if (stream.waiting.size > 0 || stream.socket.destroyed) return;
    if (!this.#open.includes(stream)) return void stream.socket.destroy();
    const idle = this.#open.filter(({ waiting }) => waiting.size === 0).length;
    if (this.#options.maxIdle > 0 && idle > this.#options.maxIdle) return void stream.socket.destroy();
    stream.idle?.[Symbol.dispose]();
    stream.idle = this.#clock.setTimer(this.#options.expireMs, () => {
      if (stream.waiting.size === 0) stream.socket.destroy();
    });
  }
}
