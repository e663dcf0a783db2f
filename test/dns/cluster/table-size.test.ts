import { describe, expect, it } from 'vitest';
import { LiveView } from '../../../dns/cluster/live-view.ts';
import { DEFAULT_CLUSTER_OPTIONS } from '../../../dns/cluster/options.ts';
import type { Tracker } from '../../../endpoints/tracker.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { clusterOf } from '../support/cluster.ts';

/** What the table may cost. */
const SERVICE_BYTES = 400;
const ENDPOINT_BYTES = 150;

const NAMESPACE: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'production' } };

function service(i: number, ip = `10.96.${i >> 8}.${i & 255}`): KubeObject {
  const metadata = { namespace: 'production', name: `customer-orders-service-${i}` };
  const spec = { clusterIP: ip, clusterIPs: [ip], ports: [{ name: 'http', port: 80 }] };
  return { apiVersion: 'v1', kind: 'Service', metadata, spec } as KubeObject;
}

function slice(i: number, count: number, hostnames: boolean): KubeObject {
  const name = `customer-orders-service-${i}`;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'production', name, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: Array.from({ length: count }, (_, j) => ({
      addresses: [`10.${128 + i}.${j >> 8}.${j & 255}`],
      ...(hostnames && { hostname: `customer-orders-${j}` }),
    })),
  } as KubeObject;
}

function viewOf(cluster: Tracker): LiveView {
  const options = { ...DEFAULT_CLUSTER_OPTIONS, zones: ['k.'], primaryZone: 'k.', strict: false };
  return new LiveView({ snapshots: cluster, clock: systemClock }, options);
}

function usedBytes(objects: readonly KubeObject[]): number {
  return viewOf(clusterOf([NAMESPACE, ...objects])).table.sizes.usedBytes;
}

describe('the size of the table', () => {
  // The index doubles: counts on both sides of a doubling.
  it.each([1000, 2700, 3100, 10_000])('is within its bound for %i ClusterIP services', (count) => {
    const objects = Array.from({ length: count }, (_, i) => service(i));
    expect((usedBytes(objects) - usedBytes([])) / count).toBeLessThanOrEqual(SERVICE_BYTES);
  });

  it.each([
    ['addresses', 1000, false],
    ['addresses', 3200, false],
    ['hostnames', 1000, true],
    ['hostnames', 3200, true],
  ])('is within its bound for endpoints named by their %s, %i a service', (_kind, count, hostnames) => {
    const services = [0, 1, 2, 3, 4].map((i) => service(i, 'None'));
    const slices = services.map((_, i) => slice(i, count, hostnames));
    const bytes = usedBytes([...services, ...slices]) - usedBytes(services);
    expect(bytes / (services.length * count)).toBeLessThanOrEqual(ENDPOINT_BYTES);
  });

  it('does not grow with changes', () => {
    const cluster = clusterOf([NAMESPACE, service(0, 'None')]);
    const { table } = viewOf(cluster);
    const sizeAt = (count: number): number => {
      cluster.upsert(slice(0, count, true));
      cluster.flush();
      return table.sizes.heldBytes;
    };
    for (let count = 0; count <= 300; count++) sizeAt(count);
    const once = sizeAt(300);
    for (let round = 0; round < 3; round++) {
      for (let count = 300; count >= 0; count -= 7) sizeAt(count);
      for (let count = 0; count <= 300; count += 7) sizeAt(count);
    }
    expect(sizeAt(300)).toBe(once);
    // Growing endpoint by endpoint must not cost the sum of all sizes on the way.
    expect(once).toBeLessThan(300 * ENDPOINT_BYTES * 4);
  });
});
