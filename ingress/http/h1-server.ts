import type { Duplex } from 'node:stream';
import {
  CLIENT_BODY_IDLE_MS,
  CLIENT_HEADER_MS,
  CLIENT_IDLE_MS,
  CLIENT_REQUESTS_MAX,
  DRAIN_IDLE_MS,
  HEAD_LINE_BYTES_MAX,
  LINGER_MS,
  PIPELINE_BYTES_MAX,
  REQUEST_FIELDS_MAX,
  REQUEST_HEAD_BYTES_MAX,
} from '../limits.ts';
import { Deadline, type TimerWheel } from '../timer-wheel.ts';
import { deafHandler, type Wire, type WireHandler } from '../wire.ts';
import type { ConnectionFacts, Exchange } from './exchange.ts';
import { frameRequest } from './framing.ts';
import { H1Exchange } from './h1-exchange.ts';
import { type HeadLimits, scanRequestHead } from './head.ts';
import type { BadHead } from './message.ts';
import { reasonPhrase } from './status.ts';

export interface H1ServerOptions {
  readonly limits: HeadLimits;
  readonly idleMs: number;
  readonly headerMs: number;
  readonly bodyIdleMs: number;
  readonly requestsMax: number;
}

export const defaultH1ServerOptions: H1ServerOptions = {
  limits: { totalBytes: REQUEST_HEAD_BYTES_MAX, lineBytes: HEAD_LINE_BYTES_MAX, fields: REQUEST_FIELDS_MAX },
  idleMs: CLIENT_IDLE_MS,
  headerMs: CLIENT_HEADER_MS,
  bodyIdleMs: CLIENT_BODY_IDLE_MS,
  requestsMax: CLIENT_REQUESTS_MAX,
};

/** Who serves the requests of a connection. */
export interface H1ServerHooks {
  readonly wheel: TimerWheel;
  exchangeStarted(exchange: Exchange): void;
  badRequest(facts: ConnectionFacts, bad: BadHead): void;
  /** The client speaks HTTP/2 with prior knowledge: takes the stream over. */
  prefaceSeen(stream: Duplex, facts: ConnectionFacts): void;
  connectionClosed(connection: H1ServerConnection): void;
}

/** A grace for clients that half-close after their request: then a FIN is taken for a client that is gone. */
const HALF_CLOSE_GRACE_MS = 400;

/**
 * One HTTP/1.x client connection: reads heads, runs one exchange at a time, keeps what was pipelined, and closes
 * without losing an answer. Owns its wire.
 */
export class H1ServerConnection implements WireHandler {
  readonly wire: Wire;
  readonly facts: ConnectionFacts;
  readonly hooks: H1ServerHooks;
  readonly options: H1ServerOptions;
  /** No request after the present one. */
  draining = false;
  #pending: Buffer | undefined;
  #exchange: H1Exchange | undefined;
  #requests: number;
  #parsing = false;
  #paused = false;
  #state: 'open' | 'lingering' | 'closed' = 'open';
  #inputEnded = false;
  readonly #deadline: Deadline;

