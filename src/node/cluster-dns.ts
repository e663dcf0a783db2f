import { type ApiClient, ApiError } from '../api/client/client.ts';
import { resources } from '../api/client/resources.ts';
import type { EndpointSlice } from '../api/kinds/endpoint-slice.ts';
import type { Service } from '../api/kinds/service.ts';
import { Fault } from '../base/fault.ts';

const NAMESPACE = 'kube-system';
const NAME = 'kube-dns';
const FIELD_MANAGER = 'weft-up';

/**
 * Makes our DNS a service like others: `kube-dns` in kube-system on the well-known cluster IP, with one slice that
 * names where DNS really listens. Pods and tools find it where every cluster has it.
 */
export async function publishClusterDns(
  client: ApiClient,
  where: { readonly clusterIP: string; readonly listen: { readonly host: string; readonly port: number } },
): Promise<void> {
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/name': 'CoreDNS' },
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
    metadata: { name: `${NAME}-weft`, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': NAME } },
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
      `the store holds services of another range: ${NAME} has ${kept} and would get ${where.clusterIP}; start with the --service-cidr of before, or with another --data-dir`,
    );
  const options = { fieldManager: FIELD_MANAGER, force: true };
  await client.patch(resources.services, NAME, NAMESPACE, 'apply', service, options);
  await client.patch(resources.endpointSlices, `${NAME}-weft`, NAMESPACE, 'apply', slice, options);
}

/** Undefined: the store is new. */
async function keptClusterIP(client: ApiClient): Promise<string | undefined> {
  try {
    return (await client.get<Service>(resources.services, NAME, NAMESPACE)).spec?.clusterIP;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}
