import { EPOLL } from '../../src/net/native/abi.ts';
import type { ByteStream } from '../../src/net/native/byte-stream.ts';
import type { ReadyHandler } from '../../src/net/native/epoll-loop.ts';
import { ERRNO } from '../../src/net/native/errno.ts';
import { openStreamPair, type StreamSocket } from '../../src/net/native/stream-socket.ts';
import type { TlsStream } from '../../src/net/native/tls-stream.ts';
import { READS_A_TURN, RECEIVE_BYTES } from './limits.ts';
import { Outbox } from './outbox.ts';
import { WheelDeadline } from './wheel-deadline.ts';
import type { WorkerContext } from './worker-context.ts';

const EVENTS = EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP | EPOLL.EDGE;
const INPUT_EVENTS = EPOLL.IN | EPOLL.RDHUP | EPOLL.ERR | EPOLL.HUP;

/** What came of a turn of one direction. `more`: there is more than is fair. */
type Moved = 'all' | 'more' | 'source lost' | 'sink lost';

/** One direction: what comes from one side and waits for the other to take it. */
class Flow {
  readonly outbox: Outbox;
  /** Bytes, or an end, may be there. */
  readable = true;
  ended = false;
  /** The other side has been told of the end. */
  told = false;
  readonly #from: ByteStream;
  readonly #context: WorkerContext;

  constructor(context: WorkerContext, from: ByteStream, to: ByteStream) {
    this.#context = context;
    this.#from = from;
    this.outbox = new Outbox(to, context.scratch);
  }

  /** Moves what is there and finds room. */
  move(): Moved {
    if (this.outbox.waiting && this.outbox.flush() < 0) return 'sink lost';
    const { arena, receiveAt } = this.#context;
    for (let reads = 0; this.readable && !this.ended && !this.outbox.waiting; reads++) {
      if (reads === READS_A_TURN) return 'more';
      const size = this.#from.receive(arena, receiveAt, RECEIVE_BYTES);
      if (size === -ERRNO.EAGAIN) this.readable = false;
      else if (size === 0) this.ended = true;
      else if (size < 0) return 'source lost';
      else if (this.outbox.send(receiveAt, size) < 0) return 'sink lost';
    }
    return 'all';
  }
}

/**
 * TLS for a connection that the portable engine goes on with: it has one end of a socket pair and speaks plainly, this one
 * enciphers and deciphers. TLS state cannot be handed over as a descriptor can.
 */
export class TlsBridge {
  readonly #context: WorkerContext;
  readonly #client: TlsStream;
  readonly #engine: StreamSocket;
  readonly #up: Flow;
  readonly #down: Flow;
  /** Runs while the client takes its time over what the engine left behind. */
  readonly #farewell: WheelDeadline;
  readonly #more: ReadyHandler = { ready: () => this.#guarded(0, 0) };
  #isDeferred = false;
  /** The engine has closed its end altogether. */
  #engineGone = false;
  #isOpen = true;

  private constructor(context: WorkerContext, client: TlsStream, engine: StreamSocket) {
    this.#context = context;
    this.#client = client;
    this.#engine = engine;
    this.#up = new Flow(context, client, engine);
    this.#down = new Flow(context, engine, client);
    this.#farewell = new WheelDeadline(context.loop.timers, () => this.#close());
  }

  /** The descriptor for the portable engine; a Failure (EMFILE) after which the connection is closed. */
  static open(context: WorkerContext, client: TlsStream): number {
    const pair = openStreamPair(context.loop);
    if (typeof pair === 'number') {
      client.close();
      return pair;
    }
    const bridge = new TlsBridge(context, client, pair.stream);
    context.loop.remove(client);
    const watched =
      context.loop.add(client, EVENTS, { ready: (events) => bridge.#guarded(events, 0) }) === 0 &&
      context.loop.add(pair.stream, EVENTS, { ready: (events) => bridge.#guarded(0, events) }) === 0;
    // the portable engine finds an end that is closed already
    if (watched) context.loop.defer(bridge.#more);
    else bridge.#close();
    return pair.fd;
  }

  #guarded(clientEvents: number, engineEvents: number): void {
    try {
      this.#ready(clientEvents, engineEvents);
    } catch (error) {
      this.#context.broken(error);
      this.#close();
    }
  }

  #ready(clientEvents: number, engineEvents: number): void {
    if (!this.#isOpen) return;
    if (clientEvents === 0 && engineEvents === 0) this.#isDeferred = false;
    if (clientEvents & INPUT_EVENTS || this.#client.readNeedsRoom) this.#up.readable = true;
    if (engineEvents & INPUT_EVENTS) this.#down.readable = true;
    if (engineEvents & EPOLL.HUP && !this.#up.told) this.#engineGone = true;
    this.#proceed();
  }

  #proceed(): void {
    const up = this.#engineGone ? 'all' : this.#up.move();
    // it reads no more, but what it has said may still be on its way
    if (up === 'sink lost') this.#engineGone = true;
    const down = this.#down.move();
    if (down === 'source lost') this.#engineGone = this.#down.ended = true;
    if (up === 'source lost' || down === 'sink lost') return this.#close();
    this.#tellEnds();
    if (!this.#isOpen) return;
    if (this.#engineGone && this.#down.outbox.waiting)
      this.#farewell.arm(this.#context.settings.server.idleMs);
    if ((up === 'more' || down === 'more') && !this.#isDeferred) {
      this.#isDeferred = true;
      this.#context.loop.defer(this.#more);
    }
  }

  #tellEnds(): void {
    const [up, down] = [this.#up, this.#down];
    if (up.ended && !up.outbox.waiting && !up.told) {
      up.told = true;
      this.#engine.endWriting();
    }
    if (!down.ended || down.outbox.waiting) return;
    // a connection that was cut off gets no close_notify: nobody shall take what came for all
    if (this.#engineGone) return this.#close();
    if (!down.told) {
      down.told = true;
      this.#client.endWriting();
    }
    if (up.told) this.#close();
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#farewell.cancel();
    this.#client.close();
    this.#engine.close();
  }
}
