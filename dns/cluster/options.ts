import type { Fallthrough } from '../fallthrough.ts';
import type { Selector } from './selector.ts';

/** What the `kubernetes` stanza says. Zones are absolute and folded. */
export interface ClusterOptions {
  /** In order, forward and reverse. */
  readonly zones: readonly string[];
  /** First forward zone: PTR targets lie in it. */
  readonly primaryZone: string;
  readonly pods: 'disabled' | 'insecure' | 'verified';
  readonly endpointPodNames: boolean;
  readonly ttlSeconds: number;
  readonly noEndpoints: boolean;
  readonly ignoreEmptyService: boolean;
  /** Undefined = off; empty = every zone. */
  readonly fallthrough: Fallthrough;
  /** Undefined = all. */
  readonly namespaces: ReadonlySet<string> | undefined;
  readonly namespaceLabels: Selector | undefined;
  readonly labels: Selector | undefined;
  readonly multiclusterZones: readonly string[];
  readonly zonal: boolean;
  readonly startupTimeoutMs: number;
  /** Answers for headless services by the zone of the client. */
  readonly zoneOrder: boolean;
  /** Where the compiled table is kept for the next start; undefined = nowhere. */
  readonly snapshotFile: string | undefined;
  /** CoreDNS's oddities to the letter. */
  readonly strict: boolean;
}

export const DEFAULT_TTL_SECONDS = 5;
export const MAX_TTL_SECONDS = 3600;
/** The SOA's own ttl never passes this. */
export const SOA_TTL_MAX_SECONDS = 300;
/** Fixed ttl of `dns-version` (specification 2.2 asks for no value; CoreDNS says 28800). */
export const VERSION_TTL_SECONDS = 28_800;
export const DEFAULT_STARTUP_TIMEOUT_MS = 5000;
/** The version of the Kubernetes DNS specification that is implemented. */
export const DNS_VERSION = '1.1.0';
/** CNAME hops inside our zones before a chain is cut. */
export const ALIAS_HOPS_MAX = 8;

export const DEFAULT_CLUSTER_OPTIONS: Omit<ClusterOptions, 'zones' | 'primaryZone' | 'strict'> = {
  pods: 'disabled',
  endpointPodNames: false,
  ttlSeconds: DEFAULT_TTL_SECONDS,
  noEndpoints: false,
  ignoreEmptyService: false,
  fallthrough: undefined,
  namespaces: undefined,
  namespaceLabels: undefined,
  labels: undefined,
  multiclusterZones: [],
  zonal: false,
  startupTimeoutMs: DEFAULT_STARTUP_TIMEOUT_MS,
  zoneOrder: false,
  snapshotFile: undefined,
};

export function isReverseZone(zone: string): boolean {
  return /(^|\.)(in-addr|ip6)\.arpa\.$/.test(zone);
}
