import { Arena } from '../../../src/net/native/arena.ts';
import type { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import type { Scratch } from '../../../src/net/native/outbox.ts';
import type { SocketAddress } from '../../../src/net/native/socket-address.ts';
import { type Handshake, Handshakes } from '../../../src/net/native/handshakes.ts';
import type { BridgeRoom } from '../../../src/net/native/tls-bridge.ts';
import type { PackedReader } from '../../cluster/table/packed-reader.ts';
import type { AskingClient } from '../../cluster/table/raw-question.ts';
import { STREAM_INPUT_BYTES, STREAM_QUESTION_BYTES } from '../../limits.ts';
import { MAX_MESSAGE_BYTES } from '../../wire/encode.ts';
import type { HandedOver, StreamLimits } from './stream-memory.ts';

export const LENGTH_BYTES = 2;
const OUTPUT_BYTES = 2 * (LENGTH_BYTES + MAX_MESSAGE_BYTES);
/** Connections looked at for the one that has been idle for longest. */
const ROOM_LOOKS = 64;

/** Who is at the other end: for the table, and for whoever takes the connection over. */
export interface StreamClient extends AskingClient {
  readonly peer: SocketAddress;
}

/** A connection as the room sees it, in whatever state. */
export interface RoomMember {
  /** Nothing is under way: it may have to make room. */
  readonly idle: boolean;
  readonly lastActiveMs: number;
  /** Ends it once the client has taken its answers. */
  drain(): void;
  close(): void;
}

/** One whose handshake is not done. */
export interface GreetingMember extends RoomMember, Handshake {
  /** Ends it, and counts that it came to nothing. */
  refuse(): void;
}

/** What the connections of one thread have in common: memory that is lent for an event, and who there is. */
export class StreamRoom implements BridgeRoom {
  readonly loop: EpollLoop;
  readonly limits: StreamLimits;
  readonly arena = new Arena(STREAM_INPUT_BYTES + OUTPUT_BYTES + 64);
  readonly receiveBytes = STREAM_INPUT_BYTES;
  readonly receiveAt = this.arena.allocate(STREAM_INPUT_BYTES);
  readonly outputBytes = OUTPUT_BYTES;
  readonly outputAt = this.arena.allocate(OUTPUT_BYTES);
  readonly scratch: Scratch = { arena: this.arena, at: this.outputAt, sizeBytes: OUTPUT_BYTES };
  readonly question = new Uint8Array(STREAM_QUESTION_BYTES);
  readonly reply = new Uint8Array(MAX_MESSAGE_BYTES);
  readonly members = new Set<RoomMember>();
  /** Those of them whose handshake is under way. */
  readonly greetings = new Handshakes<GreetingMember>();
  readonly handOver: (connection: HandedOver) => void;
  readonly broken: (error: unknown) => void;
  /** A handshake came to nothing. */
  readonly refused: () => void;
  readonly #watched: () => void;
  reader: PackedReader | undefined;
  draining = false;

  constructor(
    deps: {
      readonly loop: EpollLoop;
      readonly handOver: (connection: HandedOver) => void;
      readonly broken: (error: unknown) => void;
      readonly watched: () => void;
      readonly refused: () => void;
    },
    limits: StreamLimits,
  ) {
    this.loop = deps.loop;
    this.handOver = deps.handOver;
    this.broken = deps.broken;
    this.refused = deps.refused;
    this.#watched = deps.watched;
    this.limits = limits;
  }

  get farewellMs(): number {
    return this.limits.writeMs;
  }

  /** What was answered since the last time took so long each. */
  settle(seconds: number): void {
    if (this.reader?.settle(seconds)) this.#watched();
  }

  /** Before a further member: cuts off the one that has been idle for longest; insertion order approximates it well enough. */
  makeRoom(): void {
    if (this.members.size < this.limits.connectionsMax) return;
    let oldest: RoomMember | undefined;
    let looked = 0;
    for (const member of this.members) {
      if (member.idle && (!oldest || member.lastActiveMs < oldest.lastActiveMs)) oldest = member;
      if (++looked >= ROOM_LOOKS && oldest) break;
    }
    oldest?.close();
  }
}
