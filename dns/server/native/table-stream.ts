import { EPOLL } from '../../../src/net/native/abi.ts';
import type { Arena } from '../../../src/net/native/arena.ts';
import type { EpollLoop, ReadyHandler } from '../../../src/net/native/epoll-loop.ts';
import { ERRNO } from '../../../src/net/native/errno.ts';
import type { StreamSocket } from '../../../src/net/native/stream-socket.ts';
import { WheelTimer } from '../../../src/net/native/timer-wheel.ts';
import type { PackedReader } from '../../cluster/table/packed-reader.ts';
import type { AskingClient } from '../../cluster/table/raw-question.ts';
import { HEADER_BYTES } from '../../wire/decode.ts';
import { MAX_MESSAGE_BYTES } from '../../wire/encode.ts';
import type { HandedOver, StreamLimits } from './stream-memory.ts';

const LENGTH_BYTES = 2;
/** Taken from the kernel by one call. */
const INPUT_BYTES = 16 * 1024;
/** Longer questions are the slow path's. */
const QUESTION_BYTES = 4096;
const OUTPUT_BYTES = 2 * (LENGTH_BYTES + MAX_MESSAGE_BYTES);
const NOTHING = new Uint8Array(0);

/** What the connections of one thread have in common. */
export class StreamRoom {
  readonly inputAt: number;
  readonly outputAt: number;
  readonly question = new Uint8Array(QUESTION_BYTES);
  readonly reply = new Uint8Array(MAX_MESSAGE_BYTES);
  readonly open = new Set<TableStream>();
  readonly loop: EpollLoop;
  readonly arena: Arena;
  readonly limits: StreamLimits;
  readonly handOver: (connection: HandedOver) => void;
  reader: PackedReader | undefined;
  draining = false;

  constructor(
    deps: { readonly loop: EpollLoop; readonly arena: Arena },
    limits: StreamLimits,
    handOver: (connection: HandedOver) => void,
  ) {
    this.loop = deps.loop;
    this.arena = deps.arena;
    this.limits = limits;
    this.handOver = handOver;
    this.inputAt = deps.arena.allocate(INPUT_BYTES);
    this.outputAt = deps.arena.allocate(OUTPUT_BYTES);
  }

  /** What an arena for a room must hold. */
  static get bytes(): number {
    return INPUT_BYTES + OUTPUT_BYTES + 64;
  }
}

/**
 * A connection whose questions the table answers (RFC 7766: pipelined, answers in order). With the first question that
 * is not the table's it is handed over as it stands.
 */
export class TableStream implements ReadyHandler {
  readonly #room: StreamRoom;
  readonly #stream: StreamSocket;
  readonly #client: AskingClient;
  readonly #timer: WheelTimer;
  /** Read, and no whole question yet or not to be answered before the client takes its answers. */
  #rest: Uint8Array = NOTHING;
  #unsent: Uint8Array = NOTHING;
  #ended = false;
  lastActiveMs = performance.now();

  private constructor(room: StreamRoom, stream: StreamSocket, client: AskingClient) {
    this.#room = room;
    this.#stream = stream;
    this.#client = client;
    this.#timer = new WheelTimer(() => this.close());
  }

  /** Serves a connection that was accepted; the room holds it until it ends. */
  static serve(room: StreamRoom, stream: StreamSocket, client: AskingClient): void {
    const served = new TableStream(room, stream, client);
    room.open.add(served);
    room.loop.timers.set(served.#timer, room.limits.idleMs);
    if (room.loop.add(stream, EPOLL.IN, served) < 0) served.close();
  }

  get idle(): boolean {
    return this.#unsent.length === 0;
  }

  ready(events: number): void {
    if ((events & EPOLL.ERR) !== 0) return this.close();
    if (this.#unsent.length === 0) return this.#receive();
    if (!this.#sendRest()) return;
    const rest = this.#rest;
    this.#rest = NOTHING;
    this.#work(rest);
    if (this.#stream.fd >= 0 && this.#unsent.length === 0) this.#room.loop.modify(this.#stream, EPOLL.IN);
  }

  /** Ends it once the client has taken its answers. */
  drain(): void {
    this.#ended = true;
    if (this.#unsent.length === 0) this.close();
  }

  close(): void {
    this.#leave();
    this.#stream.close();
  }

  #leave(): void {
    this.#room.loop.timers.cancel(this.#timer);
    this.#room.open.delete(this);
  }

  #receive(): void {
    const { arena, inputAt } = this.#room;
    const size = this.#stream.receive(arena, inputAt, INPUT_BYTES);
    if (size === -ERRNO.EAGAIN || size === -ERRNO.EINTR) return;
    if (size <= 0) return this.close();
    this.lastActiveMs = performance.now();
    const rest = this.#rest;
    const input = arena.bytes.subarray(inputAt, inputAt + size);
    this.#rest = NOTHING;
    this.#work(rest.length === 0 ? input : joined(rest, input), rest.length > 0);
  }

  /** Answers the whole questions in bytes and keeps what follows them. */
  #work(bytes: Uint8Array, hadRest = false): void {
    const { reader, limits, loop } = this.#room;
    const startedMs = performance.now();
    let at = 0;
    let end = 0;
    while (at + LENGTH_BYTES <= bytes.length && this.#unsent.length === 0) {
      const size = (bytes[at]! << 8) | bytes[at + 1]!;
      if (size < HEADER_BYTES) return this.close(); // nothing can be answered: the stream is not DNS
      if (size > QUESTION_BYTES || !reader) return this.#handOver(bytes.slice(at), end);
      if (at + LENGTH_BYTES + size > bytes.length) break;
      const answered = this.#answer(bytes, at + LENGTH_BYTES, size, reader, end);
      if (answered === 0) return this.#handOver(bytes.slice(at), end);
      end += answered;
      at += LENGTH_BYTES + size;
      if (end > OUTPUT_BYTES / 2) end = this.#send(end);
    }
    this.#send(end);
    reader?.counts.settle((performance.now() - startedMs) / 1000);
    if (this.#stream.fd < 0) return;
    this.#rest = at < bytes.length ? bytes.slice(at) : NOTHING;
    if (this.#unsent.length > 0) return this.#waitForRoom();
    if (this.#ended) return this.close();
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
    loop.modify(this.#stream, EPOLL.OUT);
    loop.timers.set(this.#timer, limits.writeMs);
  }

  /** True when all that was kept is sent. */
  #sendRest(): boolean {
    const { arena, outputAt, loop, limits } = this.#room;
    const before = this.#unsent;
    arena.bytes.set(before, outputAt);
    this.#unsent = NOTHING;
    this.#send(before.length);
    if (this.#stream.fd < 0) return false;
    if (this.#unsent.length === 0) return true;
    if (this.#unsent.length < before.length) loop.timers.set(this.#timer, limits.writeMs);
    return false;
  }

  #handOver(unread: Uint8Array, end: number): void {
    const { reader, handOver } = this.#room;
    this.#send(end);
    reader?.counts.settle(0);
    if (this.#stream.fd < 0) return;
    this.#leave();
    handOver({ fd: this.#stream.release(), unread, unsent: this.#unsent });
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
