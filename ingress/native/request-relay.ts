import { errnoName } from '../../src/net/native/errno.ts';
import { NO_BODY } from '../http/message.ts';
import type { FailedTry } from '../relay/failed-try.ts';
import { type Reply, reply } from '../relay/reply.ts';
import type { UpstreamFailure } from '../upstream/stream.ts';
import { BROKEN } from './chunk-scan.ts';
import type { ClientConnection } from './client-connection.ts';
import { EndpointSeat } from './endpoint-seat.ts';
import { KeptRequest } from './kept-request.ts';
import { COUNT } from './messages.ts';
import { ownReply } from './own-reply.ts';
import { RequestBody } from './request-body.ts';
import { RequestBooks } from './request-books.ts';
import { RequestShape } from './request-shape.ts';
import { Scanned } from './request-scan.ts';
import { ResponseRelay } from './response-relay.ts';
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts';
import type { WorkerContext } from './worker-context.ts';
import type { FastRoute } from './worker-table.ts';

/**
 * The request of a client that is under way, one object for all requests of a connection and the next: from a scanned head to an
 * endpoint and back. A try that fails before anything was answered goes to the portable engine, which decides about
 * retries and error pages; only when the request is too long to be kept is the failure answered here.
 */
export class RequestRelay implements UpstreamUser {
  active = false;
  keepAlive = false;
  readonly books: RequestBooks;
  readonly shape: RequestShape;
  /** Whose requests it relays; another one's after that one has gone. */
  client: ClientConnection;
  upstream: UpstreamConnection | undefined;
  readonly #context: WorkerContext;
  readonly #response: ResponseRelay;
  #fast: FastRoute | undefined;
  readonly #seat: EndpointSeat;
  readonly #kept: KeptRequest;
  readonly #body = new RequestBody();
  #sent = false;

  constructor(context: WorkerContext, client: ClientConnection) {
    this.#context = context;
    this.client = client;
    this.#kept = new KeptRequest(context.keptSlots);
    this.books = new RequestBooks(context);
    this.shape = new RequestShape(context);
    this.#seat = new EndpointSeat(context);
    this.#response = new ResponseRelay(context, this);
  }

  get route(): FastRoute {
    return this.#fast!;
  }

  /** The endpoint has been given the whole request. */
  get requestEnded(): boolean {
    return this.#body.isEnded;
  }

  /** Body bytes that would have to be thrown away to keep the connection; -1 = too many, or unknown. */
  get discardBytes(): number {
    return this.#body.discardBytes;
  }

  /** Takes the request that was scanned last, in [from, end). False = for the portable engine. */
  start(from: number, end: number): boolean {
    const { arena, request, table } = this.#context;
    const { shape } = this;
    const fast = table.find(arena.bytes, request);
    if (!fast || !shape.begin(fast, this.client, from)) return false;
    const { bodyBytesMax } = fast.route.policy.proxy;
    const { bodyLength } = request;
    if (bodyBytesMax > 0 && bodyLength > bodyBytesMax) return false;
    const body = this.#body;
    const bodyEnd = body.begin(bodyLength, arena.bytes, request.end, end);
    if (bodyEnd < 0 || (bodyBytesMax > 0 && body.content > bodyBytesMax)) return false;
    // the portable engine knows how to be rid of a body
    if (shape.reply && bodyLength !== NO_BODY) return false;
    const endpoint = shape.reply ? undefined : shape.pick();
    if (!shape.reply && !endpoint) return false;
    this.#begin(fast, from, bodyEnd, end);
    if (shape.reply) this.#refuseOrRedirect(shape.reply);
    if (!endpoint) return true;
    this.#seat.take(endpoint);
    this.#open(from, bodyEnd, false);
    return true;
  }

