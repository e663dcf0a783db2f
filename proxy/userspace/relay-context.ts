import type { NodeSettings } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import type { DecisionSettings } from '../decide.ts';
import type { SourceClassifier } from '../source.ts';
import type { Ejections } from './ejection.ts';
import type { ProxyProtocol } from './proxy-protocol.ts';
import type { SessionTable } from './session-table.ts';

export interface RelayLimits {
  readonly tcpSessionsMax: number;
  readonly udpSessionsMax: number;
  readonly tcpIdleSeconds: number;
  readonly tcpHalfClosedIdleSeconds: number;
  readonly udpIdleSeconds: number;
  readonly affinityClientsMax: number;
  readonly dialDeadlinesMs: readonly number[];
}

/** What every service port of one userspace backend shares. */
export interface RelayContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ejections: Ejections;
  readonly tcp: SessionTable;
  readonly udp: SessionTable;
  readonly limits: RelayLimits;
  readonly proxyProtocol: ProxyProtocol | undefined;
  /** This and what follows from it are replaced when the node's settings change. */
  node: NodeSettings;
  classifier: SourceClassifier;
  decision: DecisionSettings;
}
