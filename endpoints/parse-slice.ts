import {
  HEADLESS_LABEL,
  SERVICE_NAME_LABEL,
  type EndpointSlice,
  type SliceEndpoint,
} from '../src/api/kinds/endpoint-slice.ts';
import { HOSTNAME_LABEL } from '../src/api/kinds/node.ts';
import type { Family } from '../src/net/ip.ts';
import { addressSortKey, kubeAddress } from './address.ts';
import { portKey, type Endpoint } from './endpoint.ts';

/** Multi-cluster services: KEP-1645, labels of imported slices. */
const IMPORT_NAME_LABEL = 'multicluster.kubernetes.io/service-name';
const IMPORT_CLUSTER_LABEL = 'multicluster.kubernetes.io/source-cluster';
const TRIGGER_TIME_ANNOTATION = 'endpoints.kubernetes.io/last-change-trigger-time';

/** One usable endpoint of one slice, with what merging needs. */
export interface SliceMember {
  readonly endpoint: Endpoint;
  readonly sortKey: string;
  readonly clusterId: string | undefined;
}

/** A slice reduced to what the model keeps. Immutable. */
export interface ParsedSlice {
  /** `namespace/name` of the Service; undefined when the slice belongs to none. */
  readonly serviceKey: string | undefined;
  /** `namespace/name` of the ServiceImport. */
  readonly importKey: string | undefined;
  readonly members: readonly SliceMember[];
  /** Labelled as belonging to a headless service. */
  readonly headless: boolean;
  readonly triggerTimeMs: number;
  /** What was ignored and why. */
  readonly oddities: readonly string[];
}

/** Reduces a slice. FQDN slices have no members; null and zero ports are left out. */
export function parseSlice(slice: EndpointSlice): ParsedSlice {
  const oddities: string[] = [];
  const namespace = slice.metadata.namespace ?? '';
  const labels = slice.metadata.labels ?? {};
  const owner = (name: unknown): string | undefined =>
    typeof name === 'string' && name !== '' ? `${namespace}/${name}` : undefined;
  const clusterId = labels[IMPORT_CLUSTER_LABEL];
  return {
    serviceKey: owner(labels[SERVICE_NAME_LABEL]),
    importKey: owner(labels[IMPORT_NAME_LABEL]),
    members: parseMembers(slice, clusterId, oddities),
    headless: labels[HEADLESS_LABEL] !== undefined,
    triggerTimeMs: triggerTime(slice),
    oddities,
  };
}

function parseMembers(
  slice: EndpointSlice,
  clusterId: string | undefined,
  oddities: string[],
): readonly SliceMember[] {
  const { addressType } = slice;
  if (addressType !== 'IPv4' && addressType !== 'IPv6') {
    if (addressType !== 'FQDN') oddities.push(`addressType ${String(addressType)} is unknown`);
    return [];
  }
  const ports = slicePorts(slice, oddities);
  const members: SliceMember[] = [];
  for (const from of slice.endpoints ?? []) {
    const endpoint = parseEndpoint(from, addressType, ports, oddities);
    if (endpoint) members.push({ endpoint, sortKey: addressSortKey(endpoint.address), clusterId });
  }
  return members;
}

function slicePorts(slice: EndpointSlice, oddities: string[]): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  for (const { name, protocol, port } of slice.ports ?? []) {
    if (!port) continue;
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      oddities.push(`port ${String(port)} is out of range`);
      continue;
    }
    const key = portKey(name ?? '', protocol ?? 'TCP');
    if (!ports.has(key)) ports.set(key, port);
  }
  return ports;
}

function parseEndpoint(
  from: SliceEndpoint,
  family: Family,
  ports: ReadonlyMap<string, number>,
  oddities: string[],
): Endpoint | undefined {
  const address = kubeAddress(from.addresses?.[0]);
  if (address?.family !== family) {
    oddities.push(`address ${String(from.addresses?.[0])} is no ${family} address`);
    return undefined;
  }
  const { conditions, targetRef } = from;
  return {
    family,
    address: address.text,
    ready: conditions?.ready ?? true,
    serving: conditions?.serving ?? true,
    terminating: conditions?.terminating ?? false,
    hostname: from.hostname || undefined,
    ...place(from),
    podName: targetRef?.kind === 'Pod' ? targetRef.name : undefined,
    ports,
  };
}

