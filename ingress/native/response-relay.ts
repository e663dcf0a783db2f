import { noteSuccess } from '../balance/health.ts';
import { frameResponse } from '../http/framing.ts';
import { fieldLines } from '../http/h1-exchange.ts';
import { scanResponseHead } from '../http/head.ts';
import { NO_BODY, type ResponseHead, UNKNOWN_LENGTH, UNTIL_CLOSE } from '../http/message.ts';
import { reasonPhrase } from '../http/status.ts';
import { INTERIM_RESPONSES_MAX, RESPONSE_FIELDS_MAX, RESPONSE_HEAD_BYTES_MAX } from '../limits.ts';
import { responseFields } from '../relay/outgoing.ts';
import { ChunkRewriter } from './chunk-rewriter.ts';
import { BESIDE, BROKEN, ChunkScan } from './chunk-scan.ts';
import { HEADROOM_BYTES } from './limits.ts';
import { Scanned } from './request-scan.ts';
import type { RequestRelay } from './request-relay.ts';
import type { WorkerContext } from './worker-context.ts';

const LIMITS = {
  totalBytes: RESPONSE_HEAD_BYTES_MAX,
  lineBytes: RESPONSE_HEAD_BYTES_MAX,
  fields: RESPONSE_FIELDS_MAX,
};
const CHUNKED = Buffer.from('Transfer-Encoding: chunked\r\n');
const CLOSE = Buffer.from('Connection: close\r\n');
const LINE_END = Buffer.from('\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');
/** Longest size line of a chunk we write. */
const SIZE_LINE_BYTES = 8;

/**
 * The answer on its way back. Heads are scanned and edited where they were read, bodies sent from there; heads that are
 * not beyond doubt are read and written by the portable engine's own functions.
 */
export class ResponseRelay {
  status = 0;
  sentBytes = 0;
  /** The client has been given a part of the answer. */
  begun = false;
  /** Bytes of an answer have come. */
  touched = false;
  readonly #context: WorkerContext;
  readonly #relay: RequestRelay;
  readonly #chunks = new ChunkScan();
  #rewriter: ChunkRewriter | undefined;
  /** Body bytes to come, UNKNOWN_LENGTH or UNTIL_CLOSE. */
  #left = 0;
  #keepUpstream = false;
  #interims = 0;

  constructor(context: WorkerContext, relay: RequestRelay) {
    this.#context = context;
    this.#relay = relay;
  }

  get endsWithConnection(): boolean {
    return this.begun && this.#left === UNTIL_CLOSE;
  }

  reset(): void {
    this.begun = false;
    this.touched = false;
    this.status = 0;
    this.sentBytes = 0;
    this.#interims = 0;
    this.#rewriter = undefined;
  }

  /** Takes [from, end); returns where the bytes begin that are to come again with more. */
  bytes(from: number, end: number): number {
    this.touched = true;
    if (this.begun) return this.#body(from, end, from);
    const { response, arena } = this.#context;
    switch (response.scan(arena.bytes, from, end)) {
      case Scanned.READY:
        return this.#head(from, end);
      case Scanned.PARTIAL:
        return from;
      case Scanned.UNSURE:
        return this.#unusual(from, end);
    }
  }

