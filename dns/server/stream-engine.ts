import type { Clock } from '../../src/base/clock.ts';
import type { TlsFiles, TransportSettings } from '../block-settings.ts';
import type { Peer } from '../query.ts';
import type { FastPath } from './datagram-engine.ts';
import type { Answerer } from './responder.ts';

/** A listener for DNS over TCP or TLS. Engines differ in how they talk to the kernel, never in what they answer. */
export interface StreamEngine extends AsyncDisposable {
  readonly address: Peer;
  /** Replaces the fast path; undefined = everything goes to the chain. Called once at least. */
  useFastPath?(fast: FastPath | undefined): void;
  /**
   * Reads certificate and keys anew; connections from now on are met by them, and no ticket from before is good. Throws
   * Fault TLS_FILES, and all stays as it was.
   */
  renewTls?(files: TlsFiles): void;
  /** Accepts nothing more; connections end after their last answer. */
  drain(): void;
}

export interface StreamDeps {
  readonly clock: Clock;
  readonly responder: Answerer;
}

export interface StreamOptions {
  readonly address: string;
  readonly port: number;
  readonly listener: string;
  readonly settings?: Partial<Readonly<TransportSettings>>;
  /** With it: DNS over TLS (RFC 7858). */
  readonly tls?: TlsFiles;
}

/** Rejects with Fault LISTEN_FAILED or TLS_FILES. */
export type OpenStreamEngine = (deps: StreamDeps, options: StreamOptions) => Promise<StreamEngine>;
