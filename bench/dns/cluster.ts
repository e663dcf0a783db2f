/** Objects of a cluster of a given size, as watches would deliver them. */
import { Tracker } from '../../endpoints/tracker.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import { silentLogger } from '../../src/base/log.ts';

const NAMESPACES = 100;
const ENDPOINTS_PER_SLICE = 100;

export function serviceName(i: number): { readonly namespace: string; readonly name: string } {
  return { namespace: `team-${i % NAMESPACES}`, name: `service-${i}` };
}

export function serviceAddress(i: number): string {
  const n = i + 1;
  return `10.${96 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
}

/** Of the service's address, below in-addr.arpa. */
export function reverseName(i: number): string {
  return serviceAddress(i).split('.').toReversed().join('.');
}

export function namespaceObjects(): KubeObject[] {
  return Array.from({ length: NAMESPACES }, (_, i) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: `team-${i}` },
  }));
}

export function serviceObject(i: number, headless = false): KubeObject {
  const ip = headless ? 'None' : serviceAddress(i);
  const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
  const spec = { clusterIP: ip, clusterIPs: [ip], ports };
  return { apiVersion: 'v1', kind: 'Service', metadata: serviceName(i), spec } as KubeObject;
}

/** Slice number `part` of a service, with addresses of its own; `salt` moves one of them. */
export function sliceObject(i: number, part: number, count: number, salt = 0): KubeObject {
  const { namespace, name } = serviceName(i);
  const endpoints = Array.from({ length: count }, (_, j) => {
    const address = part * ENDPOINTS_PER_SLICE + j + (j === 0 ? salt * 65_536 : 0);
    const third = `${(address >> 8) & 255}.${address & 255}`;
    return { addresses: [`10.${128 + ((i + (address >> 16)) % 100)}.${third}`], conditions: { ready: true } };
  });
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace, name: `${name}-${part}`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
  } as KubeObject;
}

/** Slices that together hold `count` endpoints. */
export function sliceObjects(i: number, count: number): KubeObject[] {
  const parts = Math.ceil(count / ENDPOINTS_PER_SLICE);
  return Array.from({ length: parts }, (_, part) =>
    sliceObject(i, part, Math.min(ENDPOINTS_PER_SLICE, count - part * ENDPOINTS_PER_SLICE)),
  );
}

/** A synced model of `services` ClusterIP services with `endpoints` endpoints each. */
export function clusterOf(services: number, endpoints: number): Tracker {
  const tracker = new Tracker({ log: silentLogger });
  for (const object of namespaceObjects()) tracker.upsert(object);
  for (let i = 0; i < services; i++) {
    tracker.upsert(serviceObject(i));
    for (const slice of sliceObjects(i, endpoints)) tracker.upsert(slice);
  }
  tracker.synced('v1', 'Service');
  tracker.synced('discovery.k8s.io/v1', 'EndpointSlice');
  tracker.flush();
  return tracker;
}
