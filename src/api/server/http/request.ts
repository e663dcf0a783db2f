import type { Duplex } from 'node:stream';

/** Who asks: the outcome of authentication (and impersonation). */
export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** What the transport knows of the peer before any header is read. */
export interface PeerIdentity {
  /** Subject of a client certificate that our CA signed. */
  readonly certificate: UserInfo | undefined;
  /** A certificate was shown but is not acceptable: the request fails with 401. */
  readonly rejectedCertificate: string | undefined;
  readonly address: string;
}

/** The socket of an upgrade request, handed over to a WebSocket. */
export interface UpgradeSocket {
  readonly socket: Duplex;
  readonly head: Buffer;
  /** The node request, which ws wants as it is. */
  readonly raw: unknown;
}

/** One request as the handlers see it, the same over HTTP/2, HTTP/1.1 and in-process. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly target: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Reads the body once; rejects with 413 beyond the limit. */
  body(): Promise<Uint8Array>;
  readonly peer: PeerIdentity;
  /** In-process callers are trusted by identity; no credentials are read from their headers. */
  readonly trusted: UserInfo | undefined;
  readonly upgrade: UpgradeSocket | undefined;
  /** Aborted when the client went away. */
  readonly signal: AbortSignal;
  /** Adds an annotation to the audit event; absent = nobody audits. */
  readonly annotate?: (key: string, value: string) => void;
}
