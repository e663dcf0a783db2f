import { joinHostPort } from '../src/net/ip.ts';
import { portKey, type Endpoint } from './endpoint.ts';
import type { NodeSettings } from './node-view.ts';
import { notProxied, portCandidates, portViewKey, setsNeeded } from './port-views.ts';
import type { ServiceEntry, ServicePortInfo } from './service-port.ts';
import { hinted, selectEndpoints, type Candidate, type Selection } from './topology.ts';

/** One endpoint of a service port, in or out of each set, and why in words. */
export interface EndpointReason {
  /** `ip:port`; only the address when the endpoint lacks the port. */
  readonly endpoint: string;
  readonly node: string | undefined;
  /** In the set for policy Cluster. */
  readonly cluster: boolean;
  /** In the set for policy Local on this node. */
  readonly local: boolean;
  readonly reason: string;
}

export interface PortReasons {
  readonly key: string;
  /** What narrows the choice, in words. */
  readonly selection: string;
  readonly endpoints: readonly EndpointReason[];
}

/** For one service and node: each endpoint in or out with the reason, or why the service is not proxied at all. */
export function explainService(
  entry: ServiceEntry,
  node: NodeSettings,
): { readonly notProxied: string | undefined; readonly ports: readonly PortReasons[] } {
  const why = notProxied(entry, node.family);
  if (why !== undefined) return { notProxied: why, ports: [] };
  return { notProxied: undefined, ports: entry.ports.map((port) => explainPort(entry, port, node)) };
}

function explainPort(entry: ServiceEntry, port: ServicePortInfo, node: NodeSettings): PortReasons {
  const vips = entry.loadBalancer.filter(({ family, mode }) => family === node.family && mode === 'VIP');
  const external =
    port.nodePort > 0 || vips.length > 0 || (node.allowExternalIPs && entry.externalIPs.length > 0);
  const candidates = portCandidates(entry, port, node.family, node.name);
  const selection = selectEndpoints(candidates, setsNeeded(entry, external), node);
  const byEndpoint = new Map(candidates.map((candidate) => [candidate.endpoint, candidate]));
  return {
    key: portViewKey(entry, port),
    selection: describe(selection),
    endpoints: entry.endpoints.map((endpoint) => {
      const candidate = byEndpoint.get(endpoint);
      return candidate
        ? explainCandidate(candidate, selection, node)
        : outsider(endpoint, portKey(port.name, port.protocol), node);
    }),
  };
}

function describe({ mode, clusterFallback, cluster, any }: Selection): string {
  if (!any) return 'no usable endpoint anywhere';
  if (clusterFallback && cluster.length > 0)
    return 'none is ready: terminating endpoints that still serve are used';
  if (mode === 'same-node') return 'every ready endpoint has node hints and one names this node';
  if (mode === 'same-zone') return 'every ready endpoint has zone hints and one names this zone';
  return 'no topology hints apply';
}

function outsider(endpoint: Endpoint, key: string, node: NodeSettings): EndpointReason {
  const reason =
    endpoint.family !== node.family ? `is ${endpoint.family}` : `has no port ${key} in its slice`;
  return { endpoint: endpoint.address, node: endpoint.nodeName, cluster: false, local: false, reason };
}

function explainCandidate(candidate: Candidate, selection: Selection, node: NodeSettings): EndpointReason {
  const cluster = selection.cluster.includes(candidate);
  const local = selection.local.includes(candidate);
  return {
    endpoint: joinHostPort(candidate.endpoint.address, candidate.port),
    node: candidate.endpoint.nodeName,
    cluster,
    local,
    reason: reasonOf(candidate, selection, node, cluster || local),
  };
}

function reasonOf(candidate: Candidate, selection: Selection, node: NodeSettings, used: boolean): string {
  const { endpoint } = candidate;
  const where = candidate.local ? 'on this node' : `on ${endpoint.nodeName ?? 'no known node'}`;
  if (used) return `${endpoint.ready ? 'ready' : 'terminating but serving, as the last resort'}, ${where}`;
  if (!endpoint.ready) {
    if (endpoint.terminating)
      return endpoint.serving ? 'terminating, and ready ones exist' : 'terminating and no longer serving';
    return 'not ready';
  }
  if (!hinted(endpoint, selection.mode, node)) {
    const hints = selection.mode === 'same-node' ? endpoint.nodeHints : endpoint.zoneHints;
    return `ready, but its hints name ${hints.join(', ')}`;
  }
  return `ready, but ${where} and the policy is Local`;
}
