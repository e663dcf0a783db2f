/** DNS over a byte stream: each message behind its length in two octets (RFC 1035 4.2.2). */
export class FrameReader {
  #chunks: Uint8Array[] = [];
  #size = 0;

  /**
   * Whole messages in the bytes so far. An empty frame comes out as an empty message. Bytes are joined once a frame
   * is whole: a peer that sends one byte at a time costs no more than others.
   */
  *push(chunk: Uint8Array): Iterable<Uint8Array> {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#wanted()) return;
    let bytes = this.#chunks.length === 1 ? chunk : Uint8Array.from(Buffer.concat(this.#chunks));
    while (bytes.length >= 2) {
      const length = (bytes[0]! << 8) | bytes[1]!;
      if (bytes.length < 2 + length) break;
      yield bytes.slice(2, 2 + length);
      bytes = bytes.subarray(2 + length);
    }
    this.#chunks = bytes.length > 0 ? [bytes.slice()] : [];
    this.#size = bytes.length;
  }

  /** A message has begun and is not whole yet. */
  get partial(): boolean {
    return this.#size > 0;
  }

  /** Bytes until the first frame is whole, its length included. */
  #wanted(): number {
    const first = this.#chunks[0]!;
    const second = first.length > 1 ? first[1] : this.#chunks.find((one, i) => i > 0 && one.length > 0)?.[0];
    return first.length === 0 || second === undefined ? 2 : 2 + ((first[0]! << 8) | second);
  }
}

export function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(message.length + 2);
  framed[0] = message.length >> 8;
  framed[1] = message.length & 0xff;
  framed.set(message, 2);
  return framed;
}
