import { AnswerCounts, countsMemory } from './answer-counts.ts';
import { type AnswerRingMemory, AnswerRingWriter } from './answer-ring.ts';
import { passesGate } from './client-gate.ts';
import {
  A_RECORD_BYTES,
  AAAA_RECORD_BYTES,
  CONTROL,
  ENDPOINT_COUNT_SLOW,
  ENDPOINT_HEAD_BYTES,
  equalFolded,
  readU32,
  SERVICE_FLAG_HIDDEN,
  SERVICE_FLAG_SLOW,
  SERVICE_HOSTS_AT,
  type TableBuffers,
} from './layout.ts';
import { writeRecordHead } from './pack-records.ts';
import { writeSoa } from './pack-soa.ts';
import { PointerAnswer, readReverseName } from './pointer-answer.ts';
import type { ReaderOptions, ReaderZone } from './reader-options.ts';
import { RawQuestion, TYPE, type AskingClient, type CookieAnswers } from './raw-question.ts';
import { ReplyWriter } from './reply-writer.ts';
import {
  ANY_PORT,
  type AskedName,
  hasHosts,
  isProtocol,
  listingsOf,
  NO_SUCH_PORT,
  portIndex,
  singleHost,
  SrvAnswer,
} from './srv-answer.ts';
import { findAddress, findEndpoint, findNamespace, findService } from './table-lookup.ts';

const RCODE_NXDOMAIN = 3;
/** Tries to read a block that is being written before the slow path is asked. */
const READ_TRIES = 3;

/** What a reader may have besides a table and its options. */
export interface ReaderExtras {
  /** Where answers are counted; default memory of its own. */
  readonly counts?: Float64Array;
  readonly cookies?: CookieAnswers | undefined;
  /** Where answers are put down that somebody watches. */
  readonly watched?: AnswerRingMemory | undefined;
  /** Answers may be as long as `out`: for TCP. */
  readonly stream?: boolean;
}

/**
 * Answers questions from the table's memory by the question's raw bytes; allocates nothing. The same question asked
 * of the slow path gets the same answer. One reader a thread.
 */
