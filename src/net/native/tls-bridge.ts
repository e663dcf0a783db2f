import { DUPLEX_EVENTS, EPOLL } from './abi.ts';
import type { ByteStream } from './byte-stream.ts';
import type { Arena } from './arena.ts';
import type { EpollLoop, ReadyHandler } from './epoll-loop.ts';
import { ERRNO } from './errno.ts';
import { openStreamPair, type StreamSocket } from './stream-socket.ts';
import type { TlsStream } from './tls-stream.ts';
import { Outbox, type Scratch } from './outbox.ts';
import { WheelTimer } from './timer-wheel.ts';

/** Reads of one direction in a row before others have their turn. */
const READS_A_TURN = 8;
const INPUT_EVENTS = EPOLL.IN | EPOLL.RDHUP | EPOLL.ERR | EPOLL.HUP;

/** What the bridges of one thread share. */
export interface BridgeRoom {
  readonly loop: EpollLoop;
  readonly arena: Arena;
  /** Reads go here: lent to whoever has the event. */
  readonly receiveAt: number;
  readonly receiveBytes: number;
  readonly scratch: Scratch;
  /** How long a client may take over what the engine left behind. */
  readonly farewellMs: number;
  /** A fault of ours, for the log. */
  broken(error: unknown): void;
}

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
  readonly #room: BridgeRoom;

  constructor(room: BridgeRoom, from: ByteStream, to: ByteStream) {
    this.#room = room;
    this.#from = from;
    this.outbox = new Outbox(to, room.scratch);
  }

  /** Moves what is there and finds room. */
  move(): Moved {
    if (this.outbox.waiting && this.outbox.flush() < 0) return 'sink lost';
    const { arena, receiveAt, receiveBytes } = this.#room;
    for (let reads = 0; this.readable && !this.ended && !this.outbox.waiting; reads++) {
      if (reads === READS_A_TURN) return 'more';
      const size = this.#from.receive(arena, receiveAt, receiveBytes);
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
  readonly #room: BridgeRoom;
  readonly #client: TlsStream;
  readonly #engine: StreamSocket;
  readonly #up: Flow;
  readonly #down: Flow;
  /** Runs while the client takes its time over what the engine left behind. */
  readonly #farewell: WheelTimer;
  readonly #more: ReadyHandler = { ready: () => this.#guarded(0, 0) };
  #isDeferred = false;
  /** The engine has closed its end altogether. */
  #engineGone = false;
  #isOpen = true;

  private constructor(room: BridgeRoom, client: TlsStream, engine: StreamSocket) {
    this.#room = room;
    this.#client = client;
    this.#engine = engine;
    this.#up = new Flow(room, client, engine);
    this.#down = new Flow(room, engine, client);
    this.#farewell = new WheelTimer(() => this.#close());
  }

  /** The descriptor for the portable engine; a Failure (EMFILE) after which the connection is closed. */
  static open(room: BridgeRoom, client: TlsStream): number {
    const pair = openStreamPair(room.loop);
    if (typeof pair === 'number') {
      client.close();
      return pair;
    }
    const bridge = new TlsBridge(room, client, pair.stream);
    room.loop.remove(client);
    const watched =
      room.loop.add(client, DUPLEX_EVENTS, { ready: (events) => bridge.#guarded(events, 0) }) === 0 &&
      room.loop.add(pair.stream, DUPLEX_EVENTS, { ready: (events) => bridge.#guarded(0, events) }) === 0;
    // the portable engine finds an end that is closed already
    if (watched) room.loop.defer(bridge.#more);
    else bridge.#close();
    return pair.fd;
  }

  #guarded(clientEvents: number, engineEvents: number): void {
    try {
      this.#ready(clientEvents, engineEvents);
    } catch (error) {
      this.#room.broken(error);
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
      this.#room.loop.timers.set(this.#farewell, this.#room.farewellMs);
    if ((up === 'more' || down === 'more') && !this.#isDeferred) {
      this.#isDeferred = true;
      this.#room.loop.defer(this.#more);
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
    this.#room.loop.timers.cancel(this.#farewell);
    this.#client.close();
    this.#engine.close();
  }
}
