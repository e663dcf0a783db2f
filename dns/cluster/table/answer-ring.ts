/**
 * Answers on their way from a reader of the table to those who watch: bounded, one writer, one reader, no locks. What finds no
 * room is dropped and counted, for no answer waits. Nothing is allocated on the writer's side.
 */
import type { AnswerSummary, WatchPolicy } from '../../answer-summary.ts';
import type { Transport } from '../../query.ts';
import { decodeFlags, decodeQuestion } from '../../wire/decode.ts';
import { rcodeName } from '../../wire/numbers.ts';
import { WireReader } from '../../wire/wire-reader.ts';
import { formatAddress } from '../../../src/net/ip.ts';
import { HEADER_BYTES, type AskingClient, type RawQuestion } from './raw-question.ts';

/** Policies of one ring: a bit each, and a word of drops. More watch through the chain. */
export const WATCHERS_MAX = 8;

const WORD = { HEAD: 0, TAIL: 1, AWAKE: 2, DROPPED: 3, WORDS: 3 + WATCHERS_MAX } as const;
/** The words of a slot; header and question of the request stand behind them. */
const SLOT = {
  WATCHERS: 0,
  NANOSECONDS: 1,
  REQUEST_BYTES: 2,
  REPLY_BYTES: 3,
  /** Bytes 2 and 3 of the reply. */
  FLAGS: 4,
  NO_DATA: 5,
  /** -1 = no OPT, else its UDP size with OPT_DO. */
  OPT: 6,
  PORT: 7,
  ADDRESS_BYTES: 8,
  ADDRESS: 9,
  QUESTION_BYTES: 13,
  WORDS: 14,
} as const;
const OPT_DO = 0x1_0000;
/** With a name of 255 octets (RFC 1035 2.3.4), type and class: RawQuestion reads no longer ones. In whole words. */
const QUESTION_BYTES_MAX = HEADER_BYTES + 256 + 4;
const SLOT_WORDS = SLOT.WORDS + QUESTION_BYTES_MAX / 4;
const NANOSECONDS_MAX = 0x7fff_ffff;
const RCODE_NXDOMAIN = 3;

export interface AnswerRingMemory {
  readonly words: Int32Array;
  readonly slots: Int32Array;
  readonly policies: readonly WatchPolicy[];
}

/** Memory for `slots` (a power of two) answers. */
export function answerRingMemory(slots: number, policies: readonly WatchPolicy[]): AnswerRingMemory {
  return {
    words: new Int32Array(new SharedArrayBuffer(WORD.WORDS * 4)),
    slots: new Int32Array(new SharedArrayBuffer(slots * SLOT_WORDS * 4)),
    policies,
  };
}

/** The side of the table's reader. */
export class AnswerRingWriter {
  readonly #words: Int32Array;
  readonly #slots: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #count: number;
  readonly #policies: readonly WatchPolicy[];
  readonly #address = new Uint8Array(16);
  /** Put down, and not to be read before their time is known. */
  #open = 0;
  #dice = 1;

  constructor({ words, slots, policies }: AnswerRingMemory) {
    this.#words = words;
    this.#slots = slots;
    this.#bytes = new Uint8Array(slots.buffer);
    this.#count = slots.length / SLOT_WORDS;
    this.#policies = policies;
  }

