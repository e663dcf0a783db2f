/**
 * What readers of the table count: plain numbers in memory that another thread may read at any time. One writer, no
 * locks: a sum may be an answer behind, never wrong for longer than that.
 */
import { typeNumber, type RecordType } from '../../wire/numbers.ts';

/** Types with a label of their own; the rest is "other" (CoreDNS plugin/metrics/vars). */
export const LABELLED_TYPES: readonly RecordType[] = [
  'AAAA',
  'A',
  'CNAME',
  'DNSKEY',
  'DS',
  'HTTPS',
  'MX',
  'NSEC3',
  'NSEC',
  'NS',
  'PTR',
  'RRSIG',
  'SOA',
  'SRV',
  'TXT',
  'ANY',
];
export const DURATION_BUCKETS_SECONDS: readonly number[] = Array.from(
  { length: 16 },
  (_, i) => 0.00025 * 2 ** i,
);
export const SIZE_BUCKETS_BYTES: readonly number[] = [
  0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3,
];

const TYPES = LABELLED_TYPES.length + 1;
const OTHER = TYPES - 1;
/** Counts a bucket, those beyond the last bound, and the sum of all values. */
const SIZE_WORDS = SIZE_BUCKETS_BYTES.length + 2;
const DURATION_WORDS = DURATION_BUCKETS_SECONDS.length + 2;

/** Where each count stands among the words of one zone. */
const AT = {
  REQUESTS: 0,
  POSITIVE: 2 * TYPES,
  NODATA: 2 * TYPES + 1,
  NXDOMAIN: 2 * TYPES + 2,
  DNSSEC_OK: 2 * TYPES + 3,
  REQUEST_SIZE: 2 * TYPES + 4,
  REPLY_SIZE: 2 * TYPES + 4 + SIZE_WORDS,
  DURATION: 2 * TYPES + 4 + 2 * SIZE_WORDS,
} as const;
const ZONE_WORDS = AT.DURATION + TYPES * DURATION_WORDS;

/** Index of the label by type number; types above are "other". */
const TYPE_INDEX = new Uint8Array(256).fill(OTHER);
LABELLED_TYPES.forEach((type, i) => (TYPE_INDEX[typeNumber(type)] = i));

export function countsMemory(zones: number, shared: boolean): Float64Array {
  const bytes = Math.max(1, zones) * ZONE_WORDS * 8;
  return new Float64Array(shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes));
}

/** The writer's side. */
export class AnswerCounts {
  readonly memory: Float64Array;
  /** Answers whose time is not known yet, by zone and type. */
  readonly #open: Uint32Array;
  #opened = 0;

  constructor(memory: Float64Array) {
    this.memory = memory;
    this.#open = new Uint32Array((memory.length / ZONE_WORDS) * TYPES);
  }

  /** Counts an answer by its own bytes. */
  add(
    zone: number,
    asked: { readonly type: number; readonly dnssecOk: boolean },
    six: boolean,
    requestBytes: number,
    reply: Uint8Array,
    replyBytes: number,
  ): void {
    const { memory } = this;
    const base = zone * ZONE_WORDS;
    const type = asked.type < 256 ? TYPE_INDEX[asked.type]! : OTHER;
    memory[base + AT.REQUESTS + (six ? TYPES : 0) + type]! += 1;
    const verdict =
      (reply[3]! & 15) !== 0 ? AT.NXDOMAIN : (reply[6]! | reply[7]!) === 0 ? AT.NODATA : AT.POSITIVE;
    memory[base + verdict]! += 1;
    if (asked.dnssecOk) memory[base + AT.DNSSEC_OK]! += 1;
    observeSize(memory, base + AT.REQUEST_SIZE, requestBytes);
    observeSize(memory, base + AT.REPLY_SIZE, replyBytes);
    this.#open[zone * TYPES + type]! += 1;
    this.#opened++;
  }

  /** All answers since the last call took this long each, from arrival to the send. */
  settle(seconds: number): void {
    if (this.#opened === 0) return;
    this.#opened = 0;
    let bucket = 0;
    while (bucket < DURATION_BUCKETS_SECONDS.length && seconds > DURATION_BUCKETS_SECONDS[bucket]!) bucket++;
    for (let i = 0; i < this.#open.length; i++) {
      const count = this.#open[i]!;
      if (count === 0) continue;
      this.#open[i] = 0;
      const base = Math.floor(i / TYPES) * ZONE_WORDS + AT.DURATION + (i % TYPES) * DURATION_WORDS;
      this.memory[base + bucket]! += count;
      this.memory[base + DURATION_WORDS - 1]! += count * seconds;
    }
  }
}

function observeSize(memory: Float64Array, base: number, bytes: number): void {
  let bucket = 0;
  while (bucket < SIZE_BUCKETS_BYTES.length && bytes > SIZE_BUCKETS_BYTES[bucket]!) bucket++;
  memory[base + bucket]! += 1;
  memory[base + SIZE_WORDS - 1]! += bytes;
}

/** A histogram's counts by bucket, those beyond the last bound behind them, and the sum of the values. */
export interface BucketCounts {
  readonly buckets: readonly number[];
  readonly sum: number;
}

/** What was counted for one zone, in the words of the metrics. */
export interface ZoneCounts {
  readonly positive: number;
  readonly nodata: number;
  readonly nxdomain: number;
  readonly dnssecOk: number;
  readonly requests: readonly { readonly family: '1' | '2'; readonly type: string; readonly count: number }[];
  readonly durations: readonly { readonly type: string; readonly counts: BucketCounts }[];
  readonly requestSize: BucketCounts;
  readonly replySize: BucketCounts;
}

/** Reads the words of zone number `zone`. */
export function zoneCounts(memory: Float64Array, zone: number): ZoneCounts {
  const base = zone * ZONE_WORDS;
  const word = (at: number): number => memory[base + at] ?? 0;
  const buckets = (at: number, words: number): BucketCounts => ({
    buckets: Array.from({ length: words - 1 }, (_, i) => word(at + i)),
    sum: word(at + words - 1),
  });
  const types = Array.from({ length: TYPES }, (_, i) => LABELLED_TYPES[i] ?? 'other');
  return {
    positive: word(AT.POSITIVE),
    nodata: word(AT.NODATA),
    nxdomain: word(AT.NXDOMAIN),
    dnssecOk: word(AT.DNSSEC_OK),
    requests: (['1', '2'] as const).flatMap((family, f) =>
      types.map((type, i) => ({ family, type, count: word(AT.REQUESTS + f * TYPES + i) })),
    ),
    durations: types.map((type, i) => ({
      type,
      counts: buckets(AT.DURATION + i * DURATION_WORDS, DURATION_WORDS),
    })),
    requestSize: buckets(AT.REQUEST_SIZE, SIZE_WORDS),
    replySize: buckets(AT.REPLY_SIZE, SIZE_WORDS),
  };
}

/** The sum, word by word, of memories of one shape. */
export function sumOfCounts(memories: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(memories[0]?.length ?? 0);
  for (const memory of memories) for (let i = 0; i < sum.length; i++) sum[i]! += memory[i]!;
  return sum;
}
