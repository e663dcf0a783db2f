import { UNKNOWN_LENGTH } from '../http/message.ts';
import { DISCARD_BODY_BYTES_MAX } from '../limits.ts';
import { ChunkRewriter } from './chunk-rewriter.ts';
import { BESIDE, BROKEN, ChunkScan } from './chunk-scan.ts';

/** The body of the request under way, by length or in chunks: where it ends, and what of it may pass as it came. */
export class RequestBody {
  isEnded = false;
  /** Bytes of content in what was taken last. */
  content = 0;
  /** Up to here what was taken last may be forwarded as it is. */
  rawEnd = 0;
  /** To be sent after that: the body from an extension or a trailer on. */
  rewritten: Buffer | undefined;
  readonly #chunks = new ChunkScan();
  #isChunked = false;
  #rewriter: ChunkRewriter | undefined;
  /** Bytes to come; meaningless when it is chunked. */
  #left = 0;

  /** Bytes to come that can be thrown away to keep a connection; -1 = too many, or unknown. */
  get discardBytes(): number {
    if (this.isEnded) return 0;
    return this.#isChunked || this.#left > DISCARD_BODY_BYTES_MAX ? -1 : this.#left;
  }

  /** What of [from, end) belongs to it ends here; BROKEN or BESIDE: for the portable engine. */
  begin(bodyLength: number, bytes: Uint8Array, from: number, end: number): number {
    this.#isChunked = bodyLength === UNKNOWN_LENGTH;
    this.#rewriter = undefined;
    this.rewritten = undefined;
    this.#left = bodyLength;
    if (!this.#isChunked) return this.#byLength(from, end);
    this.#chunks.reset();
    const to = this.#chunks.feed(bytes, from, end);
    this.content = this.#chunks.content;
    this.isEnded = this.#chunks.done;
    return to;
  }

  /** Takes more; returns where the bytes begin that it cannot use yet, or BROKEN. */
  take(bytes: Uint8Array, from: number, end: number): number {
    this.rewritten = undefined;
    if (!this.#isChunked) return this.#byLength(from, end);
    this.content = 0;
    this.rawEnd = from;
    if (this.#rewriter) return this.#rewrite(this.#rewriter, bytes, from, end);
    const to = this.#chunks.feed(bytes, from, end);
    this.content = this.#chunks.content;
    this.rawEnd = to < 0 ? this.#chunks.boundary : to;
    if (to === BESIDE) return this.#rewrite((this.#rewriter = new ChunkRewriter()), bytes, this.rawEnd, end);
    this.isEnded = this.#chunks.done;
    return to;
  }

  #byLength(from: number, end: number): number {
    const to = Math.min(end, from + this.#left);
    this.content = to - from;
    this.#left -= this.content;
    this.rawEnd = to;
    this.isEnded = this.#left === 0;
    return to;
  }

  #rewrite(rewriter: ChunkRewriter, bytes: Uint8Array, from: number, end: number): number {
    const used = rewriter.feed(bytes.subarray(from, end));
    if (typeof used === 'string') return BROKEN;
    this.content += rewriter.content;
    this.rewritten = rewriter.take();
    this.isEnded = rewriter.done;
    return from + used;
  }
}
