import {
  INTERIM_RESPONSES_MAX,
  RESPONSE_FIELDS_MAX,
  RESPONSE_HEAD_BYTES_MAX,
  UPSTREAM_REQUESTS_MAX,
} from '../limits.ts';
import { Deadline } from '../timer-wheel.ts';
import type {
  OutgoingRequest,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamStream,
} from '../upstream/stream.ts';
import { deafHandler, type Wire, type WireHandler } from '../wire.ts';
import { ChunkedDecoder, type ChunkedSink } from './chunked.ts';
import { type Fields, Role } from './fields.ts';
import { frameResponse } from './framing.ts';
import { fieldLines } from './h1-exchange.ts';
import { scanResponseHead } from './head.ts';
import { NO_BODY, type ResponseHead, UNKNOWN_LENGTH, UNTIL_CLOSE } from './message.ts';

const LIMITS = {
  totalBytes: RESPONSE_HEAD_BYTES_MAX,
  lineBytes: RESPONSE_HEAD_BYTES_MAX,
  fields: RESPONSE_FIELDS_MAX,
};
const GATHER_BYTES_MAX = 8 * 1024;

/** What a connection tells its pool. */
export interface H1ClientOwner {
  /** Usable for another request. */
  released(connection: H1ClientConnection): void;
  /** Gone or not to be trusted any more. */
  dropped(connection: H1ClientConnection): void;
}

/**
 * One HTTP/1.1 connection to an endpoint. Used for one request at a time; after any doubt about framing, an
 * unfinished request or bytes nobody asked for it is closed and never used again.
 */
export class H1ClientConnection implements WireHandler, UpstreamStream, ChunkedSink {
  readonly idleDeadline: Deadline;
  readonly #wire: Wire;
  readonly #owner: H1ClientOwner;
  readonly #requestsMax: number;
  #handler: UpstreamHandler | undefined;
  #request: OutgoingRequest | undefined;
  #response: ResponseHead | undefined;
  connected = false;
  #served = 0;
  #pending: Buffer | undefined;
  #left = 0;
  #decoder: ChunkedDecoder | undefined;
  #out = '';
  #requestEnded = false;
  #responseBytes = 0;
  #interims = 0;
  #dead = false;
  #looking = false;
  #paused = false;

  constructor(wire: Wire, owner: H1ClientOwner, requestsMax: number = UPSTREAM_REQUESTS_MAX) {
    this.#wire = wire;
    this.#owner = owner;
    this.#requestsMax = requestsMax;
    this.idleDeadline = new Deadline(() => this.close());
    wire.handler = this;
  }

  get reused(): boolean {
    return this.#served > 1;
  }

  get usable(): boolean {
    return !this.#dead && !this.#wire.closed;
  }

  /** Told by the connector. */
  connectionMade(): void {
    this.connected = true;
    this.#handler?.upstreamConnected();
  }

