import { CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX } from '../limits.ts';
import { CR, FIELD_CONTENT, HEX, LF } from './bytes.ts';
import type { Fields } from './fields.ts';
import { scanTrailers } from './head.ts';

/**
 * Strict decoder of the chunked coding (RFC 9112 section 7.1), fed with bytes as they come. Extensions are
 * dropped, trailers kept. Bare CR or LF, missing digits, sizes over 2^53 and over-long lines are errors.
 */
export interface ChunkedSink {
  chunkData(bytes: Buffer): void;
  chunkEnd(trailers: Fields | undefined): void;
}

const State = {
  SIZE: 0,
  EXTENSION: 1,
  SIZE_LF: 2,
  DATA: 3,
  DATA_CR: 4,
  DATA_LF: 5,
  TRAILERS: 6,
  DONE: 7,
} as const;
type State = (typeof State)[keyof typeof State];

const TRAILER_LIMITS = { totalBytes: TRAILER_BYTES_MAX, lineBytes: TRAILER_BYTES_MAX, fields: 256 };

export class ChunkedDecoder {
  #state: State = State.SIZE;
  #size = 0;
  #digits = 0;
  #lineBytes = 0;
  #extensionBytes = 0;
  #trailers: Buffer | undefined;

  get done(): boolean {
    return this.#state === State.DONE;
  }

  /**
   * Consumes bytes from `at`; returns the offset of the first byte after the body (bytes.length when more is
   * needed), or the reason why the framing is broken.
   */
  feed(bytes: Buffer, at: number, sink: ChunkedSink): number | string {
    let from = at;
    while (from < bytes.length && this.#state !== State.DONE) {
      const next = this.#step(bytes, from, sink);
      if (typeof next === 'string') return next;
      from = next;
    }
    return from;
  }

  #step(bytes: Buffer, at: number, sink: ChunkedSink): number | string {
    switch (this.#state) {
      case State.SIZE:
        return this.#sizeByte(bytes[at]!, at);
      case State.EXTENSION:
        return this.#extensionByte(bytes[at]!, at);
      case State.SIZE_LF:
        if (bytes[at] !== LF) return 'bare CR after a chunk size';
        this.#state = this.#size === 0 ? State.TRAILERS : State.DATA;
        return at + 1;
      case State.DATA:
        return this.#data(bytes, at, sink);
      case State.DATA_CR:
        if (bytes[at] !== CR) return 'chunk data longer than its size';
        this.#state = State.DATA_LF;
        return at + 1;
      case State.DATA_LF:
        if (bytes[at] !== LF) return 'bare CR after chunk data';
        this.#startChunk();
        return at + 1;
      case State.TRAILERS:
        return this.#trailerBytes(bytes, at, sink);
      case State.DONE:
        return at;
    }
  }

  #startChunk(): void {
    this.#state = State.SIZE;
    this.#size = 0;
    this.#digits = 0;
    this.#lineBytes = 0;
  }

  #sizeByte(byte: number, at: number): number | string {
    const digit = HEX[byte]!;
    if (digit !== 255) {
      if (++this.#digits > 13) return 'chunk size too large';
      this.#size = this.#size * 16 + digit;
      return at + 1;
    }
    if (this.#digits === 0) return 'bad chunk size';
    if (byte === CR) this.#state = State.SIZE_LF;
    else if (byte === 59) this.#state = State.EXTENSION;
    else return 'bad chunk size';
    return at + 1;
  }

  #extensionByte(byte: number, at: number): number | string {
    if (byte === CR) {
      this.#state = State.SIZE_LF;
      return at + 1;
    }
    if (FIELD_CONTENT[byte] === 0) return 'bad chunk extension';
    if (++this.#lineBytes > CHUNK_LINE_BYTES_MAX || ++this.#extensionBytes > CHUNK_EXTENSION_BYTES_MAX) {
      return 'chunk extension too long';
    }
    return at + 1;
  }

  #data(bytes: Buffer, at: number, sink: ChunkedSink): number {
    const take = Math.min(this.#size, bytes.length - at);
    this.#size -= take;
    if (this.#size === 0) this.#state = State.DATA_CR;
    sink.chunkData(at === 0 && take === bytes.length ? bytes : bytes.subarray(at, at + take));
    return at + take;
  }

  #trailerBytes(bytes: Buffer, at: number, sink: ChunkedSink): number | string {
    const held = this.#trailers;
    if (!held && at + 1 < bytes.length && bytes[at] === CR && bytes[at + 1] === LF) {
      this.#state = State.DONE;
      sink.chunkEnd(undefined);
      return at + 2;
    }
    const all = held ? Buffer.concat([held, bytes.subarray(at)]) : bytes.subarray(at);
    const scanned = scanTrailers(all, 0, TRAILER_LIMITS);
    if (!scanned) {
      if (all.length > TRAILER_BYTES_MAX) return 'trailer section too large';
      this.#trailers = Buffer.from(all);
      return bytes.length;
    }
    if ('status' in scanned) return scanned.reason;
    this.#state = State.DONE;
    sink.chunkEnd(scanned.fields.length > 0 ? scanned.fields : undefined);
    return at + scanned.end - (held?.length ?? 0);
  }
}
