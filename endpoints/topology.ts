import type { Endpoint } from './endpoint.ts';

/** Where a proxy runs, as far as the choice of endpoints goes. */
export interface Place {
  readonly name: string;
  readonly zone: string | undefined;
}

/** What narrows the cluster set: node hints, zone hints or nothing (KEP-2433, KEP-3015). */
export type TopologyMode = 'same-node' | 'same-zone' | 'none';

/** Which sets a service port needs. */
export interface SetsNeeded {
  readonly cluster: boolean;
  readonly local: boolean;
}

/** One endpoint that has the port, with that port's number. */
export interface Candidate {
  readonly endpoint: Endpoint;
  readonly port: number;
  readonly local: boolean;
}

export interface Selection {
  readonly mode: TopologyMode;
  readonly cluster: readonly Candidate[];
  readonly local: readonly Candidate[];
  /** Usable endpoints exist anywhere: an empty set then means drop, else refuse. */
  readonly any: boolean;
  /** The cluster set consists of serving, terminating endpoints because none is ready. */
  readonly clusterFallback: boolean;
  readonly localFallback: boolean;
}

/** Only ready endpoints are asked; one of them without a hint turns that hint off for the whole port. */
export function topologyMode(candidates: readonly Candidate[], place: Place): TopologyMode {
  let allNodes = true;
  let allZones = true;
  let thisNode = false;
  let thisZone = false;
  for (const { endpoint } of candidates) {
    if (!endpoint.ready) continue;
    if (endpoint.nodeHints.length === 0) allNodes = false;
    else thisNode ||= endpoint.nodeHints.includes(place.name);
    if (endpoint.zoneHints.length === 0) allZones = false;
    else thisZone ||= place.zone !== undefined && endpoint.zoneHints.includes(place.zone);
  }
  if (allNodes && thisNode) return 'same-node';
  return allZones && thisZone ? 'same-zone' : 'none';
}

export function hinted(endpoint: Endpoint, mode: TopologyMode, place: Place): boolean {
  if (mode === 'same-node') return endpoint.nodeHints.includes(place.name);
  return mode === 'none' || endpoint.zoneHints.includes(place.zone ?? '');
}

/** Last resort while pods go (KEP-1669): they still answer. */
export function servesWhileTerminating({ serving, terminating }: Endpoint): boolean {
  return serving && terminating;
}

/** The endpoints a packet may reach, by policy; the same for every proxy mode. */
export function selectEndpoints(
  candidates: readonly Candidate[],
  needs: SetsNeeded,
  place: Place,
): Selection {
  const mode = needs.cluster ? topologyMode(candidates, place) : 'none';
  let cluster = needs.cluster
    ? candidates.filter(({ endpoint }) => endpoint.ready && hinted(endpoint, mode, place))
    : [];
  const clusterFallback = needs.cluster && cluster.length === 0;
  if (clusterFallback) cluster = candidates.filter(({ endpoint }) => servesWhileTerminating(endpoint));
  let local = needs.local ? candidates.filter(({ endpoint, local: here }) => here && endpoint.ready) : [];
  const localFallback = needs.local && local.length === 0;
  if (localFallback)
    local = candidates.filter(({ endpoint, local: here }) => here && servesWhileTerminating(endpoint));
  const any =
    cluster.length > 0 ||
    candidates.some(({ endpoint }) => endpoint.ready || servesWhileTerminating(endpoint));
  return { mode, cluster, local, any, clusterFallback, localFallback };
}
