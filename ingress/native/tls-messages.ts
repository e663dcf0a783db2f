import type { OcspAnswer } from '../certificates/ocsp-stapler.ts';
import type { TlsClients } from '../../src/net/native/tls-context.ts';

/** What the main thread and a worker tell each other about TLS. Everything here survives a structured clone. */

/** How a worker speaks TLS under one or more server names. */
export interface SentTls {
  /** The same for the same manner: a context is made once, and its session tickets stay good. */
  readonly id: number;
  readonly cert: string;
  readonly key: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly ciphers: string | undefined;
  /** The same in all workers. */
  readonly ticketKeys: Uint8Array;
  /** The auth-tls-secret of the name. */
  readonly clientAuthority: string | undefined;
  /** As in TlsFacts. */
  readonly checkedBy: string | undefined;
  /** How certificates of clients are checked; undefined = they are not asked for any. */
  readonly clients: TlsClients | undefined;
}

/** A client came by a name that the worker has not heard of since the last table. */
export interface NameAsked {
  readonly kind: 'name';
  /** Empty = the client sent none. */
  readonly name: string;
}

/** A client wants to know the status of the certificate of a name (RFC 6066 section 8). */
export interface StapleAsked {
  readonly kind: 'staple';
  readonly name: string;
}

/** What may be shown to such clients; asked for anew later, for the main thread may be about to ask the responder. */
export interface StapleAnswered {
  readonly kind: 'stapled';
  /** Of the name's SentTls. */
  readonly id: number;
  readonly answer: OcspAnswer | undefined;
}

export interface NameAnswered extends NameAsked {
  /** undefined = connections by this name are handed over before the handshake. */
  readonly tls: SentTls | undefined;
}
