import type { ApiClient } from '../../api/client/client.ts';
import { orUndefined } from '../../api/client/or-undefined.ts';
import { resources } from '../../api/client/resources.ts';
import type { EndpointSlice } from '../../api/kinds/endpoint-slice.ts';
import type { Service } from '../../api/kinds/service.ts';
import { Fault } from '../../base/fault.ts';

export const DNS_NAMESPACE = 'kube-system';
export const DNS_SERVICE = 'kube-dns';
/** On that Service: the zone its server answers for. */
export const CLUSTER_DOMAIN_ANNOTATION = 'weft.dev/cluster-domain';
const FIELD_MANAGER = 'weft-up';

/**
 * Makes our DNS a service like others: `kube-dns` in kube-system on the well-known cluster IP, with one slice that
 * names where DNS really listens. Pods and tools find it where every cluster has it.
 */
export async function publishClusterDns(
  client: ApiClient,
  where: {
    readonly clusterIP: string;
    readonly listen: { readonly host: string; readonly port: number };
    readonly clusterDomain: string;
  },
): Promise<void> {
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: DNS_SERVICE,
      namespace: DNS_NAMESPACE,
      labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/name': 'CoreDNS' },
      annotations: { [CLUSTER_DOMAIN_ANNOTATION]: where.clusterDomain },
    },
    spec: {
      clusterIP: where.clusterIP,
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, protocol: 'TCP' },
      ],
    },
  };
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${DNS_SERVICE}-weft`,
      namespace: DNS_NAMESPACE,
      labels: { 'kubernetes.io/service-name': DNS_SERVICE },
    },
    addressType: 'IPv4',
    ports: [
      { name: 'dns', port: where.listen.port, protocol: 'UDP' },
      { name: 'dns-tcp', port: where.listen.port, protocol: 'TCP' },
    ],
    endpoints: [{ addresses: [where.listen.host], conditions: { ready: true } }],
  };
  const kept = await keptClusterIP(client);
  if (kept !== undefined && kept !== where.clusterIP)
    throw new Fault(
      'SERVICE_RANGE_CHANGED',
      `the store holds services of another range: ${DNS_SERVICE} has ${kept} and would get ${where.clusterIP}; start with the --service-cidr of before, or with another --data-dir`,
    );
  const options = { fieldManager: FIELD_MANAGER, force: true };
  await client.patch(resources.services, DNS_SERVICE, DNS_NAMESPACE, 'apply', service, options);
  await client.patch(resources.endpointSlices, `${DNS_SERVICE}-weft`, DNS_NAMESPACE, 'apply', slice, options);
}

/** Undefined: the store is new. */
async function keptClusterIP(client: ApiClient): Promise<string | undefined> {
  const kept = await orUndefined(client.get<Service>(resources.services, DNS_SERVICE, DNS_NAMESPACE));
  return kept?.spec?.clusterIP;
}