  /** The answer is complete. `clean`: the endpoint sent nothing behind it. */
  end(clean: boolean): void {
    if (this.#left === UNTIL_CLOSE) this.#toClient(LAST_CHUNK);
    if (this.#relay.active) this.#relay.ended(clean && this.#keepUpstream);
  }

  /** A head without doubts, scanned last: edited in place so that it ends where the body begins. */
  #head(from: number, end: number): number {
    const { response, arena, writeAt } = this.#context;
    const { bytes } = arena;
    const body = response.end;
    if (this.#relay.shape.isComposed) return this.#unusual(from, end);
    const security = this.#relay.shape.transportSecurity;
    // ours takes the place of the endpoint's
    if (security !== undefined && response.hasTransportSecurity) return this.#unusual(from, end);
    this.#begin(response.status, response.bodyLength, !response.close);
    const { passing } = response;
    const chunked = this.#left === UNKNOWN_LENGTH || this.#left === UNTIL_CLOSE;
    const [start, passed] = passing.offsets;
    const isWhole = passing.count === 1 && start === from && passed === body - 2;
    if (isWhole && !chunked && this.#relay.keepAlive && security === undefined)
      return this.#body(body, end, from);
    let at = passing.copy(bytes, writeAt);
    if (security !== undefined) at = put(bytes, at, this.#context.transportSecurityField);
    if (chunked) at = put(bytes, at, CHUNKED);
    if (!this.#relay.keepAlive) at = put(bytes, at, CLOSE);
    at = put(bytes, at, LINE_END);
    return this.#body(body, end, this.#before(body, end, at));
  }

  /** Moves what was written at writeAt to where it ends before the body, with a chunk's size between them if need be. */
  #before(body: number, end: number, written: number): number {
    const { arena, writeAt } = this.#context;
    const { bytes } = arena;
    let at = written;
    if (this.#left === UNTIL_CLOSE && end > body) at = put(bytes, at, sizeLine(end - body));
    const to = body - (at - writeAt);
    bytes.copyWithin(to, writeAt, at);
    return to;
  }

  #begin(status: number, bodyLength: number, keepUpstream: boolean): void {
    const relay = this.#relay;
    const { method } = relay.books;
    const bodyless = method.name === 'HEAD' || status === 204 || status === 304;
    this.status = status;
    this.begun = true;
    this.#left = bodyless ? NO_BODY : bodyLength;
    this.#keepUpstream = keepUpstream && this.#left !== UNTIL_CLOSE;
    if (this.#left === UNKNOWN_LENGTH) this.#chunks.reset();
    relay.keepAlive = relay.keepAlive && !relay.client.lastRequest && relay.discardBytes >= 0;
    relay.books.headArrived(status);
    if (status === 502 || status === 503 || status === 504) relay.noteFailure();
    else if (relay.upstream) noteSuccess(relay.upstream.endpoint);
  }

  /** Body bytes [from, end), sent together with what lies before them from `sendFrom` on. */
  #body(from: number, end: number, sendFrom: number): number {
    if (this.#rewriter) return this.#rewrite(from, end);
    if (this.#left === UNKNOWN_LENGTH) return this.#chunkBytes(from, end, sendFrom);
    if (this.#left === UNTIL_CLOSE) return this.#closeBytes(from, end, sendFrom);
    const to = Math.min(end, from + this.#left);
    this.#left -= to - from;
    this.sentBytes += to - from;
    this.#relay.books.upstreamBytes += to - from;
    if (!this.#send(sendFrom, to)) return end;
    if (this.#left === 0) this.end(to === end);
    return end;
  }

  #chunkBytes(from: number, end: number, sendFrom: number): number {
    const chunks = this.#chunks;
    const to = chunks.feed(this.#context.arena.bytes, from, end);
    this.sentBytes += chunks.content;
    this.#relay.books.upstreamBytes += chunks.content;
    const safe = to < 0 ? chunks.boundary : to;
    if (!this.#send(sendFrom, safe)) return end;
    if (to === BROKEN) {
      this.#relay.upstreamLost('framing', 'bad chunk');
      return end;
    }
    if (to === BESIDE) {
      this.#rewriter = new ChunkRewriter();
      return this.#rewrite(safe, end);
    }
    if (!chunks.done) return to;
    this.end(to === end);
    return end;
  }

  #rewrite(from: number, end: number): number {
    const rewriter = this.#rewriter!;
    const used = rewriter.feed(this.#context.arena.bytes.subarray(from, end));
    this.sentBytes += rewriter.content;
    this.#relay.books.upstreamBytes += rewriter.content;
    this.#toClient(rewriter.take());
    if (!this.#relay.active) return end;
    if (typeof used === 'string') this.#relay.upstreamLost('framing', used);
    else if (rewriter.done) this.end(used === end - from);
    else this.#paced();
    return end;
  }

  /** A body that ends with its connection goes on in chunks. */
  #closeBytes(from: number, end: number, sendFrom: number): number {
    const { bytes } = this.#context.arena;
    let first = sendFrom;
    let last = end;
    if (end > from) {
      if (sendFrom === from) {
        const line = sizeLine(end - from);
        first = from - line.length;
        put(bytes, first, line);
      }
      last = put(bytes, end, LINE_END);
    }
    this.sentBytes += end - from;
    this.#relay.books.upstreamBytes += end - from;
    this.#send(first, last);
    return end;
  }

  /** False = the client is gone, and with it the request. */
  #send(from: number, to: number): boolean {
    const relay = this.#relay;
    if (to > from && relay.client.outbox.send(from, to - from) < 0) {
      relay.clientGone();
      relay.client.close();
      return false;
    }
    this.#paced();
    return true;
  }

  #toClient(bytes: Uint8Array): void {
    const relay = this.#relay;
    if (!relay.active || relay.client.outbox.sendBytes(bytes) === 0) return;
    relay.clientGone();
    relay.client.close();
  }

  /** A client that does not keep up stops the endpoint. */
  #paced(): void {
    const { upstream, client, route } = this.#relay;
    if (!upstream) return;
    const { proxy } = route.route.policy;
    upstream.paused = client.outbox.waiting;
    upstream.deadline.arm(client.outbox.waiting ? proxy.sendMs : proxy.readMs);
  }

  /** A head for the portable scanner: informational, of HTTP/1.0, oddly written, or wrong. */
  #unusual(from: number, end: number): number {
    const relay = this.#relay;
    const scanned = scanResponseHead(this.#context.text.subarray(from, end), 0, LIMITS);
    if (!scanned) return from;
    if ('status' in scanned) return this.#distrust(scanned.reason, end);
    const head = frameResponse(scanned, relay.books.method.name);
    if (!('fields' in head)) return this.#distrust(head.reason, end);
    if (head.status === 101) return this.#distrust('101 without a request for it', end);
    if (head.status >= 200) return this.#written(head, from + scanned.end, end);
    if (++this.#interims > INTERIM_RESPONSES_MAX)
      return this.#distrust('endless informational responses', end);
    relay.upstream?.deadline.arm(relay.route.route.policy.proxy.readMs);
    if (head.status !== 100)
      this.#toClient(
        latin1(
          `HTTP/1.1 ${head.status} ${reasonPhrase(head.status)}\r\n${fieldLines(responseFields(head, this.#context.settings.hideHeaders))}\r\n`,
        ),
      );
    const next = from + scanned.end;
    return next < end && relay.active ? this.bytes(next, end) : next;
  }

  #written(head: ResponseHead, body: number, end: number): number {
    this.#begin(head.status, head.bodyLength, head.keepAlive);
    const chunked = this.#left === UNKNOWN_LENGTH || this.#left === UNTIL_CLOSE;
    const fields = responseFields(head, this.#context.settings.hideHeaders);
    this.#relay.shape.answer(head.status, fields);
    const written =
      `HTTP/1.1 ${head.status} ${head.reason}\r\n${fieldLines(fields)}` +
      `${chunked ? 'Transfer-Encoding: chunked\r\n' : ''}${this.#relay.keepAlive ? '' : 'Connection: close\r\n'}\r\n`;
    if (written.length + SIZE_LINE_BYTES > HEADROOM_BYTES) {
      this.#toClient(latin1(written));
      return this.#relay.active ? this.#body(body, end, body) : end;
    }
    const { text, writeAt } = this.#context;
    const headEnd = writeAt + text.write(written, writeAt, 'latin1');
    return this.#body(body, end, this.#before(body, end, headEnd));
  }

  #distrust(reason: string, end: number): number {
    this.#relay.upstreamLost('framing', reason);
    return end;
  }
}

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1');

function sizeLine(sizeBytes: number): Uint8Array {
  return Buffer.from(`${sizeBytes.toString(16)}\r\n`);
}

function put(bytes: Uint8Array, at: number, text: Uint8Array): number {
  bytes.set(text, at);
  return at + text.length;
}
