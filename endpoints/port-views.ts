import { HEADLESS_LABEL } from '../src/api/kinds/endpoint-slice.ts';
import type { Family } from '../src/net/ip.ts';
import { familyOf } from '../src/net/ip.ts';
import { kubeCidr } from './address.ts';
import { portKey } from './endpoint.ts';
import type { EndpointAddressPort, NodeSettings, ServicePortView } from './node-view.ts';
import type { ServiceEntry, ServicePortInfo } from './service-port.ts';
import { selectEndpoints, type Candidate, type SetsNeeded } from './topology.ts';

/** In place of a range that cannot be read: matches nobody, so a typo never opens a service. */
const NOBODY: Readonly<Record<Family, string>> = { IPv4: '0.0.0.0/32', IPv6: '::/128' };

/** `v1` or `v2`: the userspace proxy announces clients to this service's endpoints by the PROXY protocol. */
const PROXY_PROTOCOL_ANNOTATION = 'weft.dev/proxy-protocol';

/** Why the service proxy installs nothing for a service in a family; undefined = it does. */
export function notProxied(entry: ServiceEntry, family: Family): string | undefined {
  if (entry.type === 'ExternalName') return 'ExternalName services exist in DNS and ingress only';
  if (entry.foreignProxy)
    return 'the label service.kubernetes.io/service-proxy-name gives it to another proxy';
  if (entry.labels[HEADLESS_LABEL] !== undefined)
    return 'the label service.kubernetes.io/headless takes it from the proxy, cluster IP or not';
  if (entry.headless) return 'headless: clients connect to the endpoints themselves';
  if (clusterIPOf(entry, family) === undefined) return `no ${family} cluster IP`;
  return undefined;
}

export function clusterIPOf(entry: ServiceEntry, family: Family): string | undefined {
  return entry.clusterIPs.find((address) => familyOf(address) === family);
}

/** `namespace/name:portName/PROTOCOL`. */
export function portViewKey(entry: ServiceEntry, port: ServicePortInfo): string {
  return `${entry.key}:${port.name}/${port.protocol}`;
}

/** Endpoints of the family that have this port, in the entry's order. */
export function portCandidates(
  entry: ServiceEntry,
  port: ServicePortInfo,
  family: Family,
  nodeName: string,
): Candidate[] {
  const key = portKey(port.name, port.protocol);
  const candidates: Candidate[] = [];
  for (const endpoint of entry.endpoints) {
    const number = endpoint.family === family ? endpoint.ports.get(key) : undefined;
    if (number !== undefined)
      candidates.push({ endpoint, port: number, local: endpoint.nodeName === nodeName });
  }
  return candidates;
}

/** Pods reach the whole service by external addresses even under policy Local, so those need both sets. */
export function setsNeeded(entry: ServiceEntry, external: boolean): SetsNeeded {
  return {
    cluster: !entry.internalLocal || external,
    local: entry.internalLocal || (entry.externalLocal && external),
  };
}

/** The ports of one service as the proxy of this node serves them; none when it is not proxied. */
export function servicePortViews(entry: ServiceEntry, node: NodeSettings): readonly ServicePortView[] {
  const { family } = node;
  if (notProxied(entry, family) !== undefined) return [];
  const ofFamily = (address: string): boolean => familyOf(address) === family;
  const shared = {
    namespace: entry.namespace,
    name: entry.name,
    clusterIP: clusterIPOf(entry, family),
    externalIPs: node.allowExternalIPs ? entry.externalIPs.filter(ofFamily) : [],
    loadBalancerIPs: entry.loadBalancer
      .filter((address) => address.family === family && address.mode === 'VIP')
      .map(({ address }) => address),
    sourceRanges: sourceRanges(entry, node),
    internalLocal: entry.internalLocal,
    externalLocal: entry.externalLocal,
    affinitySeconds: entry.affinitySeconds,
    healthCheckNodePort: entry.healthCheckNodePort,
    readyLocalCount: readyLocalCount(entry, node),
    triggerTimeMs: entry.triggerTimeMs,
    proxyProtocol: proxyProtocol(entry),
  };
  return entry.ports.map((port) => {
    const external = port.nodePort > 0 || shared.externalIPs.length > 0 || shared.loadBalancerIPs.length > 0;
    const candidates = portCandidates(entry, port, family, node.name);
    const selection = selectEndpoints(candidates, setsNeeded(entry, external), node);
    return {
      ...shared,
      key: portViewKey(entry, port),
      portName: port.name,
      protocol: port.protocol,
      port: port.port,
      nodePort: port.nodePort,
      clusterEndpoints: selection.cluster.map(addressPort),
      localEndpoints: selection.local.map(addressPort),
      anyEndpoints: selection.any,
    };
  });
}

