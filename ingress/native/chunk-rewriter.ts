import { ChunkedDecoder, type ChunkedSink } from '../http/chunked.ts';
import type { Fields } from '../http/fields.ts';
import { fieldLines } from '../http/h1-exchange.ts';
import { permittedTrailers } from '../http/trailers.ts';

const LINE_END = Buffer.from('\r\n');

/** The rest of a chunked body, from a chunk with extensions or the trailers on: decoded and written anew, as the portable engine does. */
export class ChunkRewriter implements ChunkedSink {
  readonly #decoder = new ChunkedDecoder();
  #written: Buffer[] = [];
  /** Bytes of content in what was fed last. */
  content = 0;

  get done(): boolean {
    return this.#decoder.done;
  }

  /** How many bytes belong to the body, or why its framing is broken; what is to be sent is ready to `take`. */
  feed(bytes: Uint8Array): number | string {
    this.content = 0;
    return this.#decoder.feed(Buffer.from(bytes), 0, this);
  }

  take(): Buffer {
    const all = Buffer.concat(this.#written);
    this.#written = [];
    return all;
  }

  chunkData(bytes: Buffer): void {
    this.content += bytes.length;
    this.#written.push(Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, LINE_END);
  }

  chunkEnd(sent: Fields | undefined): void {
    const trailers = permittedTrailers(sent);
    this.#written.push(Buffer.from(`0\r\n${trailers ? fieldLines(trailers) : ''}\r\n`, 'latin1'));
  }
}
