import { DUPLEX_EVENTS, EPOLL } from '../../../src/net/native/abi.ts';
import type { ByteStream } from '../../../src/net/native/byte-stream.ts';
import type { ReadyHandler } from '../../../src/net/native/epoll-loop.ts';
import { ERRNO } from '../../../src/net/native/errno.ts';
import { WheelTimer } from '../../../src/net/native/timer-wheel.ts';
import type { PackedReader } from '../../cluster/table/packed-reader.ts';
import { STREAM_INPUT_BYTES, STREAM_QUESTION_BYTES } from '../../limits.ts';
import { HEADER_BYTES } from '../../wire/decode.ts';
import type { HandedOver } from './stream-memory.ts';
import { LENGTH_BYTES, type RoomMember, type StreamClient, type StreamRoom } from './stream-room.ts';

const INPUT_EVENTS = EPOLL.IN | EPOLL.RDHUP | EPOLL.HUP;
const NOTHING = new Uint8Array(0);

/** A connection as it is when questions may come. */
export interface Connected {
  readonly stream: ByteStream;
  readonly client: StreamClient;
  /** Something of it may be read already, and no event will tell. */
  readonly early: boolean;
  /** Gives it away, to go on elsewhere; a negative number instead of a descriptor: it is closed. */
  readonly release: () => Pick<HandedOver, 'fd' | 'ends'>;
}

/**
 * A connection whose questions the table answers (RFC 7766: pipelined, answers in order). With the first question that
 * is not the table's it is handed over as it stands.
 */
export class TableStream implements ReadyHandler, RoomMember {
  readonly #room: StreamRoom;
  readonly #stream: ByteStream;
  readonly #client: StreamClient;
  readonly #release: Connected['release'];
  readonly #timer: WheelTimer;
  /** Read, and no whole question yet or not to be answered before the client takes its answers. */
  #rest: Uint8Array = NOTHING;
  #unsent: Uint8Array = NOTHING;
  #isOpen = true;
  #isDeferred = false;
  /** Nothing further is read. */
  #draining = false;
  /** The client has ended its side: its end stands behind what is still to be read. */
  #peerEnded = false;
  lastActiveMs = performance.now();

  private constructor(room: StreamRoom, { stream, client, release }: Connected) {
    this.#room = room;
    this.#stream = stream;
    this.#client = client;
    this.#release = release;
    this.#timer = new WheelTimer(() => (this.idle ? this.#end() : this.close()));
  }

