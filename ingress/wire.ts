import type { Duplex } from 'node:stream';

/**
 * A byte stream under an HTTP connection: what an engine has to provide. The portable engine stands on node:net
 * and node:tls; another one can put its own sockets here, everything above works on bytes.
 */
export interface Wire {
  handler: WireHandler;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localPort: number;
  readonly closed: boolean;
  /** Bytes accepted but not yet sent. */
  readonly pendingBytes: number;
  /** Bytes, copied when they cannot go at once, or latin1 text. False = wait for `drained` before writing more. */
  write(data: Uint8Array | string): boolean;
  /** Sends what is pending, then our FIN. */
  finish(): void;
  /** Closes at once; `closed` follows. */
  destroy(): void;
  pause(): void;
  resume(): void;
  /**
   * Gives the stream away (HTTP/2, tunnels), with bytes that were read but not used (copied). The wire is dead
   * afterwards and calls nobody.
   */
  detach(unused: Buffer | undefined): Duplex;
}

export interface WireHandler {
  /** Bytes came. They are lent for the time of the call: what is to be kept must be copied. */
  wireData(bytes: Buffer): void;
  wireDrained(): void;
  /** The other side sent its FIN. */
  wireEnded(): void;
  /** Once; the last call. */
  wireClosed(error: Error | undefined): void;
}

/** For a moment between two owners: holds nothing, hears nothing. */
export const deafHandler: WireHandler = {
  wireData() {},
  wireDrained() {},
  wireEnded() {},
  wireClosed() {},
};

/** Where an upstream connection goes. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface UpstreamTls {
  readonly serverName: string | undefined;
  readonly verify: boolean;
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly alpn: readonly string[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3' | undefined;
  readonly ciphers: string | undefined;
}

/** Starts connections. The wire may be written to at once; `wireClosed` tells of a failed connect. */
export interface Connector {
  connect(address: Address, tls: UpstreamTls | undefined, connected: () => void): Wire;
}
