import type { ServiceEntry } from '../../endpoints/service-port.ts';
import { parseAddress } from '../../src/net/ip.ts';
import type { ZoneSource } from '../plugin.ts';
import { record, type ResourceRecord } from '../wire/message.ts';
import { isWithin, parseName } from '../wire/name.ts';
import { nodeAt, type ClusterContext } from './answer.ts';
import { nameServerRecords, soaRecord } from './apex.ts';
import { endpointName } from './endpoint-name.ts';
import { addressRecord } from './host-records.ts';
import type { LiveView } from './live-view.ts';
import { isReverseZone } from './options.ts';
import { reverseNameOf } from './reverse-name.ts';

/** The cluster's zones for `transfer`. Services by name; no pods, no dns-version, no endpoints of ClusterIP services. */
export function clusterZoneSource(context: ClusterContext, view: LiveView): ZoneSource {
  return {
    zones: context.options.zones,
    serial: () => (view.synced ? view.serial : undefined),
    records: (zone) => (view.synced ? zoneRecords(context, zone) : undefined),
    subscribe: (listener) => view.onSerial(() => context.options.zones.forEach(listener)),
  };
}

function* zoneRecords(context: ClusterContext, zone: string): Iterable<ResourceRecord> {
  const { view, options } = context;
  yield soaRecord(view, options, zone);
  const { answers, glue } = nameServerRecords(view, options, zone, context.serverAddresses());
  yield* answers;
  yield* glue.filter((address) => isWithin(address.name, zone)).map((address) => ({ ...address, ttl: 0 }));
  if (isReverseZone(zone) && !options.strict) return yield* pointerRecords(context, zone);
  const services = [...view.services()].sort((a, b) => (a.key < b.key ? -1 : 1));
  for (const service of services) yield* serviceRecords(context, service, zone);
}

function* pointerRecords(context: ClusterContext, zone: string): Iterable<ResourceRecord> {
  for (const address of context.view.addresses()) {
    const name = reverseNameOf(parseAddress(address)!);
    const node = isWithin(name, zone) ? nodeAt(context, zone, name) : undefined;
    if (node?.kind !== 'pointers') continue;
    for (const target of node.targets) yield record(name, context.options.ttlSeconds, 'PTR', { target });
  }
}

function* serviceRecords(
  { options }: ClusterContext,
  service: ServiceEntry,
  zone: string,
): Iterable<ResourceRecord> {
  const name = `${service.name}.${service.namespace}.svc.${zone}`;
  const ttl = options.ttlSeconds;
  if (service.type === 'ExternalName') {
    const node = parseName(service.externalName ?? '');
    if (node !== undefined && parseAddress(service.externalName ?? '') === undefined) {
      yield record(name, ttl, 'CNAME', { target: node });
    }
    return;
  }
  if (service.headless) return yield* headlessRecords(service, name, ttl, options.endpointPodNames);
  for (const address of service.clusterIPs) yield addressRecord(name, ttl, address);
  for (const { name: portName, protocol, port } of service.ports) {
    const data = { priority: 0, weight: 100, port, target: name };
    yield record(name, ttl, 'SRV', data);
    if (portName !== '') yield record(portLabels(portName, protocol) + name, ttl, 'SRV', data);
  }
}

function* headlessRecords(
  service: ServiceEntry,
  name: string,
  ttl: number,
  podNames: boolean,
): Iterable<ResourceRecord> {
  const ready = service.endpoints.filter((endpoint) => endpoint.ready);
  const sixes = ready.filter(({ family }) => family === 'IPv6').length;
  for (const endpoint of ready) {
    const sameFamily = endpoint.family === 'IPv6' ? sixes : ready.length - sixes;
    const weight = Math.max(1, Math.floor(100 / sameFamily));
    const target = `${endpointName(endpoint, podNames)}.${name}`;
    yield addressRecord(name, ttl, endpoint.address);
    yield addressRecord(target, ttl, endpoint.address);
    for (const [key, port] of endpoint.ports) {
      const slash = key.lastIndexOf('/');
      if (slash === 0) continue;
      const owner = portLabels(key.slice(0, slash), key.slice(slash + 1)) + name;
      yield record(owner, ttl, 'SRV', { priority: 0, weight, port, target });
    }
  }
}

function portLabels(portName: string, protocol: string): string {
  return `_${portName}._${protocol}.`.toLowerCase();
}
