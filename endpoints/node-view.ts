import type { Protocol } from '../src/api/kinds/meta.ts';
import type { Family } from '../src/net/ip.ts';

/** How a proxy tells local pods from everybody else (KubeProxyConfiguration detectLocal). */
export type DetectLocal =
  | { readonly mode: 'ClusterCIDR'; readonly cidrs: readonly string[] }
  | { readonly mode: 'NodeCIDR'; readonly cidrs: readonly string[] }
  | { readonly mode: 'BridgeInterface'; readonly bridge: string }
  | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string }
  | { readonly mode: 'None' };

/** What one node's proxy must know of itself, for one address family. */
export interface NodeSettings {
  readonly name: string;
  readonly zone: string | undefined;
  readonly family: Family;
  /** All addresses of the host in this family, canonical. */
  readonly addresses: readonly string[];
  /** The Node object's addresses in this family. */
  readonly primaryAddresses: readonly string[];
  /** CIDRs; empty = the mode's default; the word `primary` is allowed. */
  readonly nodePortAddresses: readonly string[];
  readonly detectLocal: DetectLocal;
  readonly masqueradeAll: boolean;
  readonly localhostNodePorts: boolean;
  readonly serviceCIDRs: readonly string[];
  readonly allowExternalIPs: boolean;
  /** Follow kube-proxy to the letter where weft would rather not (source ranges of the other family only). */
  readonly strict?: boolean;
}

export interface EndpointAddressPort {
  readonly address: string;
  readonly port: number;
  /** On this node, or nobody says on which: its packets to itself may pass here. */
  readonly maybeLocal: boolean;
}

/**
 * One service port as this node's proxy sees it: the decision which endpoints a packet may reach is already
 * made. Immutable; replaced when anything in it changes.
 */
export interface ServicePortView {
  /** `namespace/name:portName/PROTOCOL` (portName may be empty). */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly portName: string;
  readonly protocol: Protocol;
  readonly clusterIP: string | undefined;
  readonly port: number;
  /** 0 = none. */
  readonly nodePort: number;
  readonly externalIPs: readonly string[];
  /** Only those with ipMode VIP. */
  readonly loadBalancerIPs: readonly string[];
  /** Of this family, for the load balancer addresses. Empty = open to all. */
  readonly sourceRanges: readonly string[];
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  /** 0 = no affinity. */
  readonly affinitySeconds: number;
  readonly healthCheckNodePort: number;
  /** For policy Cluster, topology hints applied, terminating fallback applied; ascending address order. */
  readonly clusterEndpoints: readonly EndpointAddressPort[];
  /** For policy Local on this node. */
  readonly localEndpoints: readonly EndpointAddressPort[];
  /** Usable endpoints anywhere in the cluster exist: an empty set then means drop, else reject. */
  readonly anyEndpoints: boolean;
  /** Ready local endpoint addresses, for the health check port. */
  readonly readyLocalCount: number;
  readonly triggerTimeMs: number;
  /** Header that tells endpoints the client's address; only proxies that hold the connection can send it. */
  readonly proxyProtocol: 'v1' | 'v2' | undefined;
}

/** A node's view of all services in one family at one version; ports is live, values are immutable. */
export interface NodeView {
  readonly version: number;
  readonly node: NodeSettings;
  readonly ports: ReadonlyMap<string, ServicePortView>;
}

/** Keys of NodeView.ports that were added, replaced or removed; complete false = look at everything. */
export interface NodeViewChanges {
  readonly complete: boolean;
  readonly ports: ReadonlySet<string>;
}