  #begin(fast: FastRoute, from: number, bodyEnd: number, end: number): void {
    const { request, counts } = this.#context;
    this.#fast = fast;
    this.keepAlive = !request.close;
    this.active = true;
    counts[COUNT.REQUESTS]!++;
    this.books.begin(fast.route, request.method);
    this.books.requestBytes = this.#body.content;
    this.books.canary = this.shape.canary;
    this.client.inbox.hold(bodyEnd, end);
    this.#kept.begin();
    this.#kept.add(from, bodyEnd);
  }

  /** Takes body bytes. What it cannot use yet is held by the client: a failed try may overwrite the arena. */
  bodyBytes(from: number, end: number): void {
    const body = this.#body;
    this.client.armBody();
    const used = body.take(this.#context.arena.bytes, from, end);
    this.books.requestBytes += body.content;
    this.client.inbox.hold(body.rawEnd, end);
    this.#forward(from, body.rawEnd);
    if (!this.active || !this.upstream) return;
    if (used === BROKEN) return this.#refuse(400, 'bad framing');
    const { proxy } = this.route.route.policy;
    if (proxy.bodyBytesMax > 0 && this.books.requestBytes > proxy.bodyBytesMax) {
      this.#dropUpstream();
      return this.#answer(413, 'proxy-body-size');
    }
    this.client.inbox.skip(used - body.rawEnd);
    if (body.rewritten) this.#sendRewritten(body.rewritten);
    if (body.isEnded || this.upstream?.outbox.waiting) this.client.stopBody();
    if (!this.#response.begun) this.upstream?.deadline.arm(body.isEnded ? proxy.readMs : proxy.sendMs);
  }

  bodyTimedOut(): void {
    this.#refuse(408, 'body timeout');
  }

  clientGone(): void {
    this.books.aborted = 'client closed';
    this.#dropUpstream();
    this.finished(499);
  }

  /** The client has taken what was held for it. */
  clientDrained(): void {
    const { upstream } = this;
    if (!upstream) return;
    upstream.deadline.arm(this.route.route.policy.proxy.readMs);
    upstream.paused = false;
    upstream.read();
  }

  // The endpoint's side.

  upstreamConnected(): void {
    const { upstream } = this;
    if (!upstream) return;
    this.#sent = true;
    this.books.connectedMs = this.#context.nowMs();
    if (upstream.outbox.flush() < 0) return this.upstreamLost('reset', 'EPIPE');
    this.#onTheWire(upstream);
  }

  upstreamBytes(from: number, end: number): number {
    return this.#response.bytes(from, end);
  }

  upstreamEnded(): void {
    if (this.#response.endsWithConnection) return this.#response.end(false);
    this.upstreamLost('reset', 'connection ended');
  }

  upstreamLost(failure: UpstreamFailure, detail: string): void {
    const { upstream } = this;
    if (!upstream) return;
    const reused = upstream.reused && !this.#response.touched;
    this.#dropUpstream();
    this.books.tryFailed(detail);
    if (this.#response.begun) return this.cut();
    const kind = failure === 'reset' && reused ? 'stale' : failure;
    if (kind === 'stale' && this.#kept.isWhole && this.#mayRepeat()) return this.#again();
    this.noteFailure();
    this.#failed(kind, detail);
  }

  upstreamDrained(): void {
    if (this.requestEnded || !this.active) return;
    this.upstream?.deadline.arm(this.route.route.policy.proxy.sendMs);
    this.client.wantBody();
  }

  upstreamTimedOut(): void {
    const { upstream } = this;
    if (!upstream) return;
    const failure = upstream.connected ? 'timeout' : 'connect timeout';
    this.#dropUpstream();
    this.books.tryFailed(failure);
    if (this.#response.begun) return this.cut();
    this.noteFailure();
    this.#failed(failure, failure);
  }

  upstreamBroken(): void {
    this.abandon();
    this.client.close();
  }

  // Ends.

  /** After a fault of ours nothing of it can be trusted. */
  abandon(): void {
    this.#dropUpstream();
    if (this.active) this.#withdraw();
  }

  /** The answer has been given to the client. */
  ended(reusable: boolean): void {
    const { upstream, client, keepAlive, discardBytes } = this;
    const { endpoint } = this.#seat;
    if (endpoint) this.shape.answered(endpoint, this.books.startedMs);
    this.upstream = undefined;
    if (upstream) upstream.release(reusable && this.requestEnded);
    const clean = this.requestEnded;
    this.finished(this.#response.status);
    if (keepAlive) client.requestDone(discardBytes);
    else client.finish(clean);
  }

  /** Breaks the answer off so that nobody takes it for complete. */
  cut(): void {
    this.#dropUpstream();
    this.finished(this.#response.status);
    this.client.close();
  }

  finished(status: number): void {
    if (!this.active) return;
    this.active = false;
    this.#context.counts[COUNT.REQUESTS]!--;
    this.#seat.leave();
    this.books.end(status, this.#response.sentBytes, this.#kept, this.client);
    this.#kept.end();
  }

  /** It cannot be sent again: it is not what came. */
  #sendRewritten(bytes: Uint8Array): void {
    this.#kept.isWhole = false;
    if (this.upstream && this.upstream.outbox.sendBytes(bytes) < 0) this.upstreamLost('reset', 'EPIPE');
  }

  #forward(from: number, to: number): void {
    const { upstream } = this;
    if (to === from || !upstream) return;
    this.#kept.add(from, to);
    if (upstream.outbox.send(from, to - from) < 0) this.upstreamLost('reset', 'EPIPE');
  }

  // Tries.

  /** Sends the request in [from, bodyEnd), which was scanned last; `fresh`: over a new connection. */
  #open(from: number, bodyEnd: number, fresh: boolean): void {
    const { arena, request, writeAt, settings } = this.#context;
    this.books.tryStarted(this.#seat.endpoint!.id);
    this.#response.reset();
    const headEnd = this.shape.writeHead(from);
    if (settings.accessLog !== 'off') this.books.requestId = this.shape.requestId;
    arena.bytes.copyWithin(headEnd, request.end, bodyEnd);
    const sizeBytes = headEnd + bodyEnd - request.end - writeAt;
    const kept = fresh ? undefined : this.#seat.takeIdle(!request.method.idempotent);
    const upstream = kept ?? this.#seat.dial();
    this.#sent = kept !== undefined;
    if (typeof upstream === 'number') return this.#noDial(upstream);
    this.upstream = upstream;
    upstream.user = this;
    upstream.served++;
    if (!kept) {
      upstream.outbox.hold(writeAt, sizeBytes);
      return upstream.deadline.arm(this.route.route.policy.proxy.connectMs);
    }
    this.books.connectedMs = this.books.tryStartedMs;
    if (upstream.outbox.send(writeAt, sizeBytes) < 0) return this.upstreamLost('reset', 'EPIPE');
    this.#onTheWire(upstream);
  }

  #onTheWire(upstream: UpstreamConnection): void {
    upstream.deadline.arm(this.route.route.policy.proxy.readMs);
    if (!this.requestEnded && !upstream.outbox.waiting) this.client.wantBody();
  }

  /** The kept connection had ended: the same again on a new one. */
  #again(): void {
    const { arena, request, receiveAt } = this.#context;
    arena.bytes.set(this.#kept.bytes, receiveAt);
    if (request.scan(arena.bytes, receiveAt, receiveAt + this.#kept.sizeBytes) !== Scanned.READY)
      return this.#failed('stale', 'kept request is damaged');
    this.client.stopBody();
    this.#open(receiveAt, receiveAt + this.#kept.sizeBytes, true);
  }

  #mayRepeat(): boolean {
    const { method } = this.books;
    return method.idempotent || this.route.route.policy.retry.conditions.has('non_idempotent');
  }

  #noDial(failure: number): void {
    this.books.tryFailed(errnoName(failure));
    this.noteFailure();
    this.#failed('connect', errnoName(failure));
  }

  /** The endpoint is not well, or its answer says so. */
  noteFailure(): void {
    this.#seat.noteFailure(this.shape.cluster.key, this.route.route.policy.balance.health);
  }

  #failed(failure: FailedTry['failure'], detail: string): void {
    if (!this.#kept.isWhole) {
      const isTime = failure === 'timeout' || failure === 'connect timeout';
      return this.#answer(isTime ? 504 : 502, `upstream ${failure}: ${detail}`);
    }
    const endpoint = this.#seat.endpoint!.id;
    const bytes = Buffer.from(this.#kept.bytes);
    this.#withdraw();
    this.client.served--;
    this.client.handOver(bytes, { kind: 'tried', endpoint, failure, detail, sent: this.#sent });
  }

  /** The portable engine counts this request. */
  #withdraw(): void {
    this.active = false;
    this.#context.counts[COUNT.REQUESTS]!--;
    this.#seat.leave();
    this.#kept.end();
  }

  /** The body cannot be understood, or does not come. */
  #refuse(status: number, reason: 'body timeout' | 'bad framing'): void {
    this.#dropUpstream();
    this.books.aborted = reason;
    const begun = this.#response.begun;
    this.finished(status);
    if (begun) return this.client.close();
    this.client.inbox.held = undefined;
    this.client.handOver(EMPTY, { kind: 'refuse', status, reason });
  }

  #answer(status: number, why: string): void {
    if (this.#response.begun) return this.cut();
    this.keepAlive = false;
    this.#reply(reply(status, why));
  }

  /** To a request without a body. */
  #refuseOrRedirect(answer: Reply): void {
    this.#response.reset();
    this.keepAlive = this.keepAlive && !this.client.lastRequest;
    this.#reply(answer);
  }

  #reply(answer: Reply): void {
    const { client, books, keepAlive } = this;
    books.why = answer.why;
    const bytes = ownReply(answer, {
      nowMs: this.#context.clock.nowMs(),
      keepAlive,
      bodyless: books.method.name === 'HEAD',
      shape: (status, fields) => this.shape.ownAnswer(status, fields),
    });
    this.#response.sentBytes = answer.body.length;
    client.stopBody();
    const failed = client.outbox.sendBytes(bytes) < 0;
    this.finished(answer.status);
    if (failed) client.close();
    else if (keepAlive) client.requestDone(0);
    else client.finish(this.requestEnded);
  }

  #dropUpstream(): void {
    const { upstream } = this;
    this.upstream = undefined;
    upstream?.close();
  }
}

const EMPTY = Buffer.alloc(0);
