import type { Logger } from '../../src/base/log.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Fields } from '../http/fields.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import type { EndpointState } from '../upstream/cluster.ts';
import type { OutgoingRequest, UpstreamHandler, UpstreamStream } from '../upstream/stream.ts';
import type { RoutedRequest } from './context.ts';
import type { RequestRecord } from './record.ts';
import type { Reply } from './reply.ts';
import type { Tunnel } from './tunnel.ts';

/** The endpoints one request may use, and what it does to their books. */
export interface Choice {
  /** The next endpoint, other than those tried; undefined = none is left. */
  pick(tried: readonly EndpointState[]): EndpointState | undefined;
  hasAnother(tried: readonly EndpointState[]): boolean;
  /** By `ip:port`. */
  named(id: string): EndpointState | undefined;
  /** Why pick finds none. */
  reason(): string;
  started(endpoint: EndpointState): void;
  connected(endpoint: EndpointState): void;
  answered(endpoint: EndpointState, status: number): void;
  failed(endpoint: EndpointState, failure: string): void;
  /** The request is over, whatever its end. */
  finished(nowMs: number): void;
  /** Set-Cookie of cookie affinity, when the answer has to carry one. */
  readonly cookie: string | undefined;
}

/** What relays share: implemented once by the gateway. */
export interface RelayServices {
  readonly wheel: TimerWheel;
  readonly log: Logger;
  nowMs(): number;
  open(
    endpoint: EndpointState,
    request: RoutedRequest,
    outgoing: OutgoingRequest,
    handler: UpstreamHandler,
    fresh: boolean,
  ): UpstreamStream;
  /** Sends an answer of our own and closes the books. */
  reply(exchange: Exchange, request: RoutedRequest, answer: Reply, record: RequestRecord): void;
  /** Header policies on an upstream's answer. */
  shapeResponse(request: RoutedRequest, status: number, fields: Fields, choice: Choice): void;
  /** Takes the exchange over when an error page service answers this status. */
  replaceError(
    exchange: Exchange,
    request: RoutedRequest,
    status: number,
    record: RequestRecord,
    noEndpoints: boolean,
  ): boolean;
  spendRetry(): boolean;
  tunnelOpened(tunnel: Tunnel): () => void;
  finished(record: RequestRecord, request: RoutedRequest, status: number, bytes: number): void;
}
