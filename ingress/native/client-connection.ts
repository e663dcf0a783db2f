import { DUPLEX_EVENTS, EPOLL } from '../../src/net/native/abi.ts';
import { ERRNO } from '../../src/net/native/errno.ts';
import type { ReadyHandler } from '../../src/net/native/epoll-loop.ts';
import type { ByteStream } from '../../src/net/native/byte-stream.ts';
import type { TlsFacts } from '../http/exchange.ts';
import { LINGER_MS } from '../limits.ts';
import type { Client, ClientListener } from './client.ts';
import { Inbox } from './inbox.ts';
import { READS_A_TURN } from './limits.ts';
import type { Order } from './messages.ts';
import { Outbox } from '../../src/net/native/outbox.ts';
import { Scanned } from './request-scan.ts';
import { RequestRelay } from './request-relay.ts';
import type { ForwardedFields } from './request-writer.ts';
import type { WorkerContext } from './worker-context.ts';
import { WheelDeadline } from './wheel-deadline.ts';

/** What a client's connection asks the loop for. */
const BAD_EVENTS = EPOLL.ERR | EPOLL.HUP;

/** As in the portable engine: a FIN after a request is taken for a client that is gone, a moment later. */
const HALF_CLOSE_GRACE_MS = 400;

const State = {
  /** Between requests, or in the middle of a head. */
  HEAD: 0,
  /** A request is under way and wants no more bytes of its body. */
  BUSY: 1,
  /** A request is under way and reads its body. */
  BODY: 2,
  /** The rest of a body nobody wants is thrown away, to keep the connection. */
  DISCARD: 3,
  /** Our side has ended; what comes is thrown away so that the client gets to see the answer. */
  LINGER: 4,
  CLOSED: 5,
} as const;
type State = (typeof State)[keyof typeof State];

/**
 * A client of the fast path: reads heads, has one request at a time relayed, keeps what was pipelined. Whatever the fast
 * path does not do goes to the portable engine with the connection itself and every byte that was read and not used.
 */
export class ClientConnection implements ReadyHandler {
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly fields: ForwardedFields;
  readonly listener: ClientListener;
  readonly address: string;
  readonly port: number;
  readonly tls: TlsFacts | undefined;
  /** Requests so far. */
  served = 0;
  /** Kept by the context. */
  place = -1;
  readonly #context: WorkerContext;
  readonly #stream: ByteStream;
  readonly #release: () => number;
  readonly #relay: RequestRelay;
  readonly #deadline: WheelDeadline;
  #state: State = State.HEAD;
  #discardBytes = 0;

  private constructor(context: WorkerContext, { stream, release, address, port, listener, tls }: Client) {
    this.#context = context;
    this.#stream = stream;
    this.#release = release;
    this.listener = listener;
    this.address = address;
    this.port = port;
    this.tls = tls;
    this.inbox = new Inbox(context, stream);
    this.outbox = new Outbox(stream, context.scratch);
    this.fields = { client: context.clientFields(this.address), listener: listener.fields };
    this.#relay = context.relayFor(this) ?? new RequestRelay(context, this);
    this.#deadline = new WheelDeadline(context.loop.timers, () => this.#guarded(() => this.#expired()));
  }

  /** Takes a client that the context has been told of. */
  static take(context: WorkerContext, from: Client): void {
    const client = new ClientConnection(context, from);
    context.joined(client);
    if (context.loop.add(from.stream, DUPLEX_EVENTS, client) < 0) return client.close();
    client.#deadline.arm(context.settings.server.headerMs);
    if (!from.tls) return;
    // the last bytes of the handshake may have come with more
    if (context.draining) client.drain();
    else client.ready(EPOLL.IN);
  }

  /** No request after the present one. */
  get lastRequest(): boolean {
    return this.#context.draining || this.served >= this.#context.settings.server.requestsMax;
  }

  ready(events: number): void {
    try {
      this.#ready(events);
    } catch (error) {
      this.#broken(error);
    }
  }

