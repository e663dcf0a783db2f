import type { Service } from '../../api/kinds/service.ts';
import { sameValue } from '../../base/same-value.ts';

export const SHARING_ANNOTATIONS = [
  'weft.dev/allow-shared-ip',
  'metallb.io/allow-shared-ip',
  'metallb.universe.tf/allow-shared-ip',
];

/** The key by which a service is willing to share its address. */
export function sharingKey(service: Service): string | undefined {
  for (const name of SHARING_ANNOTATIONS) {
    const value = service.metadata.annotations?.[name];
    if (value) return value;
  }
  return undefined;
}

/**
 * Two services may have one address when both carry the same key, no port is wanted by both, and traffic is
 * not pinned to nodes with different pods: both policies are Cluster, or they select the same pods.
 */
export function maySharePorts(a: Service, b: Service): boolean {
  const key = sharingKey(a);
  if (key === undefined || key !== sharingKey(b)) return false;
  const taken = new Set(portsOf(a));
  if (portsOf(b).some((port) => taken.has(port))) return false;
  const cluster = (service: Service): boolean => service.spec.externalTrafficPolicy !== 'Local';
  return (cluster(a) && cluster(b)) || sameValue(a.spec.selector ?? {}, b.spec.selector ?? {});
}

function portsOf(service: Service): string[] {
  return (service.spec.ports ?? []).map((port) => `${port.protocol ?? 'TCP'}/${port.port}`);
}
