import type { NodeSettings } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Family } from '../../src/net/ip.ts';
import type { DecisionSettings } from '../packet/decide.ts';
import { MODE_TRAITS } from '../mode-traits.ts';
import { detectsPods, type SourceClassifier, sourceClassifier } from '../packet/source.ts';
import { Ejections } from './ejection.ts';
import type { ProxyProtocol } from './proxy-protocol.ts';
import { SessionTable } from './session-table.ts';

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

/** One a thread that decides. */
export function relayContext(
  deps: Pick<RelayContext, 'clock' | 'log'>,
  options: Pick<RelayContext, 'limits' | 'proxyProtocol' | 'node'>,
): RelayContext {
  const { limits, proxyProtocol, node } = options;
  return {
    ...deps,
    limits,
    proxyProtocol,
    ejections: new Ejections(deps),
    tcp: new SessionTable(limits.tcpSessionsMax),
    udp: new SessionTable(limits.udpSessionsMax),
    ...standing(node),
  };
}

/** What follows from the node's settings. */
export function standing(node: NodeSettings): Pick<RelayContext, 'node' | 'classifier' | 'decision'> {
  return {
    node,
    classifier: sourceClassifier(node),
    decision: {
      traits: MODE_TRAITS.userspace,
      masqueradeAll: node.masqueradeAll,
      detectsPods: detectsPods(node),
    },
  };
}

/** Until the real settings are told. */
export function unknownNode(family: Family): NodeSettings {
  return {
    name: '',
    zone: undefined,
    family,
    addresses: [],
    primaryAddresses: [],
    nodePortAddresses: [],
    detectLocal: { mode: 'None' },
    masqueradeAll: false,
    localhostNodePorts: false,
    serviceCIDRs: [],
    allowExternalIPs: false,
  };
}
