import type { ApiClient } from '../api/client/client.ts';
import { resources } from '../api/client/resources.ts';
import type { EndpointSlice } from '../api/kinds/endpoint-slice.ts';
import type { Service } from '../api/kinds/service.ts';

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
  const options = { fieldManager: FIELD_MANAGER, force: true };
  await client.patch(resources.services, NAME, NAMESPACE, 'apply', service, options);
  await client.patch(resources.endpointSlices, `${NAME}-weft`, NAMESPACE, 'apply', slice, options);
}
