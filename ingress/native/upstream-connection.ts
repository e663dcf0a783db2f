import { DUPLEX_EVENTS, EPOLL } from '../../src/net/native/abi.ts';
import { ERRNO, errnoName } from '../../src/net/native/errno.ts';
import type { ReadyHandler } from '../../src/net/native/epoll-loop.ts';
import { pendingError } from '../../src/net/native/socket-options.ts';
import { dialStream, type StreamSocket } from '../../src/net/native/stream-socket.ts';
import type { UpstreamFailure } from '../upstream/stream.ts';
import type { WorkerEndpoint } from './endpoints.ts';
import { Inbox } from './inbox.ts';
import { READS_A_TURN } from './limits.ts';
import { Outbox } from '../../src/net/native/outbox.ts';
import type { WorkerContext } from './worker-context.ts';
import { WheelDeadline } from './wheel-deadline.ts';

/** Who a connection serves at the moment. */
export interface UpstreamUser {
  upstreamConnected(): void;
  /**
   * Bytes [from, end) of the worker's arena. Returns where what is to come again with more bytes begins (`end`: nothing).
   * The user may have let go of the connection when it returns.
   */
  upstreamBytes(from: number, end: number): number;
  upstreamEnded(): void;
  /** The connection is gone. */
  upstreamLost(failure: UpstreamFailure, detail: string): void;
  /** What it was slow to take is gone. */
  upstreamDrained(): void;
  /** A deadline of the user's, armed on `deadline`, has passed. */
  upstreamTimedOut(): void;
  /** Serving it failed by a fault of ours. */
  upstreamBroken(): void;
}

const BAD_EVENTS = EPOLL.ERR | EPOLL.HUP;
const INPUT_EVENTS = EPOLL.IN | EPOLL.RDHUP | BAD_EVENTS;

/**
 * One HTTP/1.1 connection to an endpoint, used for one request at a time. After any doubt it is closed and never used
 * again.
 */
export class UpstreamConnection implements ReadyHandler {
  readonly endpoint: WorkerEndpoint;
  /** Idle time in the pool; connect, read and send time of its user. */
  readonly deadline: WheelDeadline;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  connected = false;
  user: UpstreamUser | undefined;
  /** Requests so far. */
  served = 0;
  /** The user does not want to be given bytes now. */
  paused = false;
  readonly #context: WorkerContext;
  readonly #stream: StreamSocket;

  private constructor(context: WorkerContext, endpoint: WorkerEndpoint, stream: StreamSocket) {
    this.#context = context;
    this.endpoint = endpoint;
    this.#stream = stream;
    this.inbox = new Inbox(context, stream);
    this.outbox = new Outbox(stream, context.scratch);
    this.deadline = new WheelDeadline(context.loop.timers, () => this.#expired());
  }

  /** A connection that begins now, or why not even that. */
  static dial(context: WorkerContext, endpoint: WorkerEndpoint): UpstreamConnection | number {
    const stream = dialStream(context.loop, endpoint.name);
    if (typeof stream === 'number') return stream;
    const made = new UpstreamConnection(context, endpoint, stream);
    const failure = context.loop.add(stream, DUPLEX_EVENTS, made);
    if (failure === 0) return made;
    stream.close();
    return failure;
  }

  get reused(): boolean {
    return this.served > 1;
  }

  /** True when a kept connection has not ended: its FIN may be waiting to be read. */
  isAlive(): boolean {
    const { arena, receiveAt } = this.#context;
    return this.#stream.receive(arena, receiveAt, 1) === -ERRNO.EAGAIN;
  }

  /** Back into the pool, or closed when it may not be used again. */
  release(reusable: boolean): void {
    this.user = undefined;
    const { settings, idleBudget } = this.#context;
    const { endpoint, inbox } = this;
    const keeps =
      reusable &&
      !endpoint.gone &&
      !inbox.ended &&
      // bytes nobody asked for may be there
      !inbox.readable &&
      !this.outbox.waiting &&
      this.served < settings.upstreamRequestsMax &&
      settings.upstreamIdleMs > 0 &&
      idleBudget.count < idleBudget.max;
    if (!keeps) return this.close();
    this.paused = false;
    idleBudget.count++;
    endpoint.idle.push(this);
    this.deadline.arm(settings.upstreamIdleMs);
  }

  close(): void {
    if (this.#stream.fd < 0) return;
    this.user = undefined;
    this.deadline.cancel();
    this.#stream.close();
    this.outbox.clear();
    this.inbox.held = undefined;
    const at = this.endpoint.idle.indexOf(this);
    if (at < 0) return;
    this.endpoint.idle.splice(at, 1);
    this.#context.idleBudget.count--;
  }

  ready(events: number): void {
    try {
      this.#ready(events);
    } catch (error) {
      this.#broken(error);
    }
  }

  #ready(events: number): void {
    if (!this.connected) return this.#connecting(events);
    const { user } = this;
    if (!user) {
      // nobody asked for anything: bytes or an end make it useless
      if (events & INPUT_EVENTS) this.close();
      return;
    }
    if (events & EPOLL.OUT && this.outbox.waiting) {
      const failure = this.outbox.flush();
      if (failure === 0 && !this.outbox.waiting) user.upstreamDrained();
      // a failed send says nothing yet: an answer may be waiting to be read
    }
    if (events & (EPOLL.RDHUP | BAD_EVENTS)) this.inbox.ended = true;
    if (events & INPUT_EVENTS) this.inbox.readable = true;
    this.read();
  }

  /** Reads what is there, unless the user has paused; called again when it wants bytes. */
  read(): void {
    const { inbox } = this;
    for (let reads = 0; inbox.readable && !this.paused; reads++) {
      if (reads === READS_A_TURN) return this.#context.loop.defer(this);
      const { user } = this;
      if (!user) return;
      const end = inbox.receive();
      if (end <= 0) return this.#nothing(user, end);
      const kept = user.upstreamBytes(this.#context.receiveAt, end);
      if (this.user !== user) return;
      if (kept < end) inbox.hold(kept, end);
    }
  }

  #nothing(user: UpstreamUser, result: number): void {
    if (result === -ERRNO.EAGAIN) return;
    if (result === 0) return user.upstreamEnded();
    user.upstreamLost('reset', errnoName(result));
  }

  #connecting(events: number): void {
    if (events & BAD_EVENTS) {
      const { user } = this;
      const failure = pendingError(this.#stream.fd);
      this.close();
      return user?.upstreamLost('connect', failure < 0 ? errnoName(failure) : 'ECONNRESET');
    }
    if (!(events & EPOLL.OUT)) return;
    this.connected = true;
    this.user?.upstreamConnected();
    if (this.user && events & EPOLL.RDHUP) this.#ready(events & ~EPOLL.OUT);
  }

  #expired(): void {
    try {
      if (this.user) this.user.upstreamTimedOut();
      else this.close();
    } catch (error) {
      this.#broken(error);
    }
  }

  #broken(error: unknown): void {
    const { user } = this;
    this.#context.broken(error);
    this.close();
    user?.upstreamBroken();
  }
}
