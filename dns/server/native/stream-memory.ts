import type { SocketAddress } from '../../../src/net/native/socket-address.ts';
import type { TlsFiles } from '../../block-settings.ts';
import type { ReceiverTable } from './receiver-memory.ts';

/** Words that a thread that serves connections and its owner share: how many it has, and handshakes that came to nothing. */
export const STREAM_CONTROL = { OPEN: 0, HANDSHAKE_FAILURES: 1, WORDS: 2 } as const;

export interface StreamLimits {
  readonly connectionsMax: number;
  readonly handshakeMs: number;
  readonly idleMs: number;
  readonly readMs: number;
  readonly writeMs: number;
}

/** What such a thread is born with. */
export interface StreamData {
  readonly listenerFd: number;
  readonly control: Int32Array<SharedArrayBuffer>;
  /** Of its TLS sessions; undefined = it speaks plainly. */
  readonly sessions: Float64Array<SharedArrayBuffer> | undefined;
  readonly limits: StreamLimits;
}

/** How TLS is spoken from now on. Tickets of other ways are good for nothing: each has keys of its own. */
export interface SentTls {
  readonly cert: string;
  readonly key: string;
  readonly ticketKeys: Uint8Array;
  /** PEM: who signs certificates of clients. Not looked at where none are asked for. */
  readonly authorities: string;
  readonly clientAuth: TlsFiles['clientAuth'];
}

/** What the thread is told. It accepts from its first table on; how TLS is spoken it hears before. */
export type StreamOrder =
  | { readonly kind: 'table'; readonly table: ReceiverTable | undefined }
  | { readonly kind: 'tls'; readonly tls: SentTls }
  /** Accept nothing more, and end each connection after its last answer. */
  | { readonly kind: 'drain' };

/**
 * What the thread tells. `accept failed`: errno, once until it works again; clients wait in the kernel. `broken`: a fault
 * of ours that ended one connection. `watched`: answers that somebody watches were put down.
 */
export type StreamReply =
  | { readonly kind: 'handed over'; readonly connection: HandedOver }
  | { readonly kind: 'accept failed'; readonly errno: string }
  | { readonly kind: 'broken'; readonly reason: string }
  | { readonly kind: 'watched' };

/** A connection that asked what the table does not answer: it goes on elsewhere, for good. */
export interface HandedOver {
  readonly fd: number;
  /** Where its ends are, when the descriptor does not say: TLS stays with the thread, and the descriptor is a bridge to it. */
  readonly ends: ConnectionEnds | undefined;
  /** Read and not answered yet: whole frames and maybe a part of one. */
  readonly unread: Uint8Array;
}

export interface ConnectionEnds {
  readonly client: SocketAddress;
  readonly server: SocketAddress;
}