  #ready(events: number): void {
    if (events & EPOLL.OUT && this.outbox.waiting) {
      if (this.outbox.flush() < 0) return this.#gone();
      if (!this.outbox.waiting) this.#drained();
    }
    if (events & EPOLL.RDHUP) this.inbox.ended = true;
    if (events & BAD_EVENTS) return this.#gone();
    if (events === 0) return this.#input(); // it goes on with what it was fair to leave
    if (!(events & (EPOLL.IN | EPOLL.RDHUP)) && !this.#stream.readNeedsRoom) return;
    this.inbox.readable = true;
    this.#input();
  }

  /** The request wants the bytes of its body; those that are here are given at once. */
  wantBody(): void {
    this.#state = State.BODY;
    this.armBody();
    this.#input();
  }

  /** No body bytes for now, or ever. */
  stopBody(): void {
    if (this.#state !== State.BODY) return;
    this.#state = State.BUSY;
    this.#deadline.cancel();
    if (this.inbox.ended) this.#input();
  }

  armBody(): void {
    this.#deadline.arm(this.#context.settings.server.bodyIdleMs);
  }

  /** The request is over and the connection goes on, after `discardBytes` of body nobody wants. */
  requestDone(discardBytes: number): void {
    if (this.#state === State.CLOSED) return;
    this.#discardBytes = discardBytes;
    if (this.outbox.waiting) {
      this.#state = State.BUSY;
      return this.#deadline.arm(this.#context.settings.server.idleMs); // #drained goes on
    }
    this.#next();
  }

  /** Sends what is pending, then FIN, and reads on for a moment; `clean`: the client has nothing under way. */
  finish(clean: boolean): void {
    if (this.#state === State.CLOSED) return;
    if (this.outbox.waiting) {
      this.#finishing = true;
      this.#state = State.BUSY;
      return this.#deadline.arm(this.#context.settings.server.idleMs);
    }
    if (clean && !this.inbox.readable && !this.inbox.held) return this.#end();
    this.#state = State.LINGER;
    this.inbox.held = undefined;
    this.#stream.endWriting();
    this.#deadline.arm(LINGER_MS);
    this.#input();
  }
  #finishing = false;

  /** Ends at once, in the middle of whatever was said. */
  close(): void {
    if (this.#state === State.CLOSED) return;
    this.#leave();
    this.#stream.close();
  }

  /** Ends between two requests. */
  #end(): void {
    this.#leave();
    this.#stream.end();
  }

  /** Gives the connection to the portable engine, with `bytes` and what is held. */
  handOver(bytes: Uint8Array, order: Order): void {
    if (this.#state === State.CLOSED) return;
    // a part of an informational answer is on its way: nobody else can finish it
    if (this.outbox.waiting) return this.close();
    const { held } = this.inbox;
    const all = held ? Buffer.concat([bytes, held]) : bytes;
    this.#leave();
    const fd = this.#release();
    if (fd < 0) return;
    const { served, listener, address, port, tls } = this;
    const from = { address, port, tls, listener: listener.index };
    this.#context.post({ kind: 'handover', fd, ...from, bytes: all, served, order });
  }

  /** At drain: the portable engine knows how to say farewell to a connection between two requests. */
  drain(): void {
    if (this.#state === State.HEAD) this.handOver(new Uint8Array(), { kind: 'serve' });
  }

  /** For after calls that may have closed it. */
  get #isClosed(): boolean {
    return this.#state === State.CLOSED;
  }

  #leave(): void {
    this.#state = State.CLOSED;
    this.#deadline.cancel();
    this.outbox.clear();
    this.#context.left(this, this.#relay);
  }

  #input(): void {
    switch (this.#state) {
      case State.HEAD:
        return this.#readHead();
      case State.BODY:
        return this.#readBody();
      case State.BUSY:
        if (this.inbox.ended && this.#relay.requestEnded) this.#deadline.arm(HALF_CLOSE_GRACE_MS);
        return;
      case State.DISCARD:
      case State.LINGER:
        return this.#throwAway();
      case State.CLOSED:
    }
  }

  #readHead(): void {
    const { inbox } = this;
    // what was pipelined is looked at before more is read
    if (inbox.held && !this.#awaitsRest) return this.#scan(inbox.takeOut());
    const end = inbox.receive();
    if (end > 0) this.#scan(end);
    else if (end !== -ERRNO.EAGAIN) this.close();
  }

  #scan(end: number): void {
    const { arena, receiveAt, request } = this.#context;
    const { inbox } = this;
    switch (request.scan(arena.bytes, receiveAt, end)) {
      case Scanned.READY:
        this.served++;
        this.#deadline.cancel();
        this.#state = State.BUSY;
        if (this.#relay.start(receiveAt, end)) {
          if (inbox.ended) this.#input();
          return;
        }
        this.served--;
        break;
      case Scanned.PARTIAL:
        if (inbox.ended && !inbox.readable) return this.close();
        this.#state = State.HEAD;
        if (!this.#awaitsRest) this.#deadline.arm(this.#context.settings.server.headerMs);
        this.#awaitsRest = true;
        inbox.hold(receiveAt, end);
        if (inbox.readable) this.#readHead();
        return;
      case Scanned.UNSURE:
    }
    inbox.held = undefined;
    this.handOver(Buffer.from(arena.bytes.subarray(receiveAt, end)), { kind: 'serve' });
  }
  #awaitsRest = false;

  #readBody(): void {
    const { inbox } = this;
    for (let reads = 0; this.#state === State.BODY && (inbox.readable || inbox.held); reads++) {
      if (reads === READS_A_TURN) return this.#context.loop.defer(this);
      const end = inbox.readable ? inbox.receive() : inbox.takeOut();
      if (end === -ERRNO.EAGAIN) {
        if (!inbox.held) return;
        continue;
      }
      if (end <= 0) return this.#gone();
      this.#relay.bodyBytes(this.#context.receiveAt, end);
      if (this.#isClosed) return;
      // what is held of a body is the beginning of a chunk line: it needs more
      if (inbox.held && !inbox.readable) return;
    }
  }

  #throwAway(): void {
    for (let reads = 0; ; reads++) {
      if (reads === READS_A_TURN) return this.#context.loop.defer(this);
      const { receiveAt } = this.#context;
      const end = this.inbox.readable ? this.inbox.receive() : -ERRNO.EAGAIN;
      if (end === -ERRNO.EAGAIN) return;
      if (end <= 0) return this.close();
      if (this.#state === State.LINGER) continue;
      if (end - receiveAt < this.#discardBytes) {
        this.#discardBytes -= end - receiveAt;
        continue;
      }
      this.inbox.hold(receiveAt + this.#discardBytes, end);
      this.#discardBytes = 0;
      return this.#next();
    }
  }

  /** Between two requests: what was pipelined is next. */
  #next(): void {
    const { inbox } = this;
    this.#awaitsRest = false;
    if (this.#discardBytes > 0 && inbox.held) {
      const take = Math.min(this.#discardBytes, inbox.held.length);
      this.#discardBytes -= take;
      inbox.skip(take);
    }
    if (this.#discardBytes > 0) {
      this.#state = State.DISCARD;
      this.armBody();
      return this.#input();
    }
    this.#state = State.HEAD;
    if (this.#context.draining) return this.drain();
    this.#deadline.arm(this.#context.settings.server.idleMs);
    // in a turn of its own: thousands of them may be answered without waiting for anybody
    if (inbox.held) return this.#context.loop.defer(this);
    if (inbox.readable) this.#readHead();
  }

  #drained(): void {
    if (this.#finishing) return this.finish(false);
    if (this.#relay.active) return this.#relay.clientDrained();
    if (this.#state === State.BUSY) this.#next();
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#broken(error);
    }
  }

  /** Our own fault in one request is the end of that connection, and of nobody else's. */
  #broken(error: unknown): void {
    this.#context.broken(error);
    this.close();
    this.#relay.abandon();
  }

  #gone(): void {
    if (this.#relay.active) this.#relay.clientGone();
    this.close();
  }

  #expired(): void {
    switch (this.#state) {
      case State.HEAD:
        if (!this.inbox.held) return this.#end();
        return this.handOver(new Uint8Array(), {
          kind: 'refuse',
          status: 408,
          reason: 'request head timeout',
        });
      case State.BODY:
        return this.#relay.bodyTimedOut();
      case State.BUSY:
        return this.#gone();
      case State.DISCARD:
      case State.LINGER:
      case State.CLOSED:
        this.close();
    }
  }
}
