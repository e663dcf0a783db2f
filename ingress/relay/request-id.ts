import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 32 * 1024;
const ID_BYTES = 16;

/** Fresh request ids: 32 hexadecimal digits, as nginx makes them. Random bytes are drawn in bulk. */
export class RequestIds {
  readonly #pool = Buffer.alloc(POOL_BYTES);
  #at = POOL_BYTES;

  next(): string {
    if (this.#at === POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    const id = this.#pool.toString('hex', this.#at, this.#at + ID_BYTES);
    this.#at += ID_BYTES;
    return id;
  }
}
