import type { ServiceEntry } from '../../../endpoints/service-port.ts';
import { familyOf } from '../../../src/net/ip.ts';
import { ABSENT, EMPTY, type ClusterNode, type Host } from '../../cluster/node.ts';
import type { ClusterOptions } from '../../cluster/options.ts';
import { serviceNode, type ServiceRequest } from '../../cluster/service-node.ts';
import type { ClusterView } from '../../cluster/view.ts';

/** External addresses and host names of a service, as users reach it from outside. */
export function externalNames(service: ServiceEntry): {
  readonly addresses: readonly string[];
  readonly hostnames: readonly string[];
} {
  const addresses = [...service.externalIPs, ...service.loadBalancer.map(({ address }) => address)];
  return { addresses: [...new Set(addresses)], hostnames: service.loadBalancerHostnames };
}

/**
 * What stands at `[endpoint. | _port._protocol.]service.namespace` of an external zone.
 * @param labels folded, left of the zone, at least one
 */
export function externalNode(
  view: ClusterView,
  options: ClusterOptions,
  labels: readonly string[],
  headless: boolean,
): ClusterNode {
  const namespace = labels.at(-1)!;
  if (!view.hasNamespace(namespace)) return ABSENT;
  const name = labels.at(-2);
  if (name === undefined) return EMPTY;
  const service = view.service(namespace, name);
  const request = requestOf(labels.slice(0, -2));
  if (!service || !request || service.type === 'ExternalName') return ABSENT;
  const { addresses, hostnames } = externalNames(service);
  const none = addresses.length === 0 && hostnames.length === 0;
  if (headless && none && (service.headless || request.endpoint !== undefined)) {
    return withoutSvc(serviceNode(service, request, options));
  }
  if (none || request.endpoint !== undefined) return ABSENT;
  const ports = service.ports.filter(
    ({ name: port, protocol }) =>
      (request.port === undefined || port.toLowerCase() === request.port) &&
      (request.protocol === undefined || protocol.toLowerCase() === request.protocol),
  );
  if (ports.length === 0) return ABSENT;
  if (addresses.length === 0) return { kind: 'alias', target: absolute(hostnames[0]!) };
  const hosts = addresses.flatMap((address): Host[] => {
    const family = familyOf(address);
    if (!family) return [];
    return ports.map(({ port }) => ({ address, family, port, target: `${name}.${namespace}`, listings: 1 }));
  });
  return { kind: 'hosts', hosts };
}

/** External names have no `svc` label. */
function withoutSvc(node: ClusterNode): ClusterNode {
  if (node.kind !== 'hosts') return node;
  return {
    kind: 'hosts',
    hosts: node.hosts.map((host) => ({ ...host, target: host.target.replace(/\.svc$/, '') })),
  };
}

function requestOf(below: readonly string[]): ServiceRequest | undefined {
  const plain = (label: string): string => label.replace(/^_/, '');
  if (below.length === 0) return {};
  if (below.length === 1) return { endpoint: below[0]! };
  return below.length === 2 ? { port: plain(below[0]!), protocol: plain(below[1]!) } : undefined;
}

function absolute(name: string): string {
  return name.endsWith('.') ? name : `${name}.`;
}
