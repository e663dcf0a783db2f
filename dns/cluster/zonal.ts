import type { ServiceEntry } from '../../endpoints/service-port.ts';
import { ABSENT, EMPTY, type ClusterNode } from './node.ts';
import type { ClusterOptions } from './options.ts';
import { serviceNode, WHOLE_SERVICE } from './service-node.ts';

/**
 * `<topology zone>.pin|prefer._zone.<service>...`, headless services only. pin: the endpoints of that zone and none
 * else; prefer: those, or all when there are none. The zone may hold dots and compares without case.
 * @param labels folded, left of the service, `_zone` last
 */
export function zonalNode(
  service: ServiceEntry,
  labels: readonly string[],
  options: ClusterOptions,
): ClusterNode {
  if (!service.headless || serviceNode(service, WHOLE_SERVICE, options) === ABSENT) return ABSENT;
  const directive = labels.at(-2);
  if (directive === undefined) return options.strict ? ABSENT : EMPTY;
  if (directive !== 'pin' && directive !== 'prefer') return ABSENT;
  const zone = labels.slice(0, -2).join('.');
  if (zone === '') return options.strict ? ABSENT : EMPTY;
  const local = service.endpoints.filter((endpoint) => endpoint.zone?.toLowerCase() === zone);
  const chosen = serviceNode({ ...service, endpoints: local }, WHOLE_SERVICE, options);
  if (chosen.kind !== 'absent') return chosen;
  return directive === 'pin' ? EMPTY : serviceNode(service, WHOLE_SERVICE, options);
}
