import http2 from 'node:http2';
import type { Duplex } from 'node:stream';
import type {
  OutgoingRequest,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamStream,
} from '../upstream/stream.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Fields } from './fields.ts';
import { attempt, fieldsOf, headersOf } from './h2-exchange.ts';
import { UNKNOWN_LENGTH } from './message.ts';

/** One HTTP/2 connection to an endpoint; carries many requests. Replaced when it says GOAWAY or fails. */
export class H2ClientConnection implements Disposable {
  readonly #session: http2.ClientHttp2Session;
  #streams = 0;
  #served = 0;
  #closing = false;

  constructor(authority: string, createConnection: () => Duplex, closed: () => void) {
    this.#session = http2.connect(authority, {
      createConnection: () => {
        const stream = createConnection();
        // HTTP/2 has no half-open connections: a server that sent FIN is gone
        stream.on('end', () => stream.destroy());
        return stream;
      },
      settings: { enablePush: false, initialWindowSize: 256 * 1024 },
      // a client that sends Content-Type twice is no reason to throw
      strictSingleValueFields: false,
    } as http2.ClientSessionOptions);
    this.#session.on('error', () => {}); // streams tell what it meant for them
    this.#session.on('goaway', () => {
      this.#closing = true;
      closed();
    });
    this.#session.on('close', () => {
      this.#closing = true;
      closed();
    });
  }

  get usable(): boolean {
    return !this.#closing && !this.#session.closed && !this.#session.destroyed;
  }

  get streamCount(): number {
    return this.#streams;
  }

  open(request: OutgoingRequest, handler: UpstreamHandler): UpstreamStream {
    const reused = this.#served++ > 0;
    let stream: http2.ClientHttp2Stream;
    try {
      stream = this.#session.request(
        {
          ':method': request.method,
          ':path': request.target,
          ':scheme': request.scheme,
          ':authority': request.authority,
          ...headersOf(request.fields),
        },
        { endStream: false, waitForTrailers: true },
      );
    } catch (error) {
      // the session ended a moment ago, or has no stream left: nothing was sent
      this.#closing = true;
      return new UnsentStream(handler, messageOf(error));
    }
    this.#streams++;
    stream.once('close', () => this.#streams--);
    const adapter = new H2ClientStream(stream, handler, reused, !this.#session.connecting);
    if (this.#session.connecting) this.#session.once('connect', () => adapter.connectionMade());
    return adapter;
  }

  [Symbol.dispose](): void {
    this.#closing = true;
    this.#session.close();
  }
}

/** A request that could not even begin; says so a moment later, when its owner knows it. */
class UnsentStream implements UpstreamStream {
  readonly reused = false;
  readonly connected = false;
  #handler: UpstreamHandler | undefined;

  constructor(handler: UpstreamHandler, detail: string) {
    this.#handler = handler;
    queueMicrotask(() => this.#handler?.upstreamFailed('refused', detail));
  }

  send(): boolean {
    return true;
  }
  sendEnd(): void {}
  flush(): void {}
  pause(): void {}
  resume(): void {}
  cancel(): void {
    this.#handler = undefined;
  }
}

class H2ClientStream implements UpstreamStream {
  readonly reused: boolean;
  connected: boolean;
  readonly #stream: http2.ClientHttp2Stream;
  #handler: UpstreamHandler | undefined;
  #headSeen = false;
  #endTrailers: Fields | undefined;
  #received: Fields | undefined;

  constructor(
    stream: http2.ClientHttp2Stream,
    handler: UpstreamHandler,
    reused: boolean,
    connected: boolean,
  ) {
    this.#stream = stream;
    this.#handler = handler;
    this.reused = reused;
    this.connected = connected;
    stream.on('headers', (headers) =>
      this.#handler?.upstreamInterim({
        status: Number(headers[':status']),
        fields: fieldsOf(headers),
        connectionNames: undefined,
      }),
    );
    stream.on('response', (headers, flags) => this.#response(headers, flags));
    stream.on('trailers', (headers: http2.IncomingHttpHeaders) => {
      this.#received = fieldsOf(headers);
    });
    stream.on('data', (bytes: Buffer) => {
      this.#handler?.upstreamData(bytes);
      this.#handler?.upstreamFlush();
    });
    stream.on('end', () => this.#end());
    stream.on('drain', () => this.#handler?.upstreamDrained());
    stream.on('wantTrailers', () =>
      attempt(stream, () => stream.sendTrailers(this.#endTrailers ? headersOf(this.#endTrailers) : {})),
    );
    stream.on('error', (error: Error) => this.#fail(error.message));
    stream.on('close', () => this.#fail('stream closed'));
  }

  connectionMade(): void {
    if (this.connected) return;
    this.connected = true;
    this.#handler?.upstreamConnected();
  }

  send(bytes: Buffer): boolean {
    return this.#stream.write(Buffer.from(bytes));
  }

  sendEnd(trailers: Fields | undefined): void {
    this.#endTrailers = trailers;
    this.#stream.end();
  }

  flush(): void {}

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  cancel(): void {
    this.#handler = undefined;
    this.#stream.close(http2.constants.NGHTTP2_CANCEL);
  }

  #response(headers: http2.IncomingHttpHeaders, flags: number): void {
    this.#headSeen = true;
    const fields = fieldsOf(headers);
    // a head that ends the stream must not be told as one with a body: gRPC puts its status there (Trailers-Only)
    const ended = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const length = ended ? '0' : fields.get('content-length');
    this.#handler?.upstreamHead({
      status: Number(headers[':status']),
      reason: '',
      version: 20,
      fields,
      bodyLength: length === undefined ? UNKNOWN_LENGTH : Number(length),
      keepAlive: true,
      connectionNames: undefined,
    });
  }

  #end(): void {
    const handler = this.#handler;
    if (!handler || !this.#headSeen || this.#stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR) return;
    this.#handler = undefined;
    handler.upstreamEnd(this.#received);
    if (!this.#stream.writableEnded) this.#stream.close(http2.constants.NGHTTP2_NO_ERROR);
  }

  #fail(detail: string): void {
    const handler = this.#handler;
    if (!handler) return;
    this.#handler = undefined;
    const refused = this.#stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM;
    const failure: UpstreamFailure = this.#headSeen
      ? 'truncated'
      : refused
        ? 'refused'
        : this.connected
          ? 'reset'
          : 'connect';
    handler.upstreamFailed(failure, detail);
  }
}
