import type { Protocol } from '../src/api/kinds/meta.ts';
import type { Family } from '../src/net/ip.ts';
import type { Endpoint } from './endpoint.ts';

/** A port of a service as its author wrote it, defaults applied. */
export interface ServicePortInfo {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** 0 = none. */
  readonly nodePort: number;
  readonly appProtocol: string | undefined;
}

export interface LoadBalancerAddress {
  readonly address: string;
  readonly family: Family;
  /** Proxy: traffic really goes to the balancer; the service proxy installs nothing (KEP-1860). */
  readonly mode: 'VIP' | 'Proxy';
}

/**
 * A service with everything that stands behind it: the one value that DNS, proxy and ingress read.
 * Immutable: a change of the Service or of one of its slices replaces the value.
 */
export interface ServiceEntry {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly resourceVersion: string;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  /** clusterIP None. */
  readonly headless: boolean;
  /** Canonical; empty for headless, ExternalName and not yet allocated. First one is primary. */
  readonly clusterIPs: readonly string[];
  readonly families: readonly Family[];
  readonly externalName: string | undefined;
  readonly externalIPs: readonly string[];
  readonly loadBalancer: readonly LoadBalancerAddress[];
  readonly loadBalancerHostnames: readonly string[];
  /** As written, trimmed; the proxy splits them by family. */
  readonly sourceRanges: readonly string[];
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  /** 0 = no affinity. */
  readonly affinitySeconds: number;
  readonly healthCheckNodePort: number;
  readonly publishNotReady: boolean;
  readonly trafficDistribution: string | undefined;
  readonly ports: readonly ServicePortInfo[];
  /** All endpoints of both families, de-duplicated, in ascending order of family and address. */
  readonly endpoints: readonly Endpoint[];
  /** Labels service.kubernetes.io/service-proxy-name: another proxy serves it. */
  readonly foreignProxy: boolean;
  /** Newest endpoints.kubernetes.io/last-change-trigger-time among slices, ms since epoch; 0 = unknown. */
  readonly triggerTimeMs: number;
}
