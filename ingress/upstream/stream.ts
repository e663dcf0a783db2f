import type { Duplex } from 'node:stream';
import type { Fields } from '../http/fields.ts';
import type { InterimHead, ResponseHead } from '../http/message.ts';

/** A request on its way to an endpoint, fields complete but for framing. */
export interface OutgoingRequest {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  /** Without Host, framing and connection fields. */
  readonly fields: Fields;
  readonly bodyLength: number;
  /** Value of Upgrade, when the request asks for one. */
  readonly upgrade: string | undefined;
  readonly version: 10 | 11;
  /** The connection is not kept after it. */
  readonly close: boolean;
}

/**
 * What went wrong between us and an endpoint:
 * connect = nothing was sent; stale = a kept connection died before any reply byte; refused = HTTP/2 says it was
 * not processed; reset = died before any reply byte; framing = the reply cannot be trusted; truncated = died in the
 * middle of a reply.
 */
export type UpstreamFailure = 'connect' | 'stale' | 'refused' | 'reset' | 'framing' | 'truncated';

export interface UpstreamHandler {
  upstreamConnected(): void;
  upstreamInterim(head: InterimHead): void;
  upstreamHead(head: ResponseHead): void;
  /** The bytes are lent for the time of the call. */
  upstreamData(bytes: Buffer): void;
  /** All bytes read so far were delivered: a moment to flush. */
  upstreamFlush(): void;
  upstreamEnd(trailers: Fields | undefined): void;
  /** The last call. */
  upstreamFailed(failure: UpstreamFailure, detail: string): void;
  /** There is room again after send said false. */
  upstreamDrained(): void;
  /** 101 (or 200 to extended CONNECT): from here on bytes. The last call. */
  upstreamSwitched(fields: Fields, stream: Duplex): void;
}

/** One request under way at an endpoint. After `cancel` the handler hears nothing more. */
export interface UpstreamStream {
  /** The connection had served a request before. */
  readonly reused: boolean;
  /** Ready when `open` returned; else upstreamConnected follows. */
  readonly connected: boolean;
  /** False = wait for upstreamDrained. Bytes that cannot go at once are copied. */
  send(bytes: Buffer): boolean;
  sendEnd(trailers: Fields | undefined): void;
  flush(): void;
  pause(): void;
  resume(): void;
  cancel(): void;
}