  /**
   * Sends a request head; the body follows by `send`. A request that must not be sent twice looks first whether a
   * kept connection has ended meanwhile: its FIN may be waiting to be read.
   */
  open(request: OutgoingRequest, handler: UpstreamHandler): void {
    if (this.connected && !isSafeToRepeat(request.method)) {
      this.connected = false;
      this.#looking = true;
      // the next immediate runs after what is under way, the one after it has polled every socket
      setImmediate(() => setImmediate(() => this.#looked()));
    }
    this.#handler = handler;
    this.#request = request;
    this.#response = undefined;
    this.#served++;
    this.#requestEnded = false;
    this.#responseBytes = 0;
    this.#interims = 0;
    this.#out = requestHeadText(request);
  }

  send(bytes: Buffer): boolean {
    const chunked = this.#request?.bodyLength === UNKNOWN_LENGTH;
    if (bytes.length + this.#out.length <= GATHER_BYTES_MAX) {
      const text = bytes.toString('latin1', 0, bytes.length);
      this.#out += chunked ? `${bytes.length.toString(16)}\r\n${text}\r\n` : text;
      return true;
    }
    if (chunked) this.#out += `${bytes.length.toString(16)}\r\n`;
    this.flush();
    const room = this.#wire.write(bytes);
    if (chunked) this.#out = '\r\n';
    return room;
  }

  sendEnd(trailers: Fields | undefined): void {
    if (this.#request?.bodyLength === UNKNOWN_LENGTH) {
      this.#out += trailers ? `0\r\n${fieldLines(trailers)}\r\n` : '0\r\n\r\n';
    }
    this.flush();
    this.#requestEnded = true;
  }

  flush(): void {
    if (this.#out === '') return;
    const text = this.#out;
    this.#out = '';
    this.#wire.write(text);
  }

  pause(): void {
    this.#paused = true;
    this.#wire.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#wire.resume();
  }

  cancel(): void {
    this.#handler = undefined;
    this.close();
  }

  /** Ends the connection at once, whatever its state. */
  close(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#wire.handler = deafHandler;
    this.#wire.destroy();
    this.#owner.dropped(this);
  }

  wireData(bytes: Buffer): void {
    if (!this.#handler) return this.close();
    this.#responseBytes += bytes.length;
    let at = 0;
    const all = this.#pending ? Buffer.concat([this.#pending, bytes]) : bytes;
    this.#pending = undefined;
    while (at < all.length && this.#handler) {
      const next = this.#response ? this.#bodyBytes(all, at) : this.#headBytes(all, at);
      if (next < 0) return;
      if (this.#pending) break;
      at = next;
    }
    this.#ownPending(bytes);
    const handler = this.#handler;
    if (handler && this.#response) handler.upstreamFlush();
  }

  /** The bytes were lent: what waits for more becomes ours. */
  #ownPending(lent: Buffer): void {
    if (this.#pending?.buffer === lent.buffer) this.#pending = Buffer.from(this.#pending);
  }

  wireDrained(): void {
    this.#handler?.upstreamDrained();
  }

  wireEnded(): void {
    if (this.#response?.bodyLength === UNTIL_CLOSE && this.#handler)
      return this.#responseDone(undefined, false);
    this.#lost('connection ended');
  }

  wireClosed(error: Error | undefined): void {
    this.#lost(error ? ((error as NodeJS.ErrnoException).code ?? error.message) : 'connection closed');
  }

  chunkData(bytes: Buffer): void {
    this.#handler?.upstreamData(bytes);
  }

  chunkEnd(trailers: Fields | undefined): void {
    this.#trailers = trailers;
  }
  #trailers: Fields | undefined;

  /** Consumes head bytes; -1 when the connection failed or switched. */
  #headBytes(all: Buffer, at: number): number {
    const scanned = scanResponseHead(all, at, LIMITS);
    if (!scanned) {
      this.#pending = at === 0 ? all : all.subarray(at);
      return all.length;
    }
    if ('status' in scanned) return this.#distrust(scanned.reason);
    const head = frameResponse(scanned, this.#request?.method ?? 'GET');
    if (!('fields' in head)) return this.#distrust(head.reason);
    if (head.status === 101) return this.#switch(head, all.subarray(scanned.end));
    if (head.status < 200) {
      if (++this.#interims > INTERIM_RESPONSES_MAX) return this.#distrust('endless informational responses');
      if (head.status !== 100) this.#handler?.upstreamInterim(head);
      return scanned.end;
    }
    this.#response = head;
    this.#left = head.bodyLength;
    this.#decoder = head.bodyLength === UNKNOWN_LENGTH ? new ChunkedDecoder() : undefined;
    this.#handler?.upstreamHead(head);
    if (head.bodyLength === NO_BODY) this.#responseDone(undefined, scanned.end === all.length);
    return this.#handler ? scanned.end : -1;
  }

  #bodyBytes(all: Buffer, at: number): number {
    if (this.#decoder) {
      const used = this.#decoder.feed(all, at, this);
      if (typeof used === 'string') return this.#distrust(used);
      if (this.#decoder.done) this.#responseDone(this.#trailers, used === all.length);
      return this.#handler ? used : -1;
    }
    if (this.#left === UNTIL_CLOSE) {
      this.#handler?.upstreamData(at === 0 ? all : all.subarray(at));
      return all.length;
    }
    const take = Math.min(this.#left, all.length - at);
    this.#left -= take;
    this.#handler?.upstreamData(at === 0 && take === all.length ? all : all.subarray(at, at + take));
    if (this.#left === 0) this.#responseDone(undefined, at + take === all.length);
    return this.#handler ? at + take : -1;
  }

  /** `clean`: no byte came after the end of the response. */
  #responseDone(trailers: Fields | undefined, clean: boolean): void {
    const handler = this.#handler;
    if (!handler) return;
    this.#handler = undefined;
    this.#trailers = undefined;
    const reusable =
      clean && this.#requestEnded && this.#response!.keepAlive && this.#served < this.#requestsMax;
    // the last bytes may have been too many for the client: the next request must not suffer for it
    if (this.#paused) this.resume();
    if (reusable && !this.#dead) this.#owner.released(this);
    else this.close();
    handler.upstreamEnd(trailers);
  }

  #switch(head: ResponseHead, early: Buffer): number {
    const handler = this.#handler;
    if (!this.#request?.upgrade || !handler) return this.#distrust('101 without a request for it');
    this.#handler = undefined;
    this.#dead = true;
    this.#owner.dropped(this);
    handler.upstreamSwitched(head.fields, this.#wire.detach(early));
    return -1;
  }

  #looked(): void {
    this.#looking = false;
    if (this.#dead) return;
    this.connectionMade();
  }

  #distrust(reason: string): -1 {
    this.#fail(this.#response ? 'truncated' : 'framing', reason);
    return -1;
  }

  #lost(detail: string): void {
    if (this.#dead) return;
    if (this.#response) return this.#fail('truncated', detail);
    if (this.#looking) return this.#fail('stale', detail);
    if (!this.connected) return this.#fail('connect', detail);
    this.#fail(this.reused && this.#responseBytes === 0 ? 'stale' : 'reset', detail);
  }

  #fail(failure: UpstreamFailure, detail: string): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.close();
    handler?.upstreamFailed(failure, detail);
  }
}

/** Methods a dead connection costs nothing: the relay sends them again (RFC 9110 section 9.2.2). */
function isSafeToRepeat(method: string): boolean {
  return method !== 'POST' && method !== 'PATCH' && method !== 'LOCK';
}

/** The head an endpoint gets, as text of one byte a character. */
export function requestHeadText(request: OutgoingRequest): string {
  let text = `${request.method} ${request.target} HTTP/1.${request.version === 11 ? 1 : 0}\r\nHost: ${request.authority}\r\n`;
  text += fieldLinesWithoutFraming(request.fields);
  if (request.bodyLength === UNKNOWN_LENGTH) text += 'Transfer-Encoding: chunked\r\n';
  else if (request.bodyLength > 0 || methodHasBody(request.method))
    text += `Content-Length: ${request.bodyLength}\r\n`;
  if (request.upgrade) text += `Connection: Upgrade\r\nUpgrade: ${request.upgrade}\r\n`;
  else if (request.version === 10 || request.close) text += 'Connection: close\r\n';
  return `${text}\r\n`;
}

/** Methods for which a missing body is said with Content-Length: 0 (RFC 9110 section 8.6). */
function methodHasBody(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}

function fieldLinesWithoutFraming(fields: Fields): string {
  let text = '';
  const { names, values } = fields;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name.role !== Role.CONTENT_LENGTH && name.role !== Role.HOST) text += `${name.line}${values[i]}\r\n`;
  }
  return text;
}
