import type { Duplex } from 'node:stream';
import type { Fields } from './fields.ts';
import type { RequestHead } from './message.ts';

/** What is known of a client connection, after the PROXY header if there was one. */
export interface ConnectionFacts {
  readonly clientAddress: string;
  readonly clientPort: number;
  /** The socket's peer: who decides whether forwarded headers are believed. */
  readonly peerAddress: string;
  /** The port the client connected to. */
  readonly localPort: number;
  /** TLS ended here. */
  readonly secure: boolean;
  readonly tls: TlsFacts | undefined;
  /** The destination port of a PROXY header; 443 there means TLS was ended in front. */
  readonly proxiedPort: number | undefined;
}

export interface TlsFacts {
  /** SNI, lower case. */
  readonly serverName: string | undefined;
  readonly protocol: string;
  readonly cipher: string;
  readonly client: ClientCertificate | undefined;
  /** The auth-tls-secret the client certificate was checked against: that of the server name, not of the Host. */
  readonly clientAuthority: string | undefined;
  /** The rules it was checked by, as checkedBy() writes them; undefined = it was not. */
  readonly checkedBy: string | undefined;
}

export interface ClientCertificate {
  /** SUCCESS, NONE, or FAILED:reason, as nginx says it. */
  readonly verify: string;
  readonly subject: string;
  readonly issuer: string;
  readonly pem: string;
}

/** Why the client side ended before the response did. */
export type AbortReason = 'client closed' | 'bad framing' | 'body timeout' | 'shutdown';

/** How the owner of an exchange (the relay) hears of it. */
export interface ExchangeHandler {
  /** The bytes are lent for the time of the call. */
  bodyData(bytes: Buffer): void;
  bodyEnd(trailers: Fields | undefined): void;
  /** The client is gone or cannot be understood any more; nothing can be sent. The last call. */
  exchangeAborted(reason: AbortReason): void;
  /** There is room again after sendData said false. */
  exchangeDrained(): void;
}

/**
 * One request and its response, whatever protocol carries it. Call order for the response: sendInterim*, sendHead,
 * sendData*, sendEnd; small pieces are held until `flush`, `sendEnd` or a larger piece. The body is not read before
 * the first `resumeBody`.
 */
export interface Exchange {
  handler: ExchangeHandler;
  readonly connection: ConnectionFacts;
  readonly head: RequestHead;
  /** The whole request body has been delivered. */
  readonly bodyEnded: boolean;
  readonly headSent: boolean;
  /** Bytes of response body given to sendData. */
  readonly sentBytes: number;
  resumeBody(): void;
  pauseBody(): void;
  sendInterim(status: number, fields: Fields): void;
  /** Fields are complete but for framing and Connection. bodyLength as in ResponseHead. */
  sendHead(status: number, reason: string, fields: Fields, bodyLength: number): void;
  /** False = wait for exchangeDrained. Bytes that cannot go at once are copied. */
  sendData(bytes: Buffer): boolean;
  sendEnd(trailers: Fields | undefined): void;
  flush(): void;
  /** Cuts the response so that the client cannot take it for complete. */
  abort(): void;
  /** Answers an upgrade (101, or 200 to extended CONNECT) and hands over the byte stream. */
  switchProtocols(fields: Fields): Duplex;
}
