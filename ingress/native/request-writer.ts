import { randomFillSync } from 'node:crypto';
import { NO_BODY, UNKNOWN_LENGTH } from '../http/message.ts';
import type { RequestScan } from './request-scan.ts';

const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const HOST = ascii('Host: ');
const REQUEST_ID = ascii('X-Request-ID: ');
const THEIRS = ascii('X-Original-Forwarded-For: ');
const CHUNKED = ascii('Transfer-Encoding: chunked\r\n');
const LENGTH = ascii('Content-Length: ');
const NO_LENGTH = ascii('Content-Length: 0\r\n');
const HEX_DIGITS = ascii('0123456789abcdef');
/** Digits of a request id. */
const ID_BYTES = 32;
const CR = 13;
const LF = 10;

/** Fields that say whose request it is, made once a connection; the host comes between them. */
export interface ForwardedFields {
  /** X-Real-IP, X-Forwarded-For, and the name of X-Forwarded-Host. */
  readonly client: Uint8Array;
  /** Port, scheme and what else depends on the listener alone. */
  readonly listener: Uint8Array;
}

export function clientFields(address: string): Uint8Array {
  return ascii(`X-Real-IP: ${address}\r\nX-Forwarded-For: ${address}\r\nX-Forwarded-Host: `);
}

export function listenerFields(port: number, scheme: 'http' | 'https'): Uint8Array {
  return ascii(
    `X-Forwarded-Port: ${port}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Scheme: ${scheme}\r\nX-Scheme: ${scheme}\r\n`,
  );
}

/**
 * Writes the head an endpoint gets of a scanned request into the same memory: what relay/outgoing.ts and http/h1-client.ts
 * make of it, byte for byte.
 */
export class RequestWriter {
  /** Where the request id that was made last lies; 0 = the client had one. */
  #idAt = 0;
  readonly #bytes: Uint8Array;
  readonly #ids = new IdBytes();

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The id of the head written last; empty when the client had one, or none is wanted. */
  get madeId(): string {
    const id = this.#bytes.subarray(this.#idAt, this.#idAt + ID_BYTES);
    return this.#idAt === 0 ? '' : Buffer.from(id).toString('latin1');
  }

  /** `certificate`: lines that say what the client has shown, if it was to. Returns where the head ends. */
  write(
    scan: RequestScan,
    start: number,
    to: number,
    fields: ForwardedFields,
    certificate: Uint8Array,
    generateId: boolean,
  ): number {
    let at = this.#copy(to, start, scan.lineEnd);
    at = this.#copy(this.#put(at, HOST), scan.host, scan.hostEnd + 2);
    at = scan.passing.copy(this.#bytes, at);
    at = this.#requestId(scan, at, generateId);
    at = this.#copy(this.#put(at, fields.client), scan.host, scan.hostEnd + 2);
    at = this.#put(at, fields.listener);
    if (scan.forwardedFor > 0)
      at = this.#copy(this.#put(at, THEIRS), scan.forwardedFor, scan.forwardedForEnd + 2);
    at = this.#put(at, certificate);
    at = this.#framing(scan, at);
    return this.#lineEnd(at);
  }

  #requestId(scan: RequestScan, to: number, generate: boolean): number {
    this.#idAt = 0;
    if (scan.requestId > 0)
      return this.#copy(this.#put(to, REQUEST_ID), scan.requestId, scan.requestIdEnd + 2);
    if (!generate) return to;
    this.#idAt = this.#put(to, REQUEST_ID);
    return this.#lineEnd(this.#ids.write(this.#bytes, this.#idAt));
  }

  #framing(scan: RequestScan, to: number): number {
    if (scan.bodyLength === UNKNOWN_LENGTH) return this.#put(to, CHUNKED);
    if (scan.bodyLength !== NO_BODY)
      return this.#copy(this.#put(to, LENGTH), scan.lengthValue, scan.lengthEnd + 2);
    return scan.method.hasBody ? this.#put(to, NO_LENGTH) : to;
  }

  #copy(to: number, from: number, end: number): number {
    this.#bytes.copyWithin(to, from, end);
    return to + end - from;
  }

  #put(to: number, text: Uint8Array): number {
    this.#bytes.set(text, to);
    return to + text.length;
  }

  #lineEnd(to: number): number {
    this.#bytes[to] = CR;
    this.#bytes[to + 1] = LF;
    return to + 2;
  }
}

/** Fresh request ids, 32 hexadecimal digits as relay/request-id.ts makes them, written in place. */
class IdBytes {
  readonly #pool = new Uint8Array(4096);
  #at = this.#pool.length;

  write(bytes: Uint8Array, to: number): number {
    if (this.#at === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    let at = to;
    for (let i = 0; i < ID_BYTES / 2; i++) {
      const byte = this.#pool[this.#at++]!;
      bytes[at++] = HEX_DIGITS[byte >> 4]!;
      bytes[at++] = HEX_DIGITS[byte & 15]!;
    }
    return at;
  }
}
