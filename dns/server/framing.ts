/** DNS over a byte stream: each message behind its length in two octets (RFC 1035 4.2.2). */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array(0);

  /** Whole messages in the bytes so far. An empty frame comes out as an empty message. */
  *push(chunk: Uint8Array): Iterable<Uint8Array> {
    let bytes = this.#rest.length === 0 ? chunk : concat(this.#rest, chunk);
    while (bytes.length >= 2) {
      const length = (bytes[0]! << 8) | bytes[1]!;
      if (bytes.length < 2 + length) break;
      yield bytes.slice(2, 2 + length);
      bytes = bytes.subarray(2 + length);
    }
    this.#rest = bytes.slice();
  }
}

export function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(message.length + 2);
  framed[0] = message.length >> 8;
  framed[1] = message.length & 0xff;
  framed.set(message, 2);
  return framed;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