function addressPort({ endpoint, port, local }: Candidate): EndpointAddressPort {
  return { address: endpoint.address, port, maybeLocal: local || endpoint.nodeName === undefined };
}

/**
 * Ranges of this family; /0 among them opens it. When all ranges are of the other family, kube-proxy leaves this
 * one open; that is nobody's intention, so only `strict` does the same.
 */
function sourceRanges(entry: ServiceEntry, { family, strict }: NodeSettings): readonly string[] {
  const ranges: string[] = [];
  for (const text of entry.sourceRanges) {
    const range = kubeCidr(text);
    if (!range) ranges.push(NOBODY[family]);
    else if (range.family === family) ranges.push(range.text);
  }
  if (ranges.some((range) => range.endsWith('/0'))) return [];
  if (ranges.length === 0 && entry.sourceRanges.length > 0 && !strict) return [NOBODY[family]];
  return [...new Set(ranges)];
}

function readyLocalCount(entry: ServiceEntry, node: NodeSettings): number {
  if (entry.healthCheckNodePort === 0) return 0;
  const addresses = new Set<string>();
  for (const { family, ready, nodeName, ports, address } of entry.endpoints)
    if (family === node.family && ready && nodeName === node.name && ports.size > 0) addresses.add(address);
  return addresses.size;
}

function proxyProtocol({ annotations }: ServiceEntry): ServicePortView['proxyProtocol'] {
  const version = annotations[PROXY_PROTOCOL_ANNOTATION];
  return version === 'v1' || version === 'v2' ? version : undefined;
}

/** Equal in all that a backend acts on. */
export function samePortView(a: ServicePortView, b: ServicePortView): boolean {
  return (
    a.clusterIP === b.clusterIP &&
    a.port === b.port &&
    a.nodePort === b.nodePort &&
    a.internalLocal === b.internalLocal &&
    a.externalLocal === b.externalLocal &&
    a.affinitySeconds === b.affinitySeconds &&
    a.healthCheckNodePort === b.healthCheckNodePort &&
    a.anyEndpoints === b.anyEndpoints &&
    a.proxyProtocol === b.proxyProtocol &&
    a.readyLocalCount === b.readyLocalCount &&
    sameTexts(a.externalIPs, b.externalIPs) &&
    sameTexts(a.loadBalancerIPs, b.loadBalancerIPs) &&
    sameTexts(a.sourceRanges, b.sourceRanges) &&
    sameEndpoints(a.clusterEndpoints, b.clusterEndpoints) &&
    sameEndpoints(a.localEndpoints, b.localEndpoints)
  );
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

export function sameEndpoints(a: readonly EndpointAddressPort[], b: readonly EndpointAddressPort[]): boolean {
  return (
    a.length === b.length &&
    a.every((endpoint, i) => {
      const other = b[i];
      return (
        endpoint.address === other?.address &&
        endpoint.port === other.port &&
        endpoint.maybeLocal === other.maybeLocal
      );
    })
  );
}

/** Says of an endpoint that it was found dead though its conditions say ready. */
export type IsOut = (address: string, port: number) => boolean;

/** Leaves dead endpoints out. A set that would be empty stays whole: then the finding itself is in doubt. */
export function withoutDead(view: ServicePortView, isOut: IsOut): ServicePortView {
  if (view.protocol !== 'TCP') return view;
  const clusterEndpoints = living(view.clusterEndpoints, isOut);
  const localEndpoints = living(view.localEndpoints, isOut);
  const same = clusterEndpoints === view.clusterEndpoints && localEndpoints === view.localEndpoints;
  return same ? view : { ...view, clusterEndpoints, localEndpoints };
}

function living(endpoints: readonly EndpointAddressPort[], isOut: IsOut): readonly EndpointAddressPort[] {
  const left = endpoints.filter(({ address, port }) => !isOut(address, port));
  return left.length === 0 || left.length === endpoints.length ? endpoints : left;
}
