import type { SliceEndpoint } from '../../src/api/kinds/endpoint-slice.ts';
import type { Service } from '../../src/api/kinds/service.ts';

const MODE_ANNOTATIONS = [
  'service.kubernetes.io/topology-mode',
  'service.kubernetes.io/topology-aware-hints',
];
/** A zone may carry this much more than its share before hints are not worth it (KEP-2433). */
const OVERLOAD_THRESHOLD = 0.2;

const DISTRIBUTION_MODES: ReadonlyMap<string, HintMode> = new Map([
  ['PreferClose', 'same-zone'],
  ['PreferSameZone', 'same-zone'],
  ['PreferSameNode', 'same-node'],
]);

/** Allocatable CPU by zone; undefined when a node does not say its zone or its CPU. */
export type ZoneShares = ReadonlyMap<string, number> | undefined;

export type HintMode = 'none' | 'auto' | 'same-zone' | 'same-node';

export interface Hinted {
  readonly endpoints: readonly SliceEndpoint[];
  /** Why mode auto gave no hints, for the TopologyAwareHintsDisabled event. */
  readonly refusal?: string;
}

/** What the service asks for; the annotation wins over spec.trafficDistribution. */
export function hintMode(service: Service): HintMode {
  for (const annotation of MODE_ANNOTATIONS) {
    const value = service.metadata.annotations?.[annotation];
    if (value === 'Auto' || value === 'auto') return 'auto';
  }
  return DISTRIBUTION_MODES.get(service.spec.trafficDistribution ?? '') ?? 'none';
}

/** The endpoints of one family with the hints their service asks for; hints are only for ready ones. */
export function withHints(endpoints: readonly SliceEndpoint[], mode: HintMode, zones: ZoneShares): Hinted {
  if (mode === 'none') return { endpoints };
  if (mode === 'auto') return proportional(endpoints, zones);
  return {
    endpoints: endpoints.map((endpoint) => {
      if (!isReady(endpoint) || !endpoint.zone) return endpoint;
      const forZones = [{ name: endpoint.zone }];
      const node = mode === 'same-node' ? endpoint.nodeName : undefined;
      return { ...endpoint, hints: { forZones, ...(node && { forNodes: [{ name: node }] }) } };
    }),
  };
}

function isReady(endpoint: SliceEndpoint): boolean {
  return endpoint.conditions?.ready !== false;
}

/**
 * Zones get ready endpoints in proportion to their CPU: each zone keeps its own up to its share, what is left
 * goes to the zones that lack most. No hints when a zone would be overloaded by more than the threshold.
 */
function proportional(endpoints: readonly SliceEndpoint[], zones: ZoneShares): Hinted {
  const ready = endpoints.filter(isReady);
  const refusal = refuse(ready, zones);
  if (refusal || !zones) return { endpoints, refusal: refusal ?? 'zones are not known' };
  const total = [...zones.values()].reduce((sum, cpu) => sum + cpu, 0);
  const want = new Map<string, number>();
  for (const [zone, cpu] of zones) want.set(zone, minimumFor((cpu / total) * ready.length));
  const given = new Map<SliceEndpoint, string>();
  for (const endpoint of ready) take(want, endpoint.zone ?? undefined, endpoint, given);
  for (const endpoint of ready) {
    if (given.has(endpoint)) continue;
    const neediest = [...want.entries()].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0];
    const zone = neediest && neediest[1] > 0 ? neediest[0] : (endpoint.zone ?? undefined);
    if (zone) give(want, zone, endpoint, given);
  }
  if ([...want.values()].some((lacking) => lacking > 0)) {
    return { endpoints, refusal: 'a zone would be overloaded' };
  }
  return {
    endpoints: endpoints.map((endpoint) => {
      const zone = given.get(endpoint);
      return zone ? { ...endpoint, hints: { forZones: [{ name: zone }] } } : endpoint;
    }),
  };
}

function refuse(ready: readonly SliceEndpoint[], zones: ZoneShares): string | undefined {
  if (!zones) return 'a node does not say its zone or its CPU';
  if (zones.size < 2) return 'fewer than two zones';
  if (ready.length < zones.size) return 'fewer endpoints than zones';
  return ready.some((endpoint) => !endpoint.zone) ? 'an endpoint has no zone' : undefined;
}

/** The fewest endpoints that keep a zone under its share plus the threshold. */
function minimumFor(share: number): number {
  return Math.ceil(share / (1 + OVERLOAD_THRESHOLD));
}

function take(
  want: Map<string, number>,
  zone: string | undefined,
  endpoint: SliceEndpoint,
  given: Map<SliceEndpoint, string>,
): void {
  if (zone && (want.get(zone) ?? 0) > 0) give(want, zone, endpoint, given);
}

function give(
  want: Map<string, number>,
  zone: string,
  endpoint: SliceEndpoint,
  given: Map<SliceEndpoint, string>,
): void {
  given.set(endpoint, zone);
  want.set(zone, (want.get(zone) ?? 0) - 1);
}
