import { canonicalAddress, familyOf } from '../../src/net/ip.ts';
import { undashedAddress } from './endpoint-name.ts';
import { ABSENT, EMPTY, type ClusterNode } from './node.ts';
import type { ClusterOptions } from './options.ts';
import { hasNamedPort, importNode, serviceNode, WHOLE_SERVICE, type ServiceRequest } from './service-node.ts';
import type { ClusterView } from './view.ts';
import { zonalNode } from './zonal.ts';

/**
 * What stands at a name of a forward zone. Shapes, left of the zone:
 * ```
 * svc | pod | dns | ns.dns | dns-version          fixed names
 * <namespace>.svc|pod                             a namespace: no records
 * <service>.<namespace>.svc
 * <endpoint>.<service>.<namespace>.svc            (multicluster: <endpoint>.<cluster>.<service>...)
 * _<port>._<protocol>.<service>.<namespace>.svc
 * <zone>.pin|prefer._zone.<service>.<namespace>.svc
 * <dashed address>.<namespace>.pod
 * ```
 * @param labels folded, leftmost first
 */
export function forwardNode(
  view: ClusterView,
  options: ClusterOptions,
  zone: string,
  labels: readonly string[],
): ClusterNode {
  if (labels.length === 0) return { kind: 'apex' };
  const root = labels.at(-1);
  if (root === 'svc' || root === 'pod') {
    if (labels.length === 1) return EMPTY;
    return root === 'pod' ? podNode(view, options, labels) : serviceNameNode(view, options, zone, labels);
  }
  if (root === 'dns-version') return labels.length === 1 ? { kind: 'version' } : ABSENT;
  if (root !== 'dns') return ABSENT;
  if (labels.length === 2 && labels[0] === 'ns') return { kind: 'name-server' };
  return labels.length === 1 && !options.strict ? EMPTY : ABSENT;
}

function podNode(view: ClusterView, options: ClusterOptions, labels: readonly string[]): ClusterNode {
  const namespace = labels.at(-2)!;
  if (options.pods === 'disabled' || !view.hasNamespace(namespace)) return ABSENT;
  const name = labels.at(-3);
  if (name === undefined) return EMPTY;
  if (labels.length > 3 && !(options.strict && labels.length < 6)) return ABSENT;
  const address = canonicalAddress(undashedAddress(name));
  const family = address && familyOf(address);
  if (!address || !family) return ABSENT;
  if (options.pods === 'verified' && !podLivesIn(view, options, address, namespace)) return ABSENT;
  return { kind: 'hosts', hosts: [{ address, family, port: -1, target: labels.join('.'), listings: 1 }] };
}

function podLivesIn(view: ClusterView, options: ClusterOptions, address: string, namespace: string): boolean {
  const pod = view.podAt(address);
  if (!pod || (options.strict && pod.addresses[0] !== address)) return false;
  if (pod.namespace === namespace) return options.labels?.matches(pod.labels) ?? true;
  return pod.alsoIn?.includes(namespace) ?? false;
}

function serviceNameNode(
  view: ClusterView,
  options: ClusterOptions,
  zone: string,
  labels: readonly string[],
): ClusterNode {
  const namespace = labels.at(-2)!;
  const name = labels.at(-3);
  if (name === undefined) return view.hasNamespace(namespace) ? EMPTY : ABSENT;
  const below = labels.slice(0, -3);
  if (options.multiclusterZones.includes(zone)) return importedNode(view, options, namespace, name, below);
  const service = view.service(namespace, name);
  if (!service) return ABSENT;
  if (options.zonal && below.at(-1) === '_zone') return zonalNode(service, below, options);
  const request = requestOf(below);
  const node = request ? serviceNode(service, request, options) : ABSENT;
  if (node.kind !== 'absent' || options.strict || below.length !== 1) return node;
  if (serviceNode(service, WHOLE_SERVICE, options).kind === 'absent') return ABSENT;
  return hasNamedPort(service, stripUnderscore(below[0]!), options) ? EMPTY : ABSENT;
}

function importedNode(
  view: ClusterView,
  options: ClusterOptions,
  namespace: string,
  name: string,
  below: readonly string[],
): ClusterNode {
  const service = view.importedService(namespace, name);
  if (!service) return ABSENT;
  if (below.length === 2 && !below[1]!.startsWith('_')) {
    return importNode(service, { endpoint: below[0]!, cluster: below[1]! }, options);
  }
  if (below.length === 1) {
    const cluster = below[0]!;
    const known = service.headless && service.endpoints.some((e) => e.ready && e.clusterId === cluster);
    return known && !options.strict ? EMPTY : ABSENT;
  }
  const request = requestOf(below);
  return request ? importNode(service, request, options) : ABSENT;
}

/** None left: the service; one: an endpoint; two: port and protocol; more is too long. */
function requestOf(below: readonly string[]): ServiceRequest | undefined {
  if (below.length === 0) return WHOLE_SERVICE;
  if (below.length === 1) return { endpoint: below[0]! };
  if (below.length > 2) return undefined;
  return { port: stripUnderscore(below[0]!), protocol: stripUnderscore(below[1]!) };
}

function stripUnderscore(label: string): string {
  return label.startsWith('_') ? label.slice(1) : label;
}