  /** The room holds the connection until it ends. */
  static serve(room: StreamRoom, connected: Connected): void {
    const served = new TableStream(room, connected);
    room.members.add(served);
    room.loop.timers.set(served.#timer, room.limits.idleMs);
    if (room.loop.add(connected.stream, DUPLEX_EVENTS, served) < 0) return served.close();
    if (connected.early) served.ready(EPOLL.IN);
  }

  get idle(): boolean {
    return this.#unsent.length === 0;
  }

  ready(events: number): void {
    if (events === 0) this.#isDeferred = false;
    if (!this.#isOpen) return;
    if ((events & EPOLL.RDHUP) !== 0) this.#peerEnded = true;
    if ((events & EPOLL.ERR) !== 0) return this.close();
    if (this.#unsent.length > 0) return this.#goOn();
    if (events === 0 || (events & INPUT_EVENTS) !== 0 || this.#stream.readNeedsRoom) this.#receive();
  }

  drain(): void {
    this.#draining = true;
    if (this.#unsent.length === 0) this.#end();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#leave();
    this.#stream.close();
  }

  #end(): void {
    if (!this.#isOpen) return;
    this.#leave();
    this.#stream.end();
  }

  #leave(): void {
    this.#isOpen = false;
    this.#room.loop.timers.cancel(this.#timer);
    this.#room.members.delete(this);
  }

  /** When there may be room for what is unsent. */
  #goOn(): void {
    if (!this.#sendRest()) return;
    this.#room.loop.modify(this.#stream, DUPLEX_EVENTS);
    const rest = this.#rest;
    this.#rest = NOTHING;
    this.#work(rest);
    // what came meanwhile was told of, and is not told of again
    if (this.#isOpen && this.#unsent.length === 0) this.#receive();
  }

  #receive(): void {
    const { arena, receiveAt } = this.#room;
    const size = this.#stream.receive(arena, receiveAt, STREAM_INPUT_BYTES);
    if (size === -ERRNO.EAGAIN || size === -ERRNO.EINTR) return;
    if (size === 0) return this.#end();
    if (size < 0) return this.close();
    this.lastActiveMs = performance.now();
    const rest = this.#rest;
    const input = arena.bytes.subarray(receiveAt, receiveAt + size);
    this.#rest = NOTHING;
    this.#work(rest.length === 0 ? input : joined(rest, input), rest.length > 0);
    const mayBeMore = size === STREAM_INPUT_BYTES || this.#stream.hasMore || this.#peerEnded;
    if (mayBeMore && this.#isOpen && this.#unsent.length === 0) this.#later();
  }

  /** Others have their turn first. */
  #later(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#room.loop.defer(this);
  }

  /** Answers the whole questions in bytes and keeps what follows them. */
  #work(bytes: Uint8Array, hadRest = false): void {
    const { reader, limits, loop, outputBytes } = this.#room;
    const startedMs = performance.now();
    let at = 0;
    let end = 0;
    while (at + LENGTH_BYTES <= bytes.length && this.#unsent.length === 0) {
      const size = (bytes[at]! << 8) | bytes[at + 1]!;
      if (size < HEADER_BYTES) return this.close(); // nothing can be answered: the stream is not DNS
      if (size > STREAM_QUESTION_BYTES || !reader) return this.#handOver(bytes.slice(at), end);
      if (at + LENGTH_BYTES + size > bytes.length) break;
      const answered = this.#answer(bytes, at + LENGTH_BYTES, size, reader, end);
      if (answered === 0) return this.#handOver(bytes.slice(at), end);
      end += answered;
      at += LENGTH_BYTES + size;
      if (end > outputBytes / 2) end = this.#send(end);
    }
    this.#send(end);
    this.#room.settle((performance.now() - startedMs) / 1000);
    if (!this.#isOpen) return;
    this.#rest = at < bytes.length ? bytes.slice(at) : NOTHING;
    if (this.#unsent.length > 0) return this.#waitForRoom();
    if (this.#draining) return this.#end();
    // A question that has begun must come to its end in time, however slowly its octets drip.
    const drips = hadRest && at === 0;
    if (!drips) loop.timers.set(this.#timer, this.#rest.length > 0 ? limits.readMs : limits.idleMs);
  }

  /** Puts the framed answer at `end` of the output; returns its size, 0 = not the table's. */
  #answer(bytes: Uint8Array, at: number, size: number, reader: PackedReader, end: number): number {
    const { arena, outputAt, question, reply } = this.#room;
    for (let i = 0; i < size; i++) question[i] = bytes[at + i]!;
    const length = reader.answer(question, size, reply, this.#client);
    if (length === 0) return 0;
    const to = outputAt + end;
    arena.bytes[to] = length >> 8;
    arena.bytes[to + 1] = length;
    for (let i = 0; i < length; i++) arena.bytes[to + LENGTH_BYTES + i] = reply[i]!;
    return LENGTH_BYTES + length;
  }

  /** Sends the first `end` bytes of the output; what has no room is kept. Returns 0, the new end of the output. */
  #send(end: number): 0 {
    const { arena, outputAt } = this.#room;
    let sent = 0;
    while (sent < end) {
      const size = this.#stream.send(arena, outputAt + sent, end - sent);
      if (size > 0) sent += size;
      else if (size === -ERRNO.EAGAIN) break;
      else if (size !== -ERRNO.EINTR) {
        this.close();
        return 0;
      }
    }
    if (sent < end) this.#unsent = arena.bytes.slice(outputAt + sent, outputAt + end);
    return 0;
  }

  #waitForRoom(): void {
    const { loop, limits } = this.#room;
    this.#askForRoom();
    loop.timers.set(this.#timer, limits.writeMs);
  }

  /**
   * Asked for anew, room that is there already is told of: nothing hangs on one edge. For nothing else, as what waits to be
   * read would be told of anew, too, again and again.
   */
  #askForRoom(): void {
    this.#room.loop.modify(this.#stream, EPOLL.OUT | EPOLL.EDGE);
  }

  /** True when all that was kept is sent. */
  #sendRest(): boolean {
    const { arena, outputAt, loop, limits } = this.#room;
    const before = this.#unsent;
    arena.bytes.set(before, outputAt);
    this.#unsent = NOTHING;
    this.#send(before.length);
    if (!this.#isOpen) return false;
    if (this.#unsent.length === 0) return true;
    this.#askForRoom();
    if (this.#unsent.length < before.length) loop.timers.set(this.#timer, limits.writeMs);
    return false;
  }

  #handOver(unread: Uint8Array, end: number): void {
    const { handOver } = this.#room;
    this.#send(end);
    this.#room.settle(0);
    if (!this.#isOpen) return;
    if (this.#unsent.length > 0) {
      // goes with nothing unsent: of TLS a record may be half on its way
      this.#rest = unread;
      return this.#waitForRoom();
    }
    this.#leave();
    const { fd, ends } = this.#release();
    if (fd >= 0) handOver({ fd, ends, unread });
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
