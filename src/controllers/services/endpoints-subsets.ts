import type { EndpointAddress, Endpoints, EndpointSubset } from '../../api/kinds/endpoint-slice.ts';
import { isPodReady, type Pod } from '../../api/kinds/pod.ts';
import type { Service } from '../../api/kinds/service.ts';
import {
  hostnameFor,
  isAddressable,
  podAddresses,
  serviceFamilies,
  targetPortOf,
} from '../../../endpoints/slices/desired.ts';
import { familyOf } from '../../net/ip.ts';
import { MAX_ENDPOINTS_ADDRESSES } from '../limits.ts';

type SubsetPort = NonNullable<EndpointSubset['ports']>[number];

export interface DesiredEndpoints {
  readonly subsets: EndpointSubset[];
  readonly truncated: boolean;
}

interface Group {
  readonly ports: SubsetPort[];
  readonly ready: EndpointAddress[];
  readonly notReady: EndpointAddress[];
}

/** The subsets of a service's Endpoints: one a port map, addresses in order, terminating pods left out. Pure. */
export function desiredSubsets(service: Service, pods: Iterable<Pod>): DesiredEndpoints {
  const family = serviceFamilies(service)[0];
  const groups = new Map<string, Group>();
  for (const pod of pods) {
    if (!isAddressable(pod) || pod.metadata.deletionTimestamp) continue;
    const ip = podAddresses(pod).find((address) => familyOf(address) === family);
    if (!ip) continue;
    const ports = subsetPorts(service, pod);
    if (!ports) continue;
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, ready: [], notReady: [] };
    groups.set(key, group);
    const ready = service.spec.publishNotReadyAddresses === true || isPodReady(pod);
    (ready ? group.ready : group.notReady).push(endpointAddress(ip, pod, service));
  }
  const sorted = [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
  const truncated = truncate(sorted);
  return { subsets: sorted.map(toSubset), truncated };
}

export function sameSubsets(endpoints: Endpoints): EndpointSubset[] {
  return (endpoints.subsets ?? []).map((subset) => ({
    ...(subset.addresses?.length && { addresses: subset.addresses }),
    ...(subset.notReadyAddresses?.length && { notReadyAddresses: subset.notReadyAddresses }),
    ...(subset.ports?.length && { ports: subset.ports }),
  }));
}

/** Undefined when the service has ports and the pod offers none of them. */
function subsetPorts(service: Service, pod: Pod): SubsetPort[] | undefined {
  const wanted = service.spec.ports ?? [];
  const ports: SubsetPort[] = [];
  for (const port of wanted) {
    const number = targetPortOf(pod, port);
    if (number === undefined) continue;
    ports.push({
      ...(port.name && { name: port.name }),
      port: number,
      protocol: port.protocol ?? 'TCP',
      ...(port.appProtocol && { appProtocol: port.appProtocol }),
    });
  }
  return wanted.length > 0 && ports.length === 0 ? undefined : ports;
}

function endpointAddress(ip: string, pod: Pod, service: Service): EndpointAddress {
  const { namespace, name, uid } = pod.metadata;
  const hostname = hostnameFor(pod, service);
  return {
    ip,
    ...(hostname && { hostname }),
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', ...(namespace && { namespace }), name, ...(uid && { uid }) },
  };
}

/** Keeps MAX_ENDPOINTS_ADDRESSES, ready ones first, each subset its proportion. */
function truncate(groups: readonly Group[]): boolean {
  for (const group of groups) {
    group.ready.sort(byIp);
    group.notReady.sort(byIp);
  }
  const readyCount = groups.reduce((sum, group) => sum + group.ready.length, 0);
  const notReadyCount = groups.reduce((sum, group) => sum + group.notReady.length, 0);
  if (readyCount + notReadyCount <= MAX_ENDPOINTS_ADDRESSES) return false;
  const readyRoom = Math.min(readyCount, MAX_ENDPOINTS_ADDRESSES);
  const notReadyRoom = MAX_ENDPOINTS_ADDRESSES - readyRoom;
  for (const group of groups) {
    group.ready.splice(share(group.ready.length, readyCount, readyRoom));
    group.notReady.splice(share(group.notReady.length, notReadyCount, notReadyRoom));
  }
  return true;
}

function share(mine: number, all: number, room: number): number {
  return all === 0 ? 0 : Math.floor((mine / all) * room);
}

function toSubset(group: Group): EndpointSubset {
  return {
    ...(group.ready.length > 0 && { addresses: group.ready }),
    ...(group.notReady.length > 0 && { notReadyAddresses: group.notReady }),
    ...(group.ports.length > 0 && { ports: group.ports }),
  };
}

function byIp(a: EndpointAddress, b: EndpointAddress): number {
  return a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0;
}
