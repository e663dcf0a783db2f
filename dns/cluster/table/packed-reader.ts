import { labelAt } from './endpoint-blocks.ts';
import {
  A_RECORD_BYTES,
  AAAA_RECORD_BYTES,
  CONTROL,
  ENDPOINT_COUNT_SLOW,
  ENDPOINT_HEAD_BYTES,
  equalFolded,
  hashBytes,
  KIND,
  readU32,
  SERVICE_FLAG_HIDDEN,
  SERVICE_FLAG_SLOW,
  SERVICE_HEAD_BYTES,
  type TableBuffers,
} from './layout.ts';
import { writeRecordHead } from './pack-records.ts';
import { writeSoa } from './pack-soa.ts';
import type { ReaderOptions, ReaderZone } from './reader-options.ts';
import { RawQuestion, TYPE } from './raw-question.ts';

const RCODE_NXDOMAIN = 3;
/** Tries to read a block that is being written before the slow path is asked. */
const READ_TRIES = 3;
const OPT_BYTES = 11;

/** What the fast path has answered, by name of the metric it feeds. Plain numbers: written per packet. */
export interface FastCounts {
  positive: number;
  nodata: number;
  nxdomain: number;
  a: number;
  aaaa: number;
  other: number;
  requestBytes: number;
  replyBytes: number;
}

/**
 * Answers questions from the table's memory by the question's raw bytes; allocates nothing. The same question asked
 * of the slow path gets the same answer. One reader a thread.
 */
export class PackedReader {
  readonly counts: FastCounts = {
    positive: 0,
    nodata: 0,
    nxdomain: 0,
    a: 0,
    aaaa: 0,
    other: 0,
    requestBytes: 0,
    replyBytes: 0,
  };
  readonly #options: ReaderOptions;
  readonly #question = new RawQuestion();
  #buffers: TableBuffers;
  #turn = 0;
  readonly #fence = new Int32Array(new SharedArrayBuffer(4));

  constructor(buffers: TableBuffers, options: ReaderOptions) {
    this.#buffers = buffers;
    this.#options = options;
  }

  useBuffers(buffers: TableBuffers): void {
    this.#buffers = buffers;
  }

