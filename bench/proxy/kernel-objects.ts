import type { EndpointSlice } from '../../src/api/kinds/endpoint-slice.ts';
import type { Service } from '../../src/api/kinds/service.ts';

/** Cluster IP of the service with this number, out of 10.128.0.0/10. */
export function clusterIPOf(i: number): string {
  return `10.${128 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
}

export function benchService(i: number): Service {
  const clusterIP = clusterIPOf(i);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: `ns-${i % 50}`, name: `svc-${i}`, resourceVersion: String(i) },
    spec: { clusterIP, clusterIPs: [clusterIP], ipFamilies: ['IPv4'], ports: [{ name: 'http', port: 80 }] },
  };
}

/** Endpoints that nobody listens on, from the number `first` on; or one that somebody does. */
export function benchSlice(i: number, endpoints: number, first: number, only?: string): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: `ns-${i % 50}`,
      name: `svc-${i}-a`,
      labels: { 'kubernetes.io/service-name': `svc-${i}` },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints: (only === undefined
      ? Array.from({ length: endpoints }, (_, k) => {
          const at = (i * endpoints + first + k) & 0x3fffff;
          return `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`;
        })
      : [only]
    ).map((address) => ({
      addresses: [address],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'node-2',
    })),
  };
}
