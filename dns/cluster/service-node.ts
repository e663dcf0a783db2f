import type { Endpoint } from '../../endpoints/endpoint.ts';
import type { ServiceEntry } from '../../endpoints/service-port.ts';
import type { ServiceImportEntry } from '../../endpoints/snapshot.ts';
import { familyOf } from '../../src/net/ip.ts';
import { parseName } from '../wire/name.ts';
import { endpointName } from './endpoint-name.ts';
import { ABSENT, EMPTY, type ClusterNode, type Host } from './node.ts';
import type { ClusterOptions } from './options.ts';
import { zoneModeOf } from './zone-order.ts';

/** What the labels left of `service.namespace.svc` ask for; all folded. */
export interface ServiceRequest {
  readonly endpoint?: string;
  /** Source cluster of a multi-cluster endpoint name. */
  readonly cluster?: string;
  readonly port?: string;
  readonly protocol?: string;
}

export const WHOLE_SERVICE: ServiceRequest = {};

/** What stands at a name of a service. */
export function serviceNode(
  service: ServiceEntry,
  request: ServiceRequest,
  options: ClusterOptions,
): ClusterNode {
  if (service.type === 'ExternalName') return externalNameNode(service, request);
  const endpoints = options.noEndpoints ? [] : service.endpoints;
  if (options.ignoreEmptyService && !service.headless && !endpoints.some((endpoint) => endpoint.ready)) {
    return ABSENT;
  }
  const path = `${service.name}.${service.namespace}.svc`;
  if (service.headless || request.endpoint !== undefined) {
    const node = hostsOrAbsent(endpointHosts(endpoints, path, request, options));
    const byZone = options.zoneOrder && request === WHOLE_SERVICE && node.kind === 'hosts';
    return byZone ? { ...node, zoneMode: zoneModeOf(service) } : node;
  }
  return clusterIpNode(service.clusterIPs, service.ports, path, request);
}

/** The kind of the service's own node, without building it. */
export function serviceKind(service: ServiceEntry, options: ClusterOptions): ClusterNode['kind'] {
  if (!service.headless) return serviceNode(service, WHOLE_SERVICE, options).kind;
  return !options.noEndpoints && service.endpoints.some(({ ready }) => ready) ? 'hosts' : 'absent';
}

/** What stands at a name of an imported service (multicluster zones, KEP-1645). */
export function importNode(
  service: ServiceImportEntry,
  request: ServiceRequest,
  options: ClusterOptions,
): ClusterNode {
  const path = `${service.name}.${service.namespace}.svc`;
  if (!service.headless && request.endpoint === undefined) {
    return clusterIpNode(service.clusterIPs, service.ports, path, request);
  }
  const endpoints = service.endpoints.filter(
    ({ clusterId }) => request.cluster === undefined || clusterId?.toLowerCase() === request.cluster,
  );
  const hosts = endpoints.flatMap((endpoint) => {
    const below = endpoint.clusterId === undefined ? path : `${endpoint.clusterId}.${path}`;
    return endpointHosts([endpoint], below, request, options);
  });
  return hostsOrAbsent(hosts);
}

/** Only the service's own name is an alias, and only when the target can be one (no address). */
function externalNameNode(service: ServiceEntry, request: ServiceRequest): ClusterNode {
  const below = request.endpoint ?? request.port ?? request.protocol;
  const text = service.externalName ?? '';
  const target = text === '' || familyOf(text) ? undefined : parseName(text);
  return target === undefined || below !== undefined ? ABSENT : { kind: 'alias', target };
}

function clusterIpNode(
  addresses: readonly string[],
  ports: ServiceEntry['ports'],
  path: string,
  request: ServiceRequest,
): ClusterNode {
  const matching = ports.filter((port) => matches(request, port.name, port.protocol));
  const hosts = addresses.flatMap((address) => {
    const family = familyOf(address);
    if (!family) return [];
    if (ports.length === 0 && request.port === undefined) {
      return [{ address, family, port: -1, target: path, listings: 1 }];
    }
    return matching.map(({ port }): Host => ({ address, family, port, target: path, listings: 1 }));
  });
  if (hosts.length > 0) return { kind: 'hosts', hosts };
  return addresses.length === 0 && request.port === undefined ? EMPTY : ABSENT;
}

function endpointHosts(
  endpoints: readonly Endpoint[],
  path: string,
  request: ServiceRequest,
  options: ClusterOptions,
): Host[] {
  const hosts: Host[] = [];
  for (const endpoint of endpoints) {
    if (!endpoint.ready) continue;
    const name = endpointName(endpoint, options.endpointPodNames);
    if (request.endpoint !== undefined && name.toLowerCase() !== request.endpoint) continue;
    const { address, family, zone, listings = 1 } = endpoint;
    const target = `${name}.${path}`;
    for (const [key, port] of endpoint.ports) {
      const slash = key.lastIndexOf('/');
      if (!matches(request, key.slice(0, slash), key.slice(slash + 1))) continue;
      hosts.push({ address, family, port, target, zone, listings });
    }
    if (endpoint.ports.size === 0 && request.port === undefined) {
      hosts.push({ address, family, port: -1, target, zone, listings });
    }
  }
  return hosts;
}

function hostsOrAbsent(hosts: readonly Host[]): ClusterNode {
  return hosts.length === 0 ? ABSENT : { kind: 'hosts', hosts };
}

function matches(request: ServiceRequest, portName: string, protocol: string): boolean {
  return (
    (request.port === undefined || request.port === portName.toLowerCase()) &&
    (request.protocol === undefined || request.protocol === protocol.toLowerCase())
  );
}

/** True when some named port of the service uses the protocol: `_tcp.<service>` then exists with no records. */
export function hasNamedPort(service: ServiceEntry, protocol: string, options: ClusterOptions): boolean {
  const named = (name: string, used: string): boolean => name !== '' && used.toLowerCase() === protocol;
  if (service.type === 'ExternalName') return false;
  if (!service.headless) return service.ports.some((port) => named(port.name, port.protocol));
  if (options.noEndpoints) return false;
  return service.endpoints.some(
    (endpoint) =>
      endpoint.ready &&
      [...endpoint.ports.keys()].some((key) =>
        named(key.slice(0, key.lastIndexOf('/')), key.split('/').at(-1)!),
      ),
  );
}
