import { KEPT_BYTES_MAX } from './limits.ts';

/** Room kept between the requests of a connection. */
const IDLE_BYTES = 1024;
const EMPTY = Buffer.alloc(0);

/** The request under way as it came, in case it is needed again: whole, as long as it is not too long. */
export class KeptRequest {
  isWhole = false;
  #room: Buffer = EMPTY;
  #sizeBytes = 0;

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#sizeBytes);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  begin(): void {
    this.isWhole = true;
    this.#sizeBytes = 0;
  }

  add(bytes: Uint8Array, from: number, to: number): void {
    if (!this.isWhole) return;
    const size = this.#sizeBytes + to - from;
    if (size > KEPT_BYTES_MAX) {
      this.isWhole = false;
      return;
    }
    if (size > this.#room.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(IDLE_BYTES, size * 2));
      grown.set(this.bytes);
      this.#room = grown;
    }
    this.#room.set(bytes.subarray(from, to), this.#sizeBytes);
    this.#sizeBytes = size;
  }

  /** The request is over: much room is given back. */
  end(): void {
    if (this.#room.length > IDLE_BYTES) this.#room = EMPTY;
    this.#sizeBytes = 0;
  }
}
