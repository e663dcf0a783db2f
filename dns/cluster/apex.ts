import type { Endpoint } from '../../endpoints/endpoint.ts';
import { record, type ResourceRecord, type TypedRecord } from '../wire/message.ts';
import { endpointName } from './endpoint-name.ts';
import { addressRecord } from './host-records.ts';
import { isReverseZone, SOA_TTL_MAX_SECONDS, type ClusterOptions } from './options.ts';
import type { ClusterView } from './view.ts';

/** The SOA of a zone, spelled as it was asked for. */
export function soaRecord(view: ClusterView, options: ClusterOptions, zone: string): TypedRecord<'SOA'> {
  return record(zone, Math.min(options.ttlSeconds, SOA_TTL_MAX_SECONDS), 'SOA', {
    mname: `ns.dns.${zone}`,
    rname: `hostmaster.${zone}`,
    serial: view.serial,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: options.ttlSeconds,
  });
}

export interface NameServer {
  /** Below the zone. */
  readonly name: string;
  readonly addresses: readonly string[];
}

/**
 * The services that stand in front of this server (one of its addresses is their endpoint), else `ns.dns` with
 * the server's own addresses.
 */
export function nameServers(
  view: ClusterView,
  options: ClusterOptions,
  serverAddresses: readonly string[],
): readonly NameServer[] {
  const found = new Map<string, string[]>();
  const add = (name: string, addresses: readonly string[]): void => {
    found.set(name, [...new Set([...(found.get(name) ?? []), ...addresses])]);
  };
  for (const address of serverAddresses) {
    for (const service of view.servicesAt(address)) {
      const path = `${service.name}.${service.namespace}.svc`;
      const mine = (endpoint: Endpoint): boolean => endpoint.ready && endpoint.address === address;
      for (const endpoint of options.noEndpoints ? [] : service.endpoints.filter(mine)) {
        if (service.headless) add(`${endpointName(endpoint, options.endpointPodNames)}.${path}`, [address]);
        else add(path, service.clusterIPs);
      }
    }
  }
  if (found.size === 0) found.set('ns.dns', [...serverAddresses]);
  return [...found].map(([name, addresses]) => ({ name, addresses }));
}

/** NS records of a zone apex and their glue. */
export function nameServerRecords(
  view: ClusterView,
  options: ClusterOptions,
  zone: string,
  serverAddresses: readonly string[],
): { readonly answers: ResourceRecord[]; readonly glue: ResourceRecord[] } {
  // Names of services do not exist below a reverse zone (CoreDNS points there all the same).
  const below = isReverseZone(zone.toLowerCase()) && !options.strict ? options.primaryZone : zone;
  const answers: ResourceRecord[] = [];
  const glue: ResourceRecord[] = [];
  for (const { name, addresses } of nameServers(view, options, serverAddresses)) {
    const target = `${name}.${below}`;
    answers.push(record(zone, options.ttlSeconds, 'NS', { target }));
    for (const address of addresses) glue.push(addressRecord(target, options.ttlSeconds, address));
  }
  return { answers, glue };
}
