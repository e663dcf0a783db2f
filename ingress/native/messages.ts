import type { CanaryRoute, Route } from '../compile/route.ts';
import type { UserRegex } from '../compile/user-regex.ts';
import type { RoutePolicy } from '../policy.ts';
import type { FailedTry } from '../relay/failed-try.ts';
import type { GlobalSettings } from '../settings.ts';
import type { TallyLabels } from '../observe/tallies.ts';
import type { TlsFacts } from '../http/exchange.ts';
import type { Address } from '../wire.ts';
import type { NameAnswered, NameAsked, StapleAnswered, StapleAsked } from './tls-messages.ts';

/** What the main thread and a worker tell each other. Everything here survives a structured clone. */

/** A route of the worker with its policy; others without one, for they decide whose path it is. */
export interface SentRoute extends Omit<Route, 'policy' | 'canary'> {
  readonly policy: RoutePolicy | undefined;
  readonly canary: CanaryRoute | undefined;
  /** Its path is a pattern. */
  readonly regex: UserRegex | undefined;
  /** The cluster of its backend; undefined = requests are handed over. */
  readonly cluster: string | undefined;
  readonly canaryCluster: string | undefined;
  /** The rules that certificates of its clients must have been checked by; undefined = none, or there is no authority. */
  readonly checkedBy: string | undefined;
}

export interface SentHost {
  /** What clients ask for: the host of the rules or an alias. */
  readonly key: string;
  readonly name: string;
  readonly routes: readonly SentRoute[];
  readonly fallback: SentRoute | undefined;
  /** All of it is handed over: it is redirected to another host. */
  readonly portable: boolean;
}

export interface SentHeaders {
  readonly configMap: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

export interface SentCluster {
  readonly id: string;
  readonly addresses: readonly Address[];
}

/** The next version of a worker's table: what changed since the one before. In force whole, between two events. */
export interface TableUpdate {
  readonly kind: 'table';
  readonly version: number;
  readonly settings: GlobalSettings;
  /** False = every request is handed over. */
  readonly fast: boolean;
  readonly hosts: readonly SentHost[];
  readonly removed: readonly string[];
  readonly catchAll: SentRoute | undefined;
  /** Hosts that no exact or wildcard name takes may match a pattern: handed over. */
  readonly patterns: boolean;
  /** ConfigMaps of custom headers that are others now, by `namespace/name`. */
  readonly responseHeaders: readonly SentHeaders[];
  /** Clusters it routes to that are new. */
  readonly clusters: readonly SentCluster[];
}

export type ToWorker =
  | TableUpdate
  | { readonly kind: 'clusters'; readonly clusters: readonly SentCluster[] }
  | { readonly kind: 'forget'; readonly clusters: readonly string[] }
  | NameAnswered
  | StapleAnswered
  | { readonly kind: 'drain' };

/** What the portable engine shall do with a connection it is given. */
export type Order =
  | { readonly kind: 'serve' }
  /** Nothing has been read: TLS begins with the next byte. */
  | { readonly kind: 'handshake' }
  /** Answer and close, as for a request that cannot be understood. */
  | { readonly kind: 'refuse'; readonly status: number; readonly reason: string }
  /** Serve; the first try has been made already and failed. */
  | ({ readonly kind: 'tried' } & FailedTry);

export interface HandedOver {
  readonly kind: 'handover';
  readonly fd: number;
  readonly listener: number;
  readonly address: string;
  readonly port: number;
  /** The worker speaks TLS with the client: the descriptor carries what is said. */
  readonly tls: TlsFacts | undefined;
  /** Read but not used: the request from its first byte on. */
  readonly bytes: Uint8Array;
  /** Requests served on this connection before. */
  readonly served: number;
  readonly order: Order;
}

export type FromWorker =
  | HandedOver
  | NameAsked
  | StapleAsked
  /** A connection was closed before its first request. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** The worker's OpenSSL does not take a certificate or its rules: the portable engine serves that name. */
  | { readonly kind: 'tls-unusable'; readonly reason: string }
  | { readonly kind: 'applied'; readonly version: number }
  | { readonly kind: 'tally'; readonly labels: TallyLabels; readonly memory: Float64Array<SharedArrayBuffer> }
  | { readonly kind: 'ejected'; readonly cluster: string; readonly endpoint: string; readonly forMs: number }
  | { readonly kind: 'log'; readonly lines: readonly string[] }
  | { readonly kind: 'accept-failed'; readonly errno: string }
  | { readonly kind: 'broken'; readonly reason: string };

/** Given to a worker when it starts. */
export interface WorkerStart {
  readonly listeners: readonly { readonly fd: number; readonly port: number; readonly secure: boolean }[];
  readonly counts: Float64Array<SharedArrayBuffer>;
  /** Of TlsSessions. */
  readonly sessions: Float64Array<SharedArrayBuffer>;
}

/** What a worker counts in shared memory, by place. One writer. */
export const COUNT = { ACCEPTED: 0, CONNECTIONS: 1, REQUESTS: 2, ARENA_FULL: 3, WORDS: 4 } as const;