  /** Puts an answer down if somebody wants it. */
  add(
    asked: RawQuestion,
    request: Uint8Array,
    requestBytes: number,
    reply: Uint8Array,
    replyBytes: number,
    client: AskingClient,
  ): void {
    const rcode = reply[3]! & 15;
    const isEmpty = (reply[6]! | reply[7]!) === 0;
    const noData = rcode === 0 && isEmpty && (reply[8]! | reply[9]!) !== 0;
    const watchers = this.#watchers(asked, request, noData || rcode === RCODE_NXDOMAIN);
    if (watchers === 0) return;
    const at = this.#slot(watchers);
    if (at < 0) return;
    const slots = this.#slots;
    slots[at + SLOT.WATCHERS] = watchers;
    slots[at + SLOT.REQUEST_BYTES] = requestBytes;
    slots[at + SLOT.REPLY_BYTES] = replyBytes;
    slots[at + SLOT.FLAGS] = (reply[2]! << 8) | reply[3]!;
    slots[at + SLOT.NO_DATA] = noData ? 1 : 0;
    slots[at + SLOT.OPT] = asked.hasOpt ? asked.optSize | (asked.dnssecOk ? OPT_DO : 0) : -1;
    slots[at + SLOT.PORT] = client.port;
    slots[at + SLOT.ADDRESS_BYTES] = client.writeAddress(this.#address);
    this.#copy(this.#address, 16, (at + SLOT.ADDRESS) << 2);
    slots[at + SLOT.QUESTION_BYTES] = asked.questionEnd;
    this.#copy(request, asked.questionEnd, (at + SLOT.WORDS) << 2);
    this.#open++;
  }

  /** All since the last call took this long each. True when the reader sleeps and must be woken. */
  settle(seconds: number): boolean {
    if (this.#open === 0) return false;
    const nanoseconds = Math.min(Math.round(seconds * 1e9), NANOSECONDS_MAX);
    const tail = Atomics.load(this.#words, WORD.TAIL);
    for (let i = 0; i < this.#open; i++) this.#slots[this.#at(tail + i) + SLOT.NANOSECONDS] = nanoseconds;
    Atomics.store(this.#words, WORD.TAIL, tail + this.#open);
    this.#open = 0;
    return Atomics.exchange(this.#words, WORD.AWAKE, 1) === 0;
  }

  #at(index: number): number {
    return (index & (this.#count - 1)) * SLOT_WORDS;
  }

  /** Where the next one goes; -1 = there is no room. */
  #slot(watchers: number): number {
    const next = Atomics.load(this.#words, WORD.TAIL) + this.#open;
    if (((next - Atomics.load(this.#words, WORD.HEAD)) | 0) < this.#count) return this.#at(next);
    for (let i = 0; i < WATCHERS_MAX; i++)
      if ((watchers & (1 << i)) !== 0) Atomics.add(this.#words, WORD.DROPPED + i, 1);
    return -1;
  }

  #watchers(asked: RawQuestion, request: Uint8Array, isDenial: boolean): number {
    let watchers = 0;
    for (let i = 0; i < this.#policies.length; i++) {
      const { success, denial, names, oneIn } = this.#policies[i]!;
      if (!(isDenial ? denial : success)) continue;
      if (isWithinAny(asked, request, names) && this.#draws(oneIn)) watchers |= 1 << i;
    }
    return watchers;
  }

  /** By chance, not by count: who asks for A and AAAA in turns is heard of for both. */
  #draws(oneIn: number): boolean {
    if (oneIn === 1) return true;
    this.#dice = (Math.imul(this.#dice, 1_664_525) + 1_013_904_223) | 0;
    return (this.#dice >>> 1) * oneIn < 0x8000_0000;
  }

  #copy(from: Uint8Array, sizeBytes: number, to: number): void {
    for (let i = 0; i < sizeBytes; i++) this.#bytes[to + i] = from[i]!;
  }
}

function isWithinAny(asked: RawQuestion, request: Uint8Array, names: readonly Uint8Array[]): boolean {
  for (let i = 0; i < names.length; i++) if (asked.isWithin(request, names[i]!)) return true;
  return false;
}

/** The side of those who watch. */
export class AnswerRingReader {
  readonly #words: Int32Array;
  readonly #slots: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #count: number;
  readonly #dropped = new Int32Array(WATCHERS_MAX);

  constructor({ words, slots }: AnswerRingMemory) {
    this.#words = words;
    this.#slots = slots;
    this.#bytes = new Uint8Array(slots.buffer);
    this.#count = slots.length / SLOT_WORDS;
  }

  /** Takes up to `most`; how many there were. */
  drain(most: number, transport: Transport, take: (answer: AnswerSummary, watchers: number) => void): number {
    const head = Atomics.load(this.#words, WORD.HEAD);
    const there = (Atomics.load(this.#words, WORD.TAIL) - head) | 0;
    const count = Math.min(there, most);
    for (let i = 0; i < count; i++) {
      const at = ((head + i) & (this.#count - 1)) * SLOT_WORDS;
      const answer = this.#read(at, transport);
      const watchers = this.#slots[at + SLOT.WATCHERS]!;
      Atomics.store(this.#words, WORD.HEAD, head + i + 1);
      take(answer, watchers);
    }
    return count;
  }

  /** To be woken by the next one. False when that came meanwhile: nobody will wake. */
  sleep(): boolean {
    Atomics.store(this.#words, WORD.AWAKE, 0);
    return Atomics.load(this.#words, WORD.TAIL) === Atomics.load(this.#words, WORD.HEAD);
  }

  /** How many watcher number `i` was not told of since it was last asked. */
  takeDropped(i: number): number {
    const now = Atomics.load(this.#words, WORD.DROPPED + i);
    const since = (now - this.#dropped[i]!) | 0;
    this.#dropped[i] = now;
    return since;
  }

  #read(at: number, transport: Transport): AnswerSummary {
    const slots = this.#slots;
    const start = (at + SLOT.WORDS) << 2;
    const request = this.#bytes.slice(start, start + slots[at + SLOT.QUESTION_BYTES]!);
    const address = (at + SLOT.ADDRESS) << 2;
    const flags = slots[at + SLOT.FLAGS]!;
    const opt = slots[at + SLOT.OPT]!;
    const replied = decodeFlags(flags >> 8, flags & 0xff);
    return {
      client: {
        address: formatAddress(this.#bytes.slice(address, address + slots[at + SLOT.ADDRESS_BYTES]!)),
        port: slots[at + SLOT.PORT]!,
      },
      transport,
      id: (request[0]! << 8) | request[1]!,
      opcode: replied.opcode,
      question: decodeQuestion(new WireReader(request, HEADER_BYTES)),
      edns: opt < 0 ? undefined : { udpSize: opt & 0xffff, dnssecOk: (opt & OPT_DO) !== 0 },
      requestBytes: slots[at + SLOT.REQUEST_BYTES]!,
      reply: {
        ...replied,
        rcode: rcodeName(flags & 15),
        noData: slots[at + SLOT.NO_DATA] === 1,
      },
      replyBytes: slots[at + SLOT.REPLY_BYTES]!,
      durationMs: slots[at + SLOT.NANOSECONDS]! / 1e6,
    };
  }
}
