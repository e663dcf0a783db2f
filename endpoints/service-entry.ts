import { SERVICE_PROXY_NAME_LABEL } from '../src/api/kinds/endpoint-slice.ts';
import type { Protocol } from '../src/api/kinds/meta.ts';
import type { Service, ServicePort } from '../src/api/kinds/service.ts';
import type { Family } from '../src/net/ip.ts';
import { kubeAddress } from './address.ts';
import type { Endpoint } from './endpoint.ts';
import type { LoadBalancerAddress, ServiceEntry, ServicePortInfo } from './service-port.ts';

/** Kubernetes' default of sessionAffinityConfig.clientIP.timeoutSeconds. */
export const AFFINITY_SECONDS_DEFAULT = 10_800;

const PROTOCOLS: readonly unknown[] = ['TCP', 'UDP', 'SCTP'] satisfies Protocol[];
const TYPES: readonly unknown[] = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'];

/** Everything of a ServiceEntry but what stands behind it. */
export type ServiceFacts = Omit<ServiceEntry, 'endpoints' | 'triggerTimeMs'>;

/** Reads a Service with defaults applied; odd fields are left out and named in `oddities`. */
export function serviceFacts(service: Service): { facts: ServiceFacts; oddities: readonly string[] } {
  const oddities: string[] = [];
  const { metadata, spec } = service;
  const namespace = metadata.namespace ?? '';
  const type = TYPES.includes(spec.type ?? 'ClusterIP') ? (spec.type ?? 'ClusterIP') : 'ClusterIP';
  if (spec.type !== undefined && spec.type !== type) oddities.push(`type ${spec.type} is unknown`);
  const clusterIPs = clusterAddresses(service, oddities);
  const facts: ServiceFacts = {
    key: `${namespace}/${metadata.name}`,
    namespace,
    name: metadata.name,
    uid: metadata.uid ?? '',
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    resourceVersion: metadata.resourceVersion ?? '',
    type,
    headless: type !== 'ExternalName' && spec.clusterIP === 'None',
    clusterIPs: clusterIPs.map((address) => address.text),
    families: families(service, clusterIPs),
    externalName: type === 'ExternalName' ? spec.externalName : undefined,
    externalIPs: addresses(spec.externalIPs, 'externalIPs', oddities),
    ...loadBalancer(service, oddities),
    sourceRanges: texts(spec.loadBalancerSourceRanges),
    ...policies(service, type),
    affinitySeconds: affinitySeconds(service),
    publishNotReady: spec.publishNotReadyAddresses === true,
    trafficDistribution: spec.trafficDistribution,
    ports: servicePorts(spec.ports ?? [], oddities),
    foreignProxy: metadata.labels?.[SERVICE_PROXY_NAME_LABEL] !== undefined,
  };
  return { facts, oddities };
}

export function serviceEntry(
  facts: ServiceFacts,
  endpoints: readonly Endpoint[],
  triggerTimeMs: number,
): ServiceEntry {
  return { ...facts, endpoints, triggerTimeMs };
}

function texts(values: readonly unknown[] | undefined): string[] {
  return (values ?? []).map((value) => String(value).trim()).filter((text) => text !== '');
}

function addresses(values: readonly string[] | undefined, field: string, oddities: string[]): string[] {
  const found = new Set<string>();
  for (const value of values ?? []) {
    const address = kubeAddress(value);
    if (address) found.add(address.text);
    else oddities.push(`${field} holds ${value}, which is no address`);
  }
  return [...found];
}

type AddressList = readonly { readonly family: Family; readonly text: string }[];

function clusterAddresses({ spec }: Service, oddities: string[]): AddressList {
  if (spec.type === 'ExternalName') return [];
  const values = spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP ?? ''];
  return values.flatMap((value) => {
    if (value === 'None' || value === '') return [];
    const address = kubeAddress(value);
    if (!address) oddities.push(`clusterIP ${value} is no address`);
    return address ? [address] : [];
  });
}

/** As written, else of its addresses; a headless service without either speaks whatever its slices speak. */
function families({ spec }: Service, clusterIPs: AddressList): readonly Family[] {
  if (spec.type === 'ExternalName') return [];
  const written = (spec.ipFamilies ?? []).filter((family) => family === 'IPv4' || family === 'IPv6');
  if (written.length > 0) return written;
  if (clusterIPs.length > 0) return [...new Set(clusterIPs.map((address) => address.family))];
  return spec.clusterIP === 'None' ? ['IPv4', 'IPv6'] : [];
}

function loadBalancer(
  { status }: Service,
  oddities: string[],
): Pick<ServiceFacts, 'loadBalancer' | 'loadBalancerHostnames'> {
  const found: LoadBalancerAddress[] = [];
  const hostnames: string[] = [];
  for (const { ip, hostname, ipMode } of status?.loadBalancer?.ingress ?? []) {
    if (hostname) hostnames.push(hostname);
    if (!ip) continue;
    const address = kubeAddress(ip);
    if (address) {
      const mode = ipMode === 'Proxy' ? 'Proxy' : 'VIP';
      found.push({ address: address.text, family: address.family, mode });
    } else oddities.push(`load balancer address ${ip} is no address`);
  }
  return { loadBalancer: found, loadBalancerHostnames: hostnames };
}

/** The external policy counts only for services that outsiders can reach by an address of their own. */
function policies(
  { spec }: Service,
  type: ServiceEntry['type'],
): Pick<ServiceFacts, 'internalLocal' | 'externalLocal' | 'healthCheckNodePort'> {
  const reachable =
    type === 'LoadBalancer' ||
    type === 'NodePort' ||
    (type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0);
  const externalLocal = reachable && spec.externalTrafficPolicy === 'Local';
  const checked = externalLocal && type === 'LoadBalancer';
  return {
    internalLocal: spec.internalTrafficPolicy === 'Local',
    externalLocal,
    healthCheckNodePort: checked ? (spec.healthCheckNodePort ?? 0) : 0,
  };
}

function affinitySeconds({ spec }: Service): number {
  if (spec.sessionAffinity !== 'ClientIP') return 0;
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  return typeof seconds === 'number' && seconds > 0 ? seconds : AFFINITY_SECONDS_DEFAULT;
}

function servicePorts(ports: readonly ServicePort[], oddities: string[]): readonly ServicePortInfo[] {
  const found: ServicePortInfo[] = [];
  for (const { name, protocol = 'TCP', port, nodePort = 0, appProtocol } of ports) {
    if (!isPort(port) || !PROTOCOLS.includes(protocol) || (nodePort !== 0 && !isPort(nodePort))) {
      oddities.push(`port ${name ?? ''} ${port}/${protocol} is invalid`);
      continue;
    }
    if (found.some((other) => other.name === (name ?? '') && other.protocol === protocol)) {
      oddities.push(`port ${name ?? ''}/${protocol} is there twice`);
      continue;
    }
    found.push({ name: name ?? '', protocol, port, nodePort, appProtocol });
  }
  return found;
}

function isPort(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 65_535;
}
