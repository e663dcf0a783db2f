import type { EndpointPort, SliceEndpoint } from '../../src/api/kinds/endpoint-slice.ts';
import type { IntOrString } from '../../src/api/kinds/meta.ts';
import type { Node } from '../../src/api/kinds/node.ts';
import { ZONE_LABEL } from '../../src/api/kinds/node.ts';
import { isPodReady, type Container, type Pod } from '../../src/api/kinds/pod.ts';
import type { Service, ServicePort } from '../../src/api/kinds/service.ts';
import { type Family, familyOf } from '../../src/net/ip.ts';

/** Endpoints that may share slices: one address family, one port map. */
export interface DesiredSet {
  readonly addressType: Family;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly SliceEndpoint[];
}

export interface DesiredInput {
  readonly service: Service;
  /** The pods the service selects. */
  readonly pods: Iterable<Pod>;
  readonly nodeOf: (name: string) => Node | undefined;
}

/** The slice sets a service should have, in a stable order. Pure. */
export function desiredSets(input: DesiredInput): DesiredSet[] {
  const sets = new Map<string, { set: DesiredSet; endpoints: SliceEndpoint[] }>();
  for (const pod of input.pods) {
    if (!belongs(pod, input)) continue;
    const ports = portsFor(input.service, pod);
    for (const family of serviceFamilies(input.service)) {
      const endpoint = podEndpoint(pod, family, input);
      if (!endpoint) continue;
      const key = `${family} ${portMapKey(ports)}`;
      const present = sets.get(key);
      if (present) present.endpoints.push(endpoint);
      else {
        const endpoints = [endpoint];
        sets.set(key, { set: { addressType: family, ports, endpoints }, endpoints });
      }
    }
  }
  const result = [...sets.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { set }]) => set);
  for (const set of sets.values()) set.endpoints.sort(byAddress);
  return result;
}

/** Families the service's slices are kept for; a service that has none yet is treated as IPv4. */
export function serviceFamilies(service: Service): readonly Family[] {
  return service.spec.ipFamilies?.length ? service.spec.ipFamilies : ['IPv4'];
}

/** Equal port maps have equal keys whatever their order. */
export function portMapKey(ports: readonly EndpointPort[]): string {
  const texts = ports.map(
    (port) => `${port.name ?? ''}/${port.protocol ?? 'TCP'}/${port.port ?? ''}/${port.appProtocol ?? ''}`,
  );
  return texts.sort().join(',');
}

/** The container port a service port means in this pod; undefined when a named one is not there. */
export function targetPortOf(pod: Pod, port: ServicePort): number | undefined {
  const target: IntOrString = port.targetPort ?? port.port;
  if (typeof target === 'number') return target === 0 ? port.port : target;
  const protocol = port.protocol ?? 'TCP';
  const sidecars = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  return namedPort([...pod.spec.containers, ...sidecars], target, protocol);
}

/** Pods that finished, or have no address, stand behind nothing. */
export function isAddressable(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase !== 'Succeeded' && phase !== 'Failed' && podAddresses(pod).length > 0;
}

export function podAddresses(pod: Pod): readonly string[] {
  const { podIPs, podIP } = pod.status ?? {};
  return podIPs?.length ? podIPs.map((entry) => entry.ip) : podIP ? [podIP] : [];
}

/** The pod's name inside a headless service, when both sides ask for it. */
export function hostnameFor(pod: Pod, service: Service): string | undefined {
  const matches = pod.spec.subdomain === service.metadata.name;
  return matches && pod.spec.hostname ? pod.spec.hostname : undefined;
}

function belongs(pod: Pod, { service, nodeOf }: DesiredInput): boolean {
  if (!isAddressable(pod)) return false;
  if (service.spec.publishNotReadyAddresses || !pod.spec.nodeName) return true;
  return nodeOf(pod.spec.nodeName) !== undefined;
}

function portsFor(service: Service, pod: Pod): EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const port of service.spec.ports ?? []) {
    const number = targetPortOf(pod, port);
    if (number === undefined) continue;
    ports.push({
      name: port.name ?? '',
      port: number,
      protocol: port.protocol ?? 'TCP',
      ...(port.appProtocol !== undefined && { appProtocol: port.appProtocol }),
    });
  }
  return ports;
}

function podEndpoint(pod: Pod, family: Family, { service, nodeOf }: DesiredInput): SliceEndpoint | undefined {
  const addresses = podAddresses(pod).filter((address) => familyOf(address) === family);
  if (addresses.length === 0) return undefined;
  const { namespace, name, uid } = pod.metadata;
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const hostname = hostnameFor(pod, service);
  const { nodeName } = pod.spec;
  const zone = nodeName ? nodeOf(nodeName)?.metadata.labels?.[ZONE_LABEL] : undefined;
  return {
    addresses,
    conditions: { ready, serving, terminating },
    ...(hostname && { hostname }),
    ...(nodeName && { nodeName }),
    ...(zone && { zone }),
    targetRef: {
      kind: 'Pod',
      ...(namespace && { namespace }),
      name,
      ...(uid && { uid }),
    },
  };
}

function namedPort(containers: readonly Container[], name: string, protocol: string): number | undefined {
  for (const container of containers) {
    for (const port of container.ports ?? []) {
      if (port.name === name && (port.protocol ?? 'TCP') === protocol) return port.containerPort;
    }
  }
  return undefined;
}

function byAddress(a: SliceEndpoint, b: SliceEndpoint): number {
  const left = a.addresses[0] ?? '';
  const right = b.addresses[0] ?? '';
  return left < right ? -1 : left > right ? 1 : 0;
}
