import type { EndpointSlice, SliceEndpoint } from '../../src/api/kinds/endpoint-slice.ts';
import type { KubeObject, UnknownObject } from '../../src/api/kinds/meta.ts';
import type { Node } from '../../src/api/kinds/node.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import type { Service, ServicePort, ServiceSpec } from '../../src/api/kinds/service.ts';

/** Short ways to write the objects that the model reads. Keys are `namespace/name`. */
function metadata(key: string): { namespace: string; name: string } {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}

export function service(
  key: string,
  spec: Omit<ServiceSpec, 'ports'> & { ports?: ServicePort[] },
  loadBalancerIPs: readonly string[] = [],
): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(key),
    spec: { ports: [{ name: 'http', port: 80 }], ...spec },
    status: { loadBalancer: { ingress: loadBalancerIPs.map((ip) => ({ ip })) } },
  };
}

export interface ShortEndpoint {
  readonly ip: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
  readonly nodeName?: string;
  readonly zoneHints?: readonly string[];
  readonly nodeHints?: readonly string[];
}

export interface ShortSlice {
  readonly addressType?: EndpointSlice['addressType'];
  /** Port by name, TCP; a name may end in `/UDP` or `/SCTP`. */
  readonly ports: Readonly<Record<string, number | null>>;
  readonly endpoints: readonly ShortEndpoint[];
  /** The source cluster of an imported slice. */
  readonly imported?: string;
}

export function slice(key: string, owner: string, short: ShortSlice): EndpointSlice {
  const labels: Record<string, string> =
    short.imported === undefined
      ? { 'kubernetes.io/service-name': owner }
      : {
          'multicluster.kubernetes.io/service-name': owner,
          'multicluster.kubernetes.io/source-cluster': short.imported,
        };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadata(key), labels },
    addressType: short.addressType ?? 'IPv4',
    ports: Object.entries(short.ports).map(([id, port]) => {
      const [name = '', protocol = 'TCP'] = id.split('/') as [string?, 'TCP'?];
      return { name, protocol, port };
    }),
    endpoints: short.endpoints.map(sliceEndpoint),
  };
}

function sliceEndpoint(short: ShortEndpoint): SliceEndpoint {
  const { ip, ready = true, serving = ready || short.terminating === true, terminating = false } = short;
  return {
    addresses: [ip],
    conditions: { ready, serving, terminating },
    ...(short.nodeName !== undefined && { nodeName: short.nodeName }),
    hints: {
      forZones: (short.zoneHints ?? []).map((name) => ({ name })),
      forNodes: (short.nodeHints ?? []).map((name) => ({ name })),
    },
  };
}

export function node(name: string, internalIP: string, zone?: string): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, ...(zone !== undefined && { labels: { 'topology.kubernetes.io/zone': zone } }) },
    status: { addresses: [{ type: 'InternalIP', address: internalIP }] },
  };
}

export function namespace(name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

export function pod(key: string, ip: string, more: { hostNetwork?: boolean; phase?: 'Succeeded' }): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadata(key),
    spec: { containers: [], ...(more.hostNetwork && { hostNetwork: true }) },
    status: { phase: more.phase ?? 'Running', podIP: ip, podIPs: [{ ip }] },
  };
}

export function serviceImport(
  key: string,
  ips: readonly string[],
  ports: readonly { name: string; port: number }[],
): UnknownObject {
  return {
    apiVersion: 'multicluster.x-k8s.io/v1alpha1',
    kind: 'ServiceImport',
    metadata: metadata(key),
    spec: { type: ips.length > 0 ? 'ClusterSetIP' : 'Headless', ips, ports },
  };
}