  /** `served`: requests on this connection before, by another engine. */
  constructor(
    wire: Wire,
    facts: ConnectionFacts,
    hooks: H1ServerHooks,
    options: H1ServerOptions,
    served = 0,
  ) {
    this.#requests = served;
    this.wire = wire;
    this.facts = facts;
    this.hooks = hooks;
    this.options = options;
    this.#deadline = new Deadline(() => this.#expired());
    wire.handler = this;
    hooks.wheel.arm(this.#deadline, options.headerMs);
  }

  get idle(): boolean {
    return this.#exchange === undefined;
  }

  get lastRequest(): boolean {
    return this.draining || this.#requests >= this.options.requestsMax;
  }

  /**
   * Stops after the request under way. One that is on its way to us may still come: an idle connection closes a
   * moment later, and what it sends until then is answered with Connection: close.
   */
  drain(): void {
    this.draining = true;
    if (this.idle && this.#state === 'open') this.hooks.wheel.arm(this.#deadline, DRAIN_IDLE_MS);
  }

  wireData(bytes: Buffer): void {
    if (this.#state !== 'open') return;
    this.#take(bytes);
    // the bytes were lent: what waits for later becomes ours
    if (this.#pending?.buffer === bytes.buffer) this.#pending = Buffer.from(this.#pending);
  }

  wireDrained(): void {
    const exchange = this.#exchange;
    exchange?.handler.exchangeDrained();
  }

  wireEnded(): void {
    this.#inputEnded = true;
    const exchange = this.#exchange;
    if (!exchange) return this.close();
    if (exchange.bodyEnded) this.hooks.wheel.arm(this.#deadline, HALF_CLOSE_GRACE_MS);
    else if (exchange.flowing) exchange.fail('client closed');
  }

  wireClosed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.hooks.wheel.remove(this.#deadline);
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#pending = undefined;
    exchange?.fail('client closed');
    this.hooks.connectionClosed(this);
  }

  /** Called by the exchange when it begins to want its body: hands it what is already here. */
  startBody(): void {
    const held = this.#pending;
    this.#pending = undefined;
    this.resumeReading();
    this.armBody();
    if (held && held.length > 0) this.feedBody(held);
    if (this.#inputEnded && this.#exchange && !this.#exchange.bodyEnded) this.#exchange.fail('client closed');
  }

  /** Gives bytes to the exchange; what is left belongs to the next request. */
  feedBody(bytes: Buffer): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    const used = exchange.consume(bytes);
    if (typeof used === 'string') {
      return exchange.fail('bad framing');
    }
    if (used < bytes.length) this.#keep(bytes.subarray(used));
    if (this.#exchange !== exchange) return;
    if (exchange.bodyEnded) this.hooks.wheel.cancel(this.#deadline);
    else this.armBody();
  }

  armBody(): void {
    if (this.#exchange && !this.#exchange.bodyEnded)
      this.hooks.wheel.arm(this.#deadline, this.options.bodyIdleMs);
  }

  pauseReading(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.hooks.wheel.cancel(this.#deadline);
    this.wire.pause();
  }

  resumeReading(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.wire.resume();
  }

  /** The exchange is over, both ways. */
  exchangeEnded(reusable: boolean): void {
    this.#exchange = undefined;
    if (this.#state !== 'open') return;
    if (!reusable) return this.close();
    if (this.#inputEnded && !this.#pending) return this.close();
    this.resumeReading();
    this.hooks.wheel.arm(this.#deadline, this.options.idleMs);
    if (this.#pending && !this.#parsing) this.#parse(undefined);
  }

  /** Forgets the exchange and what is unread: nothing after it can be trusted. */
  abandon(): void {
    this.#exchange = undefined;
    this.#pending = undefined;
  }

  /** Sends what is pending, then FIN; reads on for a moment so that the client gets to see the answer. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'lingering';
    this.#pending = undefined;
    this.wire.finish();
    this.resumeReading();
    this.hooks.wheel.arm(this.#deadline, LINGER_MS);
  }

  detach(): { stream: Duplex; early: Buffer } {
    const early = Buffer.from(this.#pending ?? []);
    this.#release();
    return { stream: this.wire.detach(undefined), early };
  }

  /** Answers a request that cannot be understood, and closes. */
  refuse(bad: BadHead): void {
    this.hooks.badRequest(this.facts, bad);
    const body = `${bad.status} ${reasonPhrase(bad.status)}\n`;
    this.wire.write(
      `HTTP/1.1 ${bad.status} ${reasonPhrase(bad.status)}\r\nContent-Type: text/plain\r\n` +
        `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    this.close();
  }

  #take(bytes: Buffer): void {
    const exchange = this.#exchange;
    if (exchange && !exchange.bodyEnded && exchange.flowing) return this.feedBody(bytes);
    this.#pending = this.#pending ? Buffer.concat([this.#pending, bytes]) : bytes;
    if (!exchange) return this.#parse(bytes);
    if (this.#pending.length > PIPELINE_BYTES_MAX) this.pauseReading();
  }

  #release(): void {
    this.#state = 'closed';
    this.#exchange = undefined;
    this.#pending = undefined;
    this.hooks.wheel.remove(this.#deadline);
    this.wire.handler = deafHandler;
    this.hooks.connectionClosed(this);
  }

  #keep(bytes: Buffer): void {
    this.#pending = this.#pending ? Buffer.concat([this.#pending, bytes]) : bytes;
    if (!this.#exchange && !this.#parsing) return this.#parse(undefined);
    if (this.#pending.length > PIPELINE_BYTES_MAX) this.pauseReading();
  }

  /** Starts exchanges from what is pending. `fresh` are the newest bytes in it: without a line end they cannot complete a head. */
  #parse(fresh: Buffer | undefined): void {
    this.#parsing = true;
    while (this.#pending && !this.#exchange && this.#state === 'open') {
      const bytes: Buffer = this.#pending;
      if (fresh && fresh !== bytes && bytes.length < HEAD_LINE_BYTES_MAX && !fresh.includes(10)) break;
      const scanned = scanRequestHead(bytes, 0, this.options.limits);
      if (!scanned) {
        this.#awaitHead();
        break;
      }
      if ('status' in scanned) {
        this.refuse(scanned);
        break;
      }
      if (scanned.startLine[2] === 'HTTP/2.0' && scanned.startLine[0] === 'PRI' && this.#requests === 0) {
        this.#handOver(bytes);
        break;
      }
      fresh = undefined;
      const rest = bytes.length > scanned.end ? bytes.subarray(scanned.end) : undefined;
      this.#pending = rest;
      const head = frameRequest(scanned);
      if ('status' in head) {
        this.refuse(head);
        break;
      }
      this.#requests++;
      this.hooks.wheel.cancel(this.#deadline);
      const exchange = new H1Exchange(this, head);
      this.#exchange = exchange;
      this.hooks.exchangeStarted(exchange);
    }
    this.#parsing = false;
  }

  #handOver(bytes: Buffer): void {
    const facts = this.facts;
    this.#release();
    this.hooks.prefaceSeen(this.wire.detach(bytes), facts);
  }

  /** The header deadline runs from the first byte of a head. */
  #awaitHead(): void {
    if (this.#inputEnded) return this.close();
    const left = this.#deadline.dueMs - this.hooks.wheel.nowMs;
    if (left > this.options.headerMs || this.#headStartedFor !== this.#requests) {
      this.#headStartedFor = this.#requests;
      this.hooks.wheel.arm(this.#deadline, this.options.headerMs);
    }
  }
  #headStartedFor = -1;

  #expired(): void {
    if (this.#state === 'lingering') return this.wire.destroy();
    const exchange = this.#exchange;
    if (!exchange) {
      if (this.#pending) return this.refuse({ status: 408, reason: 'request head timeout' });
      return this.close();
    }
    exchange.fail(exchange.bodyEnded ? 'client closed' : 'body timeout');
  }
}
