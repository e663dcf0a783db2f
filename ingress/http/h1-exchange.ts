import type { Duplex } from 'node:stream';
import { DISCARD_BODY_BYTES_MAX } from '../limits.ts';
import { ChunkedDecoder, type ChunkedSink } from './chunked.ts';
import type { AbortReason, ConnectionFacts, Exchange, ExchangeHandler } from './exchange.ts';
import { type Fields, Role } from './fields.ts';
import type { H1ServerConnection } from './h1-server.ts';
import { NO_BODY, type RequestHead, UNKNOWN_LENGTH } from './message.ts';
import { reasonPhrase } from './status.ts';

/** Pieces up to this size are gathered into one write. */
const GATHER_BYTES_MAX = 8 * 1024;
const DRAINED = true;

const nobody: ExchangeHandler = {
  bodyData() {},
  bodyEnd() {},
  exchangeAborted() {},
  exchangeDrained() {},
};

/** A request on an HTTP/1.x connection and the writer of its response. */
export class H1Exchange implements Exchange, ChunkedSink {
  handler: ExchangeHandler = nobody;
  readonly head: RequestHead;
  bodyEnded: boolean;
  headSent = false;
  sentBytes = 0;
  /** Body bytes are being delivered (or thrown away). */
  flowing = false;
  readonly #connection: H1ServerConnection;
  #left: number;
  #decoder: ChunkedDecoder | undefined;
  #discardedBytes = -1;
  #out = '';
  #chunked = false;
  #bodyless = false;
  #keepAlive = false;
  #responseEnded = false;
  #over = false;

  constructor(connection: H1ServerConnection, head: RequestHead) {
    this.#connection = connection;
    this.head = head;
    this.#left = head.bodyLength;
    this.bodyEnded = head.bodyLength === NO_BODY;
    if (head.bodyLength === UNKNOWN_LENGTH) this.#decoder = new ChunkedDecoder();
  }

  get connection(): ConnectionFacts {
    return this.#connection.facts;
  }

