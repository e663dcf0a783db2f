import { CR, HEX, LF } from '../http/bytes.ts';

/** Digits of a size, as the portable decoder takes them (2^52). */
const DIGITS_MAX = 13;
const SEMICOLON = 59;

/** Instead of an offset: an extension or a trailer comes, which another decoder has to see to. */
export const BESIDE = -1;
/** Instead of an offset: the framing is broken. */
export const BROKEN = -2;
/** The line is not all there. */
const SHORT = -3;

/**
 * Watches a chunked body pass by in place (RFC 9112 section 7.1): sizes, line ends, the end. What it has seen whole may be
 * forwarded as it is.
 */
export class ChunkScan {
  done = false;
  /** Bytes of content in what was fed last. */
  content = 0;
  /** Where to go on after BESIDE: a chunk begins there. */
  boundary = 0;
  /** Content bytes of the present chunk that are still to come. */
  #left = 0;
  /** The line end after the content of a chunk is still to come. */
  #inChunk = false;

  reset(): void {
    this.done = false;
    this.#left = 0;
    this.#inChunk = false;
  }

  /**
   * The offset up to which [start, end) may be forwarded; what is behind it must be fed again with more bytes, unless
   * `done`. Or BESIDE or BROKEN.
   */
  feed(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    this.content = 0;
    while (at < end && !this.done) {
      const next = this.#inChunk ? this.#chunk(bytes, at, end) : this.#sizeLine(bytes, at, end);
      if (next === SHORT) return at;
      this.boundary = at;
      if (next < 0) return next;
      at = next;
    }
    return at;
  }

  #chunk(bytes: Uint8Array, at: number, end: number): number {
    if (this.#left > 0) {
      const take = Math.min(this.#left, end - at);
      this.#left -= take;
      this.content += take;
      return at + take;
    }
    if (bytes[at] !== CR) return BROKEN;
    if (at + 1 === end) return SHORT;
    this.#inChunk = false;
    return bytes[at + 1] === LF ? at + 2 : BROKEN;
  }

  #sizeLine(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    let size = 0;
    for (; at < end && HEX[bytes[at]!] !== 255; at++) {
      if (at - from === DIGITS_MAX) return BROKEN;
      size = size * 16 + HEX[bytes[at]!]!;
    }
    if (at === end) return SHORT;
    if (at === from) return BROKEN;
    if (bytes[at] === SEMICOLON) return BESIDE;
    if (bytes[at] !== CR) return BROKEN;
    if (at + 1 === end) return SHORT;
    if (bytes[at + 1] !== LF) return BROKEN;
    if (size === 0) return this.#last(bytes, at + 2, end);
    this.#left = size;
    this.#inChunk = true;
    return at + 2;
  }

  /** After the size of the last chunk: the empty line, or trailers. */
  #last(bytes: Uint8Array, at: number, end: number): number {
    if (at < end && bytes[at] !== CR) return BESIDE;
    if (at + 1 >= end) return SHORT;
    if (bytes[at + 1] !== LF) return BROKEN;
    this.done = true;
    return at + 2;
  }
}