function place({
  nodeName,
  zone,
  hints,
  deprecatedTopology,
}: SliceEndpoint): Pick<Endpoint, 'nodeName' | 'zone' | 'zoneHints' | 'nodeHints'> {
  return {
    nodeName: nodeName ?? deprecatedTopology?.[HOSTNAME_LABEL],
    zone: zone ?? undefined,
    zoneHints: hints?.forZones?.map(({ name }) => name) ?? [],
    nodeHints: hints?.forNodes?.map(({ name }) => name) ?? [],
  };
}

function triggerTime(slice: EndpointSlice): number {
  const text = slice.metadata.annotations?.[TRIGGER_TIME_ANNOTATION];
  const parsed = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(parsed) ? 0 : parsed;
}

/** A ready member beats a live one, a live one a terminating one, a serving one the rest. */
function rank({ endpoint }: SliceMember): number {
  return (endpoint.ready ? 4 : 0) + (endpoint.terminating ? 0 : 2) + (endpoint.serving ? 1 : 0);
}

/**
 * Joins the members of all slices of one service, ascending by family and address. An address in several slices
 * becomes one endpoint per distinct set of ip:port: the same ip:port counts once and the better member keeps it.
 * `slices` must come in an order that does not depend on arrival, so ties always fall alike.
 */
export function mergeMembers(slices: readonly ParsedSlice[]): readonly SliceMember[] {
  const all = slices.length === 1 ? [...slices[0]!.members] : slices.flatMap((slice) => slice.members);
  all.sort((a, b) => (a.sortKey < b.sortKey ? -1 : a.sortKey > b.sortKey ? 1 : rank(b) - rank(a)));
  const merged: SliceMember[] = [];
  for (let start = 0; start < all.length;) {
    let end = start + 1;
    while (end < all.length && all[end]!.sortKey === all[start]!.sortKey) end++;
    if (end - start === 1) merged.push(all[start]!);
    else merged.push(...mergeSameAddress(all.slice(start, end)));
    start = end;
  }
  return merged;
}

/** Members of one address, best first: each keeps only the ip:port that no better member of its cluster has. */
function mergeSameAddress(members: readonly SliceMember[]): readonly SliceMember[] {
  const taken = new Set<string>();
  const kept: SliceMember[] = [];
  for (const member of members) {
    const id = (key: string, port: number): string => `${member.clusterId ?? ''} ${key} ${port}`;
    const left = [...member.endpoint.ports].filter(([key, port]) => !taken.has(id(key, port)));
    const portless = member.endpoint.ports.size === 0;
    const seen = kept.some((other) => other.clusterId === member.clusterId);
    if (left.length === 0 && (seen || !portless)) continue;
    for (const [key, port] of left) taken.add(id(key, port));
    keep(kept, member, new Map(left));
  }
  return kept.map((member) => withListings(member, members));
}

/** Counts the ready entries that say the same as a kept one. */
function withListings(kept: SliceMember, members: readonly SliceMember[]): SliceMember {
  const keys = kept.endpoint.ports;
  const same = members.filter(
    ({ endpoint, clusterId }) =>
      endpoint.ready &&
      clusterId === kept.clusterId &&
      endpoint.hostname === kept.endpoint.hostname &&
      (keys.size === 0 || [...endpoint.ports.keys()].some((key) => keys.has(key))),
  );
  return same.length < 2 ? kept : { ...kept, endpoint: { ...kept.endpoint, listings: same.length } };
}

/** Folds the ports into an equal endpoint already kept, so that one address stays one endpoint where it can. */
function keep(kept: SliceMember[], member: SliceMember, ports: ReadonlyMap<string, number>): void {
  const at = kept.findIndex(
    (other) =>
      other.clusterId === member.clusterId &&
      sameState(other.endpoint, member.endpoint) &&
      ![...ports.keys()].some((key) => other.endpoint.ports.has(key)),
  );
  const joined = at < 0 ? undefined : kept[at];
  if (!joined) kept.push({ ...member, endpoint: { ...member.endpoint, ports } });
  else {
    const all = new Map([...joined.endpoint.ports, ...ports]);
    kept[at] = { ...joined, endpoint: { ...joined.endpoint, ports: all } };
  }
}

function sameState(a: Endpoint, b: Endpoint): boolean {
  return (
    a.ready === b.ready &&
    a.serving === b.serving &&
    a.terminating === b.terminating &&
    a.hostname === b.hostname &&
    a.nodeName === b.nodeName &&
    a.zone === b.zone &&
    a.podName === b.podName &&
    a.zoneHints.join() === b.zoneHints.join() &&
    a.nodeHints.join() === b.nodeHints.join()
  );
}