export class PackedReader {
  readonly counts: AnswerCounts;
  readonly #watched: AnswerRingWriter | undefined;
  readonly #options: ReaderOptions;
  readonly #stream: boolean;
  readonly #question: RawQuestion;
  readonly #writer = new ReplyWriter();
  readonly #srv = new SrvAnswer();
  readonly #pointers = new PointerAnswer();
  readonly #address = new Uint8Array(16);
  readonly #asked: { -readonly [K in keyof AskedName]: AskedName[K] } = {
    bytes: this.#address,
    nameEnd: 0,
    zoneAt: 0,
  };
  #buffers: TableBuffers;
  #turn = 0;
  readonly #fence = new Int32Array(new SharedArrayBuffer(4));

  constructor(buffers: TableBuffers, options: ReaderOptions, extras: ReaderExtras = {}) {
    this.#buffers = buffers;
    this.#options = options;
    this.#stream = extras.stream ?? false;
    this.#question = new RawQuestion({ nsid: options.nsid, cookies: extras.cookies });
    this.counts = new AnswerCounts(extras.counts ?? countsMemory(options.blockZones.length, false));
    this.#watched = extras.watched && new AnswerRingWriter(extras.watched);
  }

  useBuffers(buffers: TableBuffers): void {
    this.#buffers = buffers;
  }

  /** Writes the whole answer into out and returns its length; 0 = ask the slow path. */
  answer(bytes: Uint8Array, length: number, out: Uint8Array, client?: AskingClient): number {
    const question = this.#question;
    if (!question.read(bytes, length, client)) return 0;
    const zone = this.#zoneOf(bytes);
    if (!zone?.fast || !this.#passes(client)) return 0;
    for (let tries = 0; tries < READ_TRIES; tries++) {
      const { control } = this.#buffers;
      if (Atomics.load(control, CONTROL.RETIRED) !== 0) return 0;
      const before = Atomics.load(control, CONTROL.SEQUENCE);
      if ((before & 1) !== 0) continue;
      const end = this.#compose(bytes, zone, out);
      // Orders the plain reads above before the second look, also where loads may pass each other (arm64).
      Atomics.add(this.#fence, 0, 1);
      if (Atomics.load(control, CONTROL.SEQUENCE) !== before) continue;
      if (end === 0) return 0;
      const size = question.writeOpt(bytes, out, end, this.#options);
      if (size > 0) this.#tell(zone, bytes, length, out, size, client);
      return size;
    }
    return 0;
  }

  /** All answers since the last call took this long each. True when those who watch them sleep and must be woken. */
  settle(seconds: number): boolean {
    this.counts.settle(seconds);
    return this.#watched?.settle(seconds) === true;
  }

  #tell(
    zone: ReaderZone,
    bytes: Uint8Array,
    length: number,
    out: Uint8Array,
    size: number,
    client: AskingClient | undefined,
  ): void {
    const question = this.#question;
    this.counts.add(zone.blockZone, question, client?.six === true, length, out, size);
    if (this.#watched && client) this.#watched.add(question, bytes, length, out, size, client);
  }

  #passes(client: AskingClient | undefined): boolean {
    const { gate } = this.#options;
    if (gate === undefined) return true;
    if (client === undefined) return false;
    return passesGate(gate, this.#question.type, this.#address, client.writeAddress(this.#address));
  }

  /** The longest zone that holds the name. Zones come longest first. */
  #zoneOf(bytes: Uint8Array): ReaderZone | undefined {
    const { labels, starts, nameEnd } = this.#question;
    for (const zone of this.#options.zones) {
      if (zone.labels > labels) continue;
      const start = starts[labels - zone.labels]!;
      if (nameEnd - start !== zone.wire.length) continue;
      if (equalFolded(bytes, start, zone.wire, 0, zone.wire.length)) return zone;
    }
    return undefined;
  }

  /** Writes all but the OPT; returns its end, 0 = ask the slow path. */
  #compose(bytes: Uint8Array, zone: ReaderZone, out: Uint8Array): number {
    const { labels, starts } = this.#question;
    const below = labels - zone.labels;
    if (below === 0) return 0;
    if (zone.addressBytes > 0) return this.#pointer(bytes, zone, out);
    const root = starts[below - 1]!;
    if (!isLabel(bytes, root, SVC)) {
      return RESERVED.some((wanted) => isLabel(bytes, root, wanted))
        ? 0
        : this.#deny(bytes, zone, below, out);
    }
    if (below === 1) return this.#negative(bytes, zone, 0, out);
    if (below === 2) {
      const known = findNamespace(this.#buffers, bytes, starts[0]!) > 0;
      return known ? this.#negative(bytes, zone, 0, out) : this.#deny(bytes, zone, below, out);
    }
    const service = findService(this.#buffers, bytes, starts[below - 3]!, root);
    const flags = service === 0 ? SERVICE_FLAG_HIDDEN : this.#buffers.arena[service + 2]!;
    if ((flags & SERVICE_FLAG_HIDDEN) !== 0) return this.#deny(bytes, zone, below, out);
    if ((flags & SERVICE_FLAG_SLOW) !== 0) return 0;
    if (below === 3) return this.#serviceAnswer(bytes, zone, service, out);
    if (this.#options.zonal && isLabel(bytes, starts[below - 4]!, ZONE)) return 0;
    if (below === 4) return this.#belowService(bytes, zone, service, root, out);
    return below === 5 ? this.#portAnswer(bytes, zone, service, out) : this.#deny(bytes, zone, below, out);
  }

  #serviceAnswer(bytes: Uint8Array, zone: ReaderZone, service: number, out: Uint8Array): number {
    const { type } = this.#question;
    const { arena } = this.#buffers;
    if (type === TYPE.SRV) return this.#srvAnswer(bytes, zone, service, ANY_PORT, 0, out);
    const at = type === TYPE.A ? service + 8 : service + 16;
    const count = type === TYPE.A || type === TYPE.AAAA ? readU32(arena, at + 4) : 0;
    if (count === 0) return this.#negative(bytes, zone, 0, out);
    if (type === TYPE.A && count === 1) return this.#single(bytes, arena, at, 4, out);
    const recordBytes = type === TYPE.A ? A_RECORD_BYTES : AAAA_RECORD_BYTES;
    return this.#records(bytes, readU32(arena, at), count, recordBytes, out);
  }

  /** `<endpoint>.<service>...` or `_<protocol>.<service>...`. */
  #belowService(bytes: Uint8Array, zone: ReaderZone, service: number, root: number, out: Uint8Array): number {
    const { starts } = this.#question;
    const { arena } = this.#buffers;
    const endpoint = findEndpoint(this.#buffers, bytes, starts[0]!, root, service);
    if (endpoint > 0) return this.#endpointAnswer(bytes, zone, service, endpoint, out);
    if (!hasHosts(arena, service)) return 0;
    const exists = !this.#options.strict && isProtocol(arena, service, bytes, starts[0]!);
    return exists ? this.#negative(bytes, zone, 0, out) : this.#deny(bytes, zone, 4, out);
  }

  #endpointAnswer(
    bytes: Uint8Array,
    zone: ReaderZone,
    service: number,
    endpoint: number,
    out: Uint8Array,
  ): number {
    const { type } = this.#question;
    const { arena } = this.#buffers;
    const v4 = arena[endpoint + 2]!;
    const v6 = arena[endpoint + 3]!;
    if (v4 === ENDPOINT_COUNT_SLOW) return 0;
    if (type === TYPE.SRV) {
      // Endpoints of a ClusterIP service are no hosts of it: the slow path knows their ports.
      if (!hasHosts(arena, service)) return 0;
      const known = listingsOf(arena, readU32(arena, service + SERVICE_HOSTS_AT), ANY_PORT, endpoint) > 0;
      return known ? this.#srvAnswer(bytes, zone, service, ANY_PORT, endpoint, out) : 0;
    }
    const size = type === TYPE.A ? 4 : 16;
    const count = type === TYPE.A ? v4 : type === TYPE.AAAA ? v6 : 0;
    if (count === 0) return this.#negative(bytes, zone, 0, out);
    if (count > 1) return 0;
    const first = endpoint + ENDPOINT_HEAD_BYTES;
    return this.#single(bytes, arena, type === TYPE.A ? first : first + v4 * 4, size, out);
  }

  /** `_<port>._<protocol>.<service>...`. */
  #portAnswer(bytes: Uint8Array, zone: ReaderZone, service: number, out: Uint8Array): number {
    const { type, starts } = this.#question;
    const { arena } = this.#buffers;
    if (!hasHosts(arena, service)) return 0;
    const port = portIndex(arena, service, bytes, starts[0]!, starts[1]!);
    if (port === NO_SUCH_PORT) return this.#deny(bytes, zone, 5, out);
    if (type === TYPE.SRV) return this.#srvAnswer(bytes, zone, service, port, 0, out);
    if (type !== TYPE.A && type !== TYPE.AAAA) return this.#negative(bytes, zone, 0, out);
    const host = singleHost(arena, service, port, type === TYPE.AAAA);
    if (host < 0) return 0;
    if (host === 0) return this.#negative(bytes, zone, 0, out);
    return this.#single(bytes, arena, host + 8, type === TYPE.A ? 4 : 16, out);
  }

  #srvAnswer(
    bytes: Uint8Array,
    zone: ReaderZone,
    service: number,
    port: number,
    ref: number,
    out: Uint8Array,
  ): number {
    const question = this.#question;
    const { arena } = this.#buffers;
    if (!hasHosts(arena, service) || !this.#begin(bytes, out)) return 0;
    const srv = this.#srv;
    this.#asked.bytes = bytes;
    this.#asked.nameEnd = question.nameEnd;
    this.#asked.zoneAt = question.starts[question.labels - zone.labels]!;
    srv.write(arena, service, port, ref, this.#asked, this.#options.ttlSeconds, this.#writer);
    if (srv.slow) return 0;
    if (srv.answers === 0 && !srv.cut) return this.#negative(bytes, zone, 0, out);
    out[11] = srv.additionals;
    return this.#close(out, srv.answers, srv.cut || (srv.cutGlue && this.#options.strict));
  }

  #pointer(bytes: Uint8Array, zone: ReaderZone, out: Uint8Array): number {
    const { type, starts, labels } = this.#question;
    const { primaryZone, ttlSeconds } = this.#options;
    if (type !== TYPE.PTR || !primaryZone) return 0;
    if (!readReverseName(bytes, starts, labels, zone.addressBytes, this.#address)) return 0;
    const block = findAddress(this.#buffers, this.#address, zone.addressBytes);
    if (block === 0) return this.#deny(bytes, zone, 0, out);
    if (!this.#begin(bytes, out)) return 0;
    const pointers = this.#pointers;
    if (!pointers.write(this.#buffers, block, primaryZone, ttlSeconds, this.#writer)) return 0;
    return this.#close(out, pointers.answers, pointers.cut);
  }

  /** Head and question, and a writer behind them. */
  #begin(bytes: Uint8Array, out: Uint8Array): boolean {
    const start = this.#question.writeHead(bytes, out, 0);
    const room = out.length - this.#question.optBytes;
    const limit = this.#limit(out);
    this.#writer.begin(out, start, Math.min(limit, room));
    // A client that takes more than our buffer holds is the slow path's.
    return start > 0 && limit <= room;
  }

  #close(out: Uint8Array, answers: number, truncated: boolean): number {
    out[6] = answers >> 8;
    out[7] = answers & 0xff;
    if (truncated) out[2]! |= 2;
    return this.#writer.at;
  }

  #limit(out: Uint8Array): number {
    return this.#stream ? out.length - this.#question.optBytes : this.#question.replyLimit(this.#options);
  }

  /** One address, the common case. */
  #single(bytes: Uint8Array, arena: Uint8Array, at: number, size: number, out: Uint8Array): number {
    const start = this.#question.writeHead(bytes, out, 0);
    if (start === 0 || start + 12 + size > this.#limit(out)) return 0;
    let end = writeRecordHead(out, start, this.#question.type, this.#options.ttlSeconds, size);
    for (let i = 0; i < size; i++) out[end++] = arena[at + i]!;
    out[7] = 1;
    return end;
  }

  /** Packed records from a rotating start; as many as fit, TC if not all. */
  #records(bytes: Uint8Array, block: number, count: number, recordBytes: number, out: Uint8Array): number {
    const start = this.#question.writeHead(bytes, out, 0);
    if (start === 0) return 0;
    const { arena } = this.#buffers;
    const fitting = Math.min(count, Math.floor((this.#limit(out) - start) / recordBytes));
    // A client that takes more than our buffer holds.
    if (start + fitting * recordBytes + this.#question.optBytes > out.length) return 0;
    let at = this.#options.rotate ? (this.#turn = (this.#turn + 1) >>> 0) % count : 0;
    let end = start;
    for (let i = 0; i < fitting; i++) {
      const from = block + at * recordBytes;
      for (let j = 0; j < recordBytes; j++) out[end++] = arena[from + j]!;
      if (++at === count) at = 0;
    }
    out[6] = fitting >> 8;
    out[7] = fitting & 0xff;
    if (fitting < count) out[2]! |= 2;
    return end;
  }

  /** NXDOMAIN; the slow path where names may fall through, are not known yet or may come from a search path. */
  #deny(bytes: Uint8Array, zone: ReaderZone, below: number, out: Uint8Array): number {
    if (zone.fallsThrough || this.#buffers.control[CONTROL.SYNCED] === 0) return 0;
    if (below > 3 && this.#options.leavesDeepNames && isLabel(bytes, this.#question.starts[below - 1]!, SVC))
      return 0;
    return this.#negative(bytes, zone, RCODE_NXDOMAIN, out);
  }

  /** NODATA or NXDOMAIN with the zone's SOA. */
  #negative(bytes: Uint8Array, zone: ReaderZone, rcode: number, out: Uint8Array): number {
    const { labels, starts } = this.#question;
    const start = this.#question.writeHead(bytes, out, rcode);
    if (start === 0 || start + 96 > this.#limit(out)) return 0;
    const zoneAt = starts[labels - zone.labels]!;
    const end = writeSoa(out, start, zoneAt, this.#buffers.control[CONTROL.SERIAL]!, this.#options);
    out[9] = 1;
    return end;
  }
}

const label = (text: string): Uint8Array => Uint8Array.of(text.length, ...Buffer.from(text));
const SVC = label('svc');
const ZONE = label('_zone');
/** Names that mean something else, and one that the SOA would share with the question. */
const RESERVED = ['pod', 'dns', 'dns-version', 'hostmaster'].map(label);

function isLabel(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  return bytes[at] === wanted.length - 1 && equalFolded(bytes, at, wanted, 0, wanted.length);
}
