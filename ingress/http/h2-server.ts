import http2 from 'node:http2';
import type { Duplex } from 'node:stream';
import {
  DRAIN_IDLE_MS,
  H2_HEADER_LIST_BYTES_MAX,
  H2_IDLE_MS,
  H2_RESET_BURST,
  H2_RESETS_PER_SECOND,
} from '../limits.ts';
import { Deadline, type TimerWheel } from '../timer-wheel.ts';
import type { ConnectionFacts, Exchange } from './exchange.ts';
import { attempt, H2Exchange, readH2Head } from './h2-exchange.ts';
import type { BadHead } from './message.ts';

export interface H2ServerHooks {
  readonly wheel: TimerWheel;
  exchangeStarted(exchange: Exchange): void;
  badRequest(facts: ConnectionFacts, bad: BadHead): void;
}

/** Limits of nghttp2 and node:http2 that keep one client from costing more than its share (RFC 9113 section 10.5). */
function sessionOptions(streamsMax: number): http2.ServerOptions & {
  streamResetBurst: number;
  streamResetRate: number;
  strictSingleValueFields: boolean;
} {
  return {
    // a backend that sends Date twice is no reason to throw
    strictSingleValueFields: false,
    settings: {
      maxConcurrentStreams: streamsMax,
      maxHeaderListSize: H2_HEADER_LIST_BYTES_MAX,
      enableConnectProtocol: true,
      initialWindowSize: 256 * 1024,
    },
    maxSendHeaderBlockLength: 256 * 1024,
    maxHeaderListPairs: 256,
    maxOutstandingPings: 10,
    maxSettings: 32,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    maxSessionMemory: 16,
    peerMaxConcurrentStreams: 100,
    streamResetBurst: H2_RESET_BURST,
    streamResetRate: H2_RESETS_PER_SECOND,
  };
}

const STREAM_ID_MAX = 2 ** 31 - 1;

/** One HTTP/2 client connection over node:http2. Owns the stream it is given. */
export class H2ServerConnection {
  readonly #session: http2.ServerHttp2Session;
  readonly #hooks: H2ServerHooks;
  readonly #facts: ConnectionFacts;
  readonly #idle: Deadline;
  readonly #lastCall: Deadline;
  #streams = 0;
  #draining = false;

  constructor(
    stream: Duplex,
    facts: ConnectionFacts,
    hooks: H2ServerHooks,
    streamsMax: number,
    closed: (connection: H2ServerConnection) => void,
  ) {
    this.#hooks = hooks;
    this.#facts = facts;
    this.#idle = new Deadline(() => this.drain());
    this.#lastCall = new Deadline(() => this.#session.close());
    this.#session = http2.performServerHandshake(stream, sessionOptions(streamsMax));
    this.#session.on('stream', (h2stream, _headers, flags, raw: string[]) =>
      this.#onStream(h2stream, flags, raw),
    );
    this.#session.on('error', (error) =>
      this.#hooks.badRequest(facts, { status: 400, reason: `h2: ${error.message}` }),
    );
    this.#session.on('close', () => {
      hooks.wheel.remove(this.#idle);
      hooks.wheel.remove(this.#lastCall);
      closed(this);
    });
    // our sockets allow half-open connections, HTTP/2 has none: a client that sent FIN is gone
    stream.on('end', () => this.#session.destroy());
    hooks.wheel.arm(this.#idle, H2_IDLE_MS);
  }

  get idle(): boolean {
    return this.#streams === 0;
  }

  /**
   * GOAWAY in two steps (RFC 9113 section 6.8): first a warning that takes every stream already on its way, a moment
   * later the real one; the connection closes when its streams have ended.
   */
  drain(): void {
    if (this.#draining || this.#session.destroyed) return;
    this.#draining = true;
    this.#session.goaway(http2.constants.NGHTTP2_NO_ERROR, STREAM_ID_MAX);
    this.#hooks.wheel.arm(this.#lastCall, DRAIN_IDLE_MS);
  }

  destroy(): void {
    this.#session.destroy();
  }

  #onStream(stream: http2.ServerHttp2Stream, flags: number, raw: string[]): void {
    stream.on('error', () => {}); // the client's business; `close` follows
    // it can be over before we hear of it
    if (stream.destroyed || stream.closed) return;
    const endStream = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const head = readH2Head(raw, endStream);
    if ('status' in head) {
      this.#hooks.badRequest(this.#facts, head);
      attempt(stream, () => stream.respond({ ':status': head.status }, { endStream: true }));
      stream.resume();
      return;
    }
    this.#streams++;
    this.#hooks.wheel.cancel(this.#idle);
    stream.once('close', () => {
      if (--this.#streams === 0) this.#hooks.wheel.arm(this.#idle, H2_IDLE_MS);
    });
    this.#hooks.exchangeStarted(new H2Exchange(stream, head, this.#facts));
  }
}
