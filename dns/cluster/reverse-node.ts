import { endpointName } from './endpoint-name.ts';
import { ABSENT, EMPTY, type ClusterNode } from './node.ts';
import type { ClusterOptions } from './options.ts';
import { reverseAddress } from './reverse-name.ts';
import type { ClusterView } from './view.ts';

/** What stands at a name of a reverse zone. Folded name. */
export function reverseNode(
  view: ClusterView,
  options: ClusterOptions,
  zone: string,
  name: string,
): ClusterNode {
  if (name === zone) return { kind: 'apex' };
  if (name === `ns.dns.${zone}`) return { kind: 'name-server' };
  const spelled = reverseAddress(name);
  if (!spelled) return ABSENT;
  // The names above addresses exist; saying NXDOMAIN there would deny the whole subtree (RFC 8020).
  if (spelled.address === undefined) return options.strict ? ABSENT : EMPTY;
  const targets = pointerTargets(view, options, spelled.address);
  return targets.length === 0 ? ABSENT : { kind: 'pointers', targets };
}

/** A ClusterIP has one name, its service's; else the endpoint's name below each service that has it, ready. */
function pointerTargets(view: ClusterView, options: ClusterOptions, address: string): string[] {
  const services = view.servicesAt(address).filter((service) => exposes(view, options, service.namespace));
  const own = services.find((service) => service.clusterIPs.includes(address));
  if (own) return [`${own.name}.${own.namespace}.svc.${options.primaryZone}`];
  if (options.noEndpoints) return [];
  const names = services.flatMap((service) =>
    service.endpoints
      .filter((endpoint) => endpoint.ready && endpoint.address === address)
      .map((endpoint) => {
        const label = endpointName(endpoint, options.endpointPodNames);
        return `${label}.${service.name}.${service.namespace}.svc.${options.primaryZone}`;
      }),
  );
  return [...new Set(names)];
}

/** CoreDNS lets namespace_labels be told apart by PTR; the rest of the exposure rules hold in both modes. */
function exposes(view: ClusterView, options: ClusterOptions, namespace: string): boolean {
  if (options.namespaces && !options.namespaces.has(namespace)) return false;
  return options.strict || view.hasNamespace(namespace);
}