  /** Writes the whole answer into out and returns its length; 0 = ask the slow path. */
  answer(bytes: Uint8Array, length: number, out: Uint8Array): number {
    const question = this.#question;
    if (!question.read(bytes, length)) return 0;
    const zone = this.#zoneOf(bytes);
    if (!zone?.fast) return 0;
    for (let tries = 0; tries < READ_TRIES; tries++) {
      const { control } = this.#buffers;
      if (Atomics.load(control, CONTROL.RETIRED) !== 0) return 0;
      const before = Atomics.load(control, CONTROL.SEQUENCE);
      if ((before & 1) !== 0) continue;
      const size = this.#compose(bytes, zone, out);
      // Orders the plain reads above before the second look, also where loads may pass each other (arm64).
      Atomics.add(this.#fence, 0, 1);
      if (Atomics.load(control, CONTROL.SEQUENCE) === before) return this.#count(size, length, out);
    }
    return 0;
  }

  #count(size: number, requestBytes: number, out: Uint8Array): number {
    if (size === 0) return 0;
    const { counts } = this;
    const { type } = this.#question;
    if (type === TYPE.A) counts.a++;
    else if (type === TYPE.AAAA) counts.aaaa++;
    else counts.other++;
    if ((out[3]! & 15) === RCODE_NXDOMAIN) counts.nxdomain++;
    else if (out[7] === 0 && out[6] === 0) counts.nodata++;
    else counts.positive++;
    counts.requestBytes += requestBytes;
    counts.replyBytes += size;
    return size;
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

  #compose(bytes: Uint8Array, zone: ReaderZone, out: Uint8Array): number {
    const { labels, starts } = this.#question;
    const below = labels - zone.labels;
    if (below === 0) return 0;
    const root = starts[below - 1]!;
    if (!isLabel(bytes, root, SVC)) {
      return RESERVED.some((wanted) => isLabel(bytes, root, wanted))
        ? 0
        : this.#negative(bytes, zone, RCODE_NXDOMAIN, out);
    }
    if (below < 3) return 0;
    const service = this.#findService(bytes, starts[below - 3]!, root);
    const flags = service === 0 ? SERVICE_FLAG_HIDDEN : this.#buffers.arena[service + 2]!;
    if ((flags & SERVICE_FLAG_HIDDEN) !== 0) {
      if (below > 3 && this.#options.leavesDeepNames) return 0;
      return this.#negative(bytes, zone, RCODE_NXDOMAIN, out);
    }
    if ((flags & SERVICE_FLAG_SLOW) !== 0) return 0;
    if (below === 3) return this.#serviceAnswer(bytes, zone, service, out);
    if (below > 4) return 0;
    const endpoint = this.#findEndpoint(bytes, starts[0]!, starts[1]!, root, service);
    return endpoint === 0 ? 0 : this.#endpointAnswer(bytes, zone, endpoint, out);
  }

  #findService(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    const hash = hashBytes(KIND.SERVICE, bytes, start, end);
    const { index, arena } = this.#buffers;
    const mask = index.length / 2 - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const offset = index[slot * 2 + 1]!;
      if (offset === 0) return 0;
      if (offset < 0 || index[slot * 2] !== hash || arena[offset] !== KIND.SERVICE) continue;
      if (arena[offset + 1] !== length) continue;
      if (equalFolded(bytes, start, arena, offset + SERVICE_HEAD_BYTES, length)) return offset;
    }
  }

  #findEndpoint(bytes: Uint8Array, start: number, next: number, end: number, service: number): number {
    const length = next - start - 1;
    const hash = hashBytes(KIND.ENDPOINT, bytes, start, end);
    const { index, arena } = this.#buffers;
    const id = readU32(arena, service + 4);
    const mask = index.length / 2 - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const offset = index[slot * 2 + 1]!;
      if (offset === 0) return 0;
      if (offset < 0 || index[slot * 2] !== hash || arena[offset] !== KIND.ENDPOINT) continue;
      if (arena[offset + 1] !== length || readU32(arena, offset + 4) !== id) continue;
      if (equalFolded(bytes, start + 1, arena, labelAt(arena, offset), length)) return offset;
    }
  }

  #serviceAnswer(bytes: Uint8Array, zone: ReaderZone, service: number, out: Uint8Array): number {
    const { type } = this.#question;
    const { arena } = this.#buffers;
    if (type === TYPE.SRV) return 0;
    const at = type === TYPE.A ? service + 8 : service + 16;
    const count = type === TYPE.A || type === TYPE.AAAA ? readU32(arena, at + 4) : 0;
    if (count === 0) return this.#negative(bytes, zone, 0, out);
    if (type === TYPE.A && count === 1) return this.#single(bytes, arena, at, 4, out);
    const recordBytes = type === TYPE.A ? A_RECORD_BYTES : AAAA_RECORD_BYTES;
    return this.#records(bytes, readU32(arena, at), count, recordBytes, out);
  }

  #endpointAnswer(bytes: Uint8Array, zone: ReaderZone, endpoint: number, out: Uint8Array): number {
    const { type } = this.#question;
    const { arena } = this.#buffers;
    const v4 = arena[endpoint + 2]!;
    const v6 = arena[endpoint + 3]!;
    if (type === TYPE.SRV || v4 === ENDPOINT_COUNT_SLOW) return 0;
    const size = type === TYPE.A ? 4 : 16;
    const count = type === TYPE.A ? v4 : type === TYPE.AAAA ? v6 : 0;
    if (count === 0) return this.#negative(bytes, zone, 0, out);
    if (count > 1) return 0;
    const first = endpoint + ENDPOINT_HEAD_BYTES;
    return this.#single(bytes, arena, type === TYPE.A ? first : first + v4 * 4, size, out);
  }

  /** One address, the common case. */
  #single(bytes: Uint8Array, arena: Uint8Array, at: number, size: number, out: Uint8Array): number {
    const start = this.#question.writeHead(bytes, out, 0);
    if (start === 0 || start + 12 + size + OPT_BYTES > out.length) return 0;
    let end = writeRecordHead(out, start, this.#question.type, this.#options.ttlSeconds, size);
    for (let i = 0; i < size; i++) out[end++] = arena[at + i]!;
    out[7] = 1;
    return this.#question.writeOpt(out, end, this.#options);
  }

  /** Packed records from a rotating start; as many as fit, TC if not all. */
  #records(bytes: Uint8Array, block: number, count: number, recordBytes: number, out: Uint8Array): number {
    const start = this.#question.writeHead(bytes, out, 0);
    if (start === 0) return 0;
    const { arena } = this.#buffers;
    const room = this.#question.replyLimit(this.#options) - (this.#question.hasOpt ? OPT_BYTES : 0);
    const fitting = Math.min(count, Math.floor((room - start) / recordBytes));
    // A client that takes more than our buffer holds.
    if (start + fitting * recordBytes + OPT_BYTES > out.length) return 0;
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
    return this.#question.writeOpt(out, end, this.#options);
  }

  /** NODATA or NXDOMAIN with the zone's SOA; the slow path where names may fall through or are not known yet. */
  #negative(bytes: Uint8Array, zone: ReaderZone, rcode: number, out: Uint8Array): number {
    const { type, labels, starts } = this.#question;
    if (type === TYPE.SRV && rcode === 0) return 0;
    const { control } = this.#buffers;
    if (rcode !== 0 && (zone.fallsThrough || control[CONTROL.SYNCED] === 0)) return 0;
    const start = this.#question.writeHead(bytes, out, rcode);
    if (start === 0 || start + 96 > out.length) return 0;
    const zoneAt = starts[labels - zone.labels]!;
    const end = writeSoa(out, start, zoneAt, control[CONTROL.SERIAL]!, this.#options);
    out[9] = 1;
    return this.#question.writeOpt(out, end, this.#options);
  }
}

const label = (text: string): Uint8Array => Uint8Array.of(text.length, ...Buffer.from(text));
const SVC = label('svc');
/** Names that mean something else, and one that the SOA would share with the question. */
const RESERVED = ['pod', 'dns', 'dns-version', 'hostmaster'].map(label);

function isLabel(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  return bytes[at] === wanted.length - 1 && equalFolded(bytes, at, wanted, 0, wanted.length);
}
