import type { Socket } from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import {
  STREAM_IDLE_MS,
  STREAM_QUERIES_IN_FLIGHT,
  STREAM_READ_MS,
  STREAM_UNSENT_BYTES,
  STREAM_WRITE_STALL_MS,
} from '../limits.ts';
import type { TransportSettings } from '../block-settings.ts';
import type { Peer, Transport } from '../query.ts';
import { HEADER_BYTES } from '../wire/decode.ts';
import { frame, FrameReader } from './framing.ts';
import { plainAddress } from './portable-datagram.ts';
import type { Answerer } from './responder.ts';

/** Questions of one connection that are asked before other sockets get their turn. */
const QUESTIONS_A_TURN = 8;

export interface StreamConnectionOptions {
  readonly transport: Transport;
  readonly listener: string;
  /** What is undefined is as dns/limits.ts says. */
  readonly settings?: Partial<Readonly<TransportSettings>>;
  /** Where the connection's ends are, when the socket does not know. */
  readonly ends?: { readonly client: Peer; readonly server: Peer };
}

/**
 * One TCP or TLS connection (RFC 7766): questions are answered as they become ready, not in order of arrival.
 * Reading pauses while too much is under way or unsent; an idle or stalled peer is cut off.
 */
export class StreamConnection {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #options: StreamConnectionOptions;
  readonly #responder: Answerer;
  readonly #frames = new FrameReader();
  readonly #abort = new AbortController();
  readonly #client: Peer;
  readonly #server: Peer;
  readonly #waiting: Uint8Array[] = [];
  #pumpQueued = false;
  #inFlight = 0;
  #draining = false;
  #asked = 0;
  #timer: Disposable | undefined;
  #readTimer: Disposable | undefined;
  #writtenAtTimer = 0;
  lastActiveMs: number;

  constructor(
    deps: { clock: Clock; responder: Answerer },
    options: StreamConnectionOptions,
    socket: Socket,
    closed: (connection: StreamConnection) => void,
  ) {
    this.#socket = socket;
    this.#clock = deps.clock;
    this.#responder = deps.responder;
    this.#options = options;
    const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = socket;
    this.#client = options.ends?.client ?? { address: plainAddress(remoteAddress), port: remotePort };
    this.#server = options.ends?.server ?? { address: plainAddress(localAddress), port: localPort };
    this.lastActiveMs = deps.clock.monotonicMs();
    socket.setNoDelay(true);
    socket.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    socket.on('drain', () => this.#mayResume());
    socket.on('end', () => this.#ended());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#timer?.[Symbol.dispose]();
      this.#readTimer?.[Symbol.dispose]();
      this.#abort.abort(new Error('connection closed'));
      closed(this);
    });
    this.#watch();
  }

  get idle(): boolean {
    return this.#inFlight === 0;
  }

  /** Answers what is under way, takes nothing new, closes. */
  drain(): void {
    this.#draining = true;
    this.#socket.pause();
    this.#mayEnd();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Uint8Array): void {
    this.lastActiveMs = this.#clock.monotonicMs();
    for (const message of this.#frames.push(chunk)) this.#waiting.push(message);
    this.#limitReading();
    this.#pump();
  }

  /** A question that has begun must come to its end in time, however slowly its octets drip. */
  #limitReading(): void {
    if (!this.#frames.partial) {
      this.#readTimer?.[Symbol.dispose]();
      this.#readTimer = undefined;
    } else {
      const readMs = this.#options.settings?.readMs ?? STREAM_READ_MS;
      this.#readTimer ??= this.#clock.setTimer(readMs, () => this.#socket.destroy());
    }
  }

  /** Asks what was read, a few questions a turn: one connection must not hold up the others. */
  #pump(): void {
    for (let turn = 0; this.#waiting.length > 0 && !this.#busy() && turn < QUESTIONS_A_TURN; turn++) {
      const message = this.#waiting.shift()!;
      // Shorter than a header: nothing can be answered, the stream is not DNS.
      if (message.length < HEADER_BYTES) return void this.#socket.destroy();
      this.#ask(message);
      if (++this.#asked >= (this.#options.settings?.queriesMax ?? Infinity)) {
        this.#waiting.length = 0;
        return this.drain();
      }
    }
    if (this.#waiting.length === 0 && !this.#busy()) return this.#mayEnd();
    this.#socket.pause();
    if (!this.#busy()) this.#pumpSoon();
  }

  #pumpSoon(): void {
    if (this.#pumpQueued || this.#socket.destroyed) return;
    this.#pumpQueued = true;
    setImmediate(() => {
      this.#pumpQueued = false;
      if (this.#socket.destroyed) return;
      this.#pump();
      this.#mayResume();
    });
  }

  #ask(message: Uint8Array): void {
    this.#inFlight++;
    const { transport, listener } = this.#options;
    const arrival = {
      transport,
      listener,
      client: this.#client,
      server: this.#server,
      signal: this.#abort.signal,
    };
    const respond = (bytes: Uint8Array): void => {
      if (!this.#socket.destroyed) this.#socket.write(frame(bytes));
    };
    this.#responder.answer(message, arrival, respond, () => {
      this.#inFlight--;
      this.#mayResume();
      this.#mayEnd();
    });
  }

  #busy(): boolean {
    return this.#inFlight >= STREAM_QUERIES_IN_FLIGHT || this.#socket.writableLength > STREAM_UNSENT_BYTES;
  }

  #mayResume(): void {
    if (this.#busy()) return;
    if (this.#waiting.length > 0) return this.#pumpSoon();
    if (!this.#draining && this.#socket.isPaused()) this.#socket.resume();
  }

  #ended(): void {
    this.#draining = true;
    this.#mayEnd();
  }

  #mayEnd(): void {
    if (this.#draining && this.#inFlight === 0 && this.#waiting.length === 0) this.#socket.end();
  }

  /** Looks once in a while instead of on every packet. */
  #watch(): void {
    const { idleMs = STREAM_IDLE_MS, writeMs = STREAM_WRITE_STALL_MS } = this.#options.settings ?? {};
    const unsent = this.#socket.writableLength;
    this.#timer = this.#clock.setTimer(unsent > 0 ? writeMs : idleMs, () => {
      const quietMs = this.#clock.monotonicMs() - this.lastActiveMs;
      const moved = this.#socket.writableLength < unsent || this.#socket.bytesWritten > this.#writtenAtTimer;
      const stalled = unsent > 0 && !moved;
      if (stalled || (quietMs >= idleMs && this.#inFlight === 0)) return void this.#socket.destroy();
      this.#watch();
    });
    this.#writtenAtTimer = this.#socket.bytesWritten;
  }
}
