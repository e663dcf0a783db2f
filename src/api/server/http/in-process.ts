import { Buffer } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { HttpExchange } from '../../../net/http-exchange.ts';
import { BODY_MAX_BYTES } from '../limits.ts';
import { tooLarge } from '../status.ts';
import type { ByteSink } from './byte-sink.ts';
import type { ApiHandler } from './listener.ts';
import { errorReply, type Reply, type StreamBody } from './reply.ts';
import type { UserInfo } from './request.ts';

const LOCAL = { certificate: undefined, rejectedCertificate: undefined, address: '' };

/** Calls the handler without a socket, as a fixed identity. Same replies as over the wire, never compressed. */
export function inProcessExchange(handler: ApiHandler, user: UserInfo, stopped: AbortSignal): HttpExchange {
  return async (request, signal) => {
    signal.throwIfAborted();
    const question = request.target.indexOf('?');
    const path = question < 0 ? request.target : request.target.slice(0, question);
    const abort = AbortSignal.any([signal, stopped]);
    const headers: Record<string, string> = {};
    for (const [key, value] of Object.entries(request.headers)) headers[key.toLowerCase()] = value;
    let reply: Reply | undefined;
    try {
      reply = await handler({
        method: request.method,
        path,
        query: new URLSearchParams(question < 0 ? '' : request.target.slice(question + 1)),
        target: request.target,
        headers,
        body: async () => {
          const body = request.body ?? new Uint8Array();
          if (body.length > BODY_MAX_BYTES)
            throw tooLarge(`Request entity too large: limit is ${BODY_MAX_BYTES}`);
          return body;
        },
        peer: LOCAL,
        trusted: user,
        upgrade: undefined,
        signal: abort,
      });
    } catch (error) {
      reply = errorReply(error);
    }
    if (!reply) throw new Error('in-process requests cannot be upgraded');
    const { status, headers: replyHeaders, body } = reply;
    reply.done?.(); // its memory is the caller's
    return {
      status,
      headers: replyHeaders,
      body: body instanceof Uint8Array ? once(body) : new ChunkQueue(body, abort),
    };
  };
}

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body;
}

/** Runs a stream body and hands its chunks to one reader. */
class ChunkQueue implements AsyncIterableIterator<Uint8Array>, ByteSink {
  readonly #stop = new AbortController();
  readonly closed: AbortSignal;
  #chunks: Uint8Array[] = [];
  #bufferedBytes = 0;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;
  #ended = false;
  #failure: unknown;

  constructor(body: StreamBody, abort: AbortSignal) {
    this.closed = AbortSignal.any([abort, this.#stop.signal]);
    this.closed.addEventListener('abort', () => this.#wake(), { once: true });
    void body(this)
      .catch((error: unknown) => (this.#failure = error))
      .finally(() => {
        this.#ended = true;
        this.#wake();
      });
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  write(chunk: Uint8Array): void {
    if (this.closed.aborted) return;
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    this.#wakeReader?.();
  }

  /** Lets others have the event loop, too: no socket makes this reader and its writer wait for each other. */
  async drained(): Promise<void> {
    while (this.#bufferedBytes > 0 && !this.closed.aborted) {
      await new Promise<void>((resolve) => (this.#wakeWriter = resolve));
    }
    await nextTurn();
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      if (this.#chunks.length > 0) {
        const value = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
        this.#chunks = [];
        this.#bufferedBytes = 0;
        this.#wakeWriter?.();
        return { done: false, value };
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended || this.closed.aborted) return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
      this.#wakeReader = undefined;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#stop.abort();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #wake(): void {
    this.#wakeReader?.();
    this.#wakeWriter?.();
  }
}