  resumeBody(): void {
    if (this.bodyEnded || this.#over) return;
    if (this.flowing) {
      this.#connection.resumeReading();
      this.#connection.armBody();
      return;
    }
    this.flowing = true;
    if (this.head.expectContinue && !this.headSent)
      this.#connection.wire.write('HTTP/1.1 100 Continue\r\n\r\n');
    this.#connection.startBody();
  }

  pauseBody(): void {
    if (this.flowing && !this.bodyEnded) this.#connection.pauseReading();
  }

  /** Takes body bytes; returns how many, or why the framing is broken. */
  consume(bytes: Buffer): number | string {
    if (this.#decoder) return this.#decoder.feed(bytes, 0, this);
    const take = Math.min(this.#left, bytes.length);
    this.#left -= take;
    this.chunkData(take === bytes.length ? bytes : bytes.subarray(0, take));
    if (this.#left === 0 && !this.#over) this.chunkEnd(undefined);
    return take;
  }

  chunkData(bytes: Buffer): void {
    if (this.#discardedBytes < 0) return this.handler.bodyData(bytes);
    this.#discardedBytes += bytes.length;
    if (this.#discardedBytes > DISCARD_BODY_BYTES_MAX && this.#responseEnded) this.#finish(false);
  }

  chunkEnd(trailers: Fields | undefined): void {
    this.bodyEnded = true;
    if (this.#discardedBytes >= 0) {
      if (this.#responseEnded) this.#finish(this.#keepAlive);
    } else this.handler.bodyEnd(trailers);
  }

  sendInterim(status: number, fields: Fields): void {
    if (this.head.version < 11 || this.headSent || this.#over) return;
    this.#connection.wire.write(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${fieldLines(fields)}\r\n`);
  }

  sendHead(status: number, reason: string, fields: Fields, bodyLength: number): void {
    if (this.headSent || this.#over) return;
    this.headSent = true;
    this.#bodyless = this.head.method === 'HEAD' || status === 204 || status === 304;
    const unknown = bodyLength < 0 && !this.#bodyless;
    this.#chunked = unknown && this.head.version === 11;
    this.#keepAlive =
      this.head.keepAlive &&
      !this.#connection.lastRequest &&
      // by another connection it may be answered (RFC 9110 section 15.5.20)
      status !== 421 &&
      (!unknown || this.#chunked) &&
      this.#bodyCanBeDiscarded();
    let text = `HTTP/1.1 ${status} ${reason}\r\n${fieldLines(fields)}`;
    if (this.#chunked) text += 'Transfer-Encoding: chunked\r\n';
    if (!this.#keepAlive) text += 'Connection: close\r\n\r\n';
    else if (this.head.version === 10) text += 'Connection: keep-alive\r\n\r\n';
    else text += '\r\n';
    this.#out += text;
  }

  sendData(bytes: Buffer): boolean {
    if (this.#bodyless || this.#over || bytes.length === 0) return DRAINED;
    this.sentBytes += bytes.length;
    if (bytes.length + this.#out.length <= GATHER_BYTES_MAX) {
      const text = bytes.toString('latin1', 0, bytes.length);
      this.#out += this.#chunked ? `${bytes.length.toString(16)}\r\n${text}\r\n` : text;
      return DRAINED;
    }
    if (this.#chunked) this.#out += `${bytes.length.toString(16)}\r\n`;
    this.flush();
    const room = this.#connection.wire.write(bytes);
    if (this.#chunked) this.#out = '\r\n';
    return room;
  }

  sendEnd(trailers: Fields | undefined): void {
    if (this.#over || this.#responseEnded) return;
    if (this.#chunked) this.#out += trailers ? `0\r\n${fieldLines(trailers)}\r\n` : '0\r\n\r\n';
    this.flush();
    this.#responseEnded = true;
    if (this.bodyEnded) return this.#finish(this.#keepAlive);
    if (!this.#keepAlive) return this.#finish(false);
    this.#discard();
  }

  flush(): void {
    if (this.#out === '') return;
    const text = this.#out;
    this.#out = '';
    this.#connection.wire.write(text);
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.flush();
    this.#connection.exchangeEnded(false);
    this.#connection.wire.destroy();
  }

  /** The connection cannot carry on with this exchange. */
  fail(reason: AbortReason): void {
    if (this.#over) return;
    if (this.#responseEnded) return this.#finish(false);
    if (!this.headSent && reason !== 'client closed') return this.#failWithAnswer(reason);
    this.#over = true;
    this.handler.exchangeAborted(reason);
    this.#connection.exchangeEnded(false);
    this.#connection.wire.destroy();
  }

  switchProtocols(fields: Fields): Duplex {
    const { stream, early } = this.#connection.detach();
    this.#over = true;
    stream.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${fieldLines(fields)}\r\n`,
      'latin1',
    );
    if (early.length > 0) stream.unshift(early);
    return stream;
  }

  #failWithAnswer(reason: AbortReason): void {
    this.handler.exchangeAborted(reason);
    this.#over = true;
    this.#connection.abandon();
    this.#connection.refuse({ status: reason === 'body timeout' ? 408 : 400, reason });
  }

  #bodyCanBeDiscarded(): boolean {
    if (this.bodyEnded) return true;
    if (this.head.expectContinue && !this.flowing) return false;
    return this.#decoder !== undefined || this.#left <= DISCARD_BODY_BYTES_MAX;
  }

  #discard(): void {
    this.handler = nobody;
    this.#discardedBytes = 0;
    if (this.flowing) this.#connection.resumeReading();
    else {
      this.flowing = true;
      this.#connection.startBody();
    }
  }

  #finish(reusable: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#connection.exchangeEnded(reusable);
  }
}

/** `Name: value` lines; framing and connection fields are the writer's business and are left out. */
export function fieldLines(fields: Fields): string {
  let text = '';
  const { names, values } = fields;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name.role !== Role.TRANSFER_ENCODING && name.role !== Role.CONNECTION)
      text += `${name.line}${values[i]}\r\n`;
  }
  return text;
}
