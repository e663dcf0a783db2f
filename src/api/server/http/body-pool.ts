import { Buffer } from 'node:buffer';
import { BODY_POOL_MAX_BYTES, LIST_CHUNK_BYTES } from '../limits.ts';

const SMALLEST_BYTES = 64 * 1024;

/**
 * Memory for long bodies, used again: fresh megabytes for each list cost more in page faults and collection than
 * filling them. Sizes are powers of two; a body that is never released is simply left to the collector.
 */
export class BodyPool {
  readonly #free = new Map<number, Buffer[]>();
  #freeBytes = 0;

  /** At least `sizeBytes` long, its content undefined. */
  take(sizeBytes: number): { readonly buffer: Buffer; readonly release: () => void } {
    const rounded = Math.max(SMALLEST_BYTES, 2 ** Math.ceil(Math.log2(sizeBytes)));
    if (rounded > LIST_CHUNK_BYTES * 4)
      return { buffer: Buffer.allocUnsafeSlow(sizeBytes), release: () => {} };
    const kept = this.#free.get(rounded)?.pop();
    if (kept) this.#freeBytes -= rounded;
    const buffer = kept ?? Buffer.allocUnsafeSlow(rounded);
    let released = false;
    return {
      buffer,
      release: () => {
        if (released || this.#freeBytes + rounded > BODY_POOL_MAX_BYTES) return;
        released = true;
        this.#freeBytes += rounded;
        const same = this.#free.get(rounded);
        if (same) same.push(buffer);
        else this.#free.set(rounded, [buffer]);
      },
    };
  }
}
