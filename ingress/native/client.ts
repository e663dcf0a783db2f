import type { ByteStream } from '../../src/net/native/byte-stream.ts';
import type { TlsFacts } from '../http/exchange.ts';

/** The listener a client came through. */
export interface ClientListener {
  readonly index: number;
  readonly port: number;
  readonly fields: Uint8Array;
}

/** A client as it was accepted, after its TLS handshake if there was one. */
export interface Client {
  readonly stream: ByteStream;
  /** Gives the connection away: a descriptor on which the same is said, without TLS. */
  readonly release: () => number;
  readonly address: string;
  readonly port: number;
  readonly listener: ClientListener;
  readonly tls: TlsFacts | undefined;
}
