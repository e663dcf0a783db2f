import fc from 'fast-check';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import type { Tracker } from '../../../endpoints/tracker.ts';

/** One change of a small cluster in namespace `ns`. */
export type Step =
  | { kind: 'service'; name: string; shape: 'cluster' | 'headless' | 'external'; ips: number; ports: number }
  | {
      kind: 'slice';
      name: string;
      part: number;
      ports: number;
      hosts: { last: number; ready: boolean; hostname: string | undefined; six: boolean }[];
    }
  | { kind: 'drop'; what: 'Service' | 'EndpointSlice' | 'Namespace'; name: string; part: number }
  | { kind: 'namespace' };

/** None, one, two of one number, and one without a name. */
const PORTS = [
  [],
  [{ name: 'p', port: 80, protocol: 'TCP' }],
  [
    { name: 'p', port: 53, protocol: 'UDP' },
    { name: 'p-tcp', port: 53, protocol: 'TCP' },
    { name: 'q', port: 9000, protocol: 'TCP' },
  ],
  [{ port: 8080 }],
];

const names = fc.constantFrom('web', 'db', 'kv');
export const clusterStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('service' as const),
    name: names,
    shape: fc.constantFrom('cluster' as const, 'cluster' as const, 'headless' as const, 'external' as const),
    ips: fc.integer({ min: 0, max: 2 }),
    ports: fc.nat(3),
  }),
  fc.record({
    kind: fc.constant('slice' as const),
    name: names,
    part: fc.integer({ min: 0, max: 2 }),
    ports: fc.nat(3),
    hosts: fc.array(
      fc.record({
        last: fc.integer({ min: 1, max: 6 }),
        ready: fc.boolean(),
        hostname: fc.option(fc.constantFrom('h-0', 'h-1', '10-244-0-1'), { nil: undefined }),
        six: fc.boolean(),
      }),
      { maxLength: 5 },
    ),
  }),
  fc.record({
    kind: fc.constant('drop' as const),
    what: fc.constantFrom('Service' as const, 'EndpointSlice' as const, 'Namespace' as const),
    name: names,
    part: fc.integer({ min: 0, max: 2 }),
  }),
  fc.constant({ kind: 'namespace' as const }),
);

function objectsOf(one: Step): { object: KubeObject; removed: boolean }[] {
  const metadata = { namespace: 'ns', name: 'name' in one ? one.name : 'ns' };
  if (one.kind === 'namespace') {
    return [{ object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } }, removed: false }];
  }
  if (one.kind === 'service') {
    const ports = PORTS[one.ports];
    const ips = [['10.96.0.1'], ['10.96.0.1', 'fd00::1'], ['fd00::1']][one.ips]!;
    const spec = {
      cluster: { clusterIP: ips[0], clusterIPs: ips, ports },
      headless: { clusterIP: 'None', clusterIPs: ['None'], ports },
      external: { type: 'ExternalName', externalName: 'kv.ns.svc.k', ports },
    }[one.shape];
    return [{ object: { apiVersion: 'v1', kind: 'Service', metadata, spec } as KubeObject, removed: false }];
  }
  if (one.kind === 'drop' && one.what !== 'EndpointSlice') {
    const named = one.what === 'Namespace' ? { name: 'ns' } : metadata;
    return [{ object: { apiVersion: 'v1', kind: one.what, metadata: named }, removed: true }];
  }
  const labels = { 'kubernetes.io/service-name': metadata.name };
  return [false, true].map((six) => ({
    removed: one.kind === 'drop',
    object: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, name: `${metadata.name}-${one.part}-${six}`, labels },
      addressType: six ? 'IPv6' : 'IPv4',
      ports: one.kind === 'slice' ? PORTS[one.ports] : [],
      endpoints:
        one.kind === 'slice'
          ? one.hosts
              .filter((host) => host.six === six)
              .map(({ last, ready, hostname }) => ({
                addresses: [six ? `fd00:1::${last}` : `10.244.0.${last}`],
                conditions: { ready },
                ...(hostname && { hostname }),
              }))
          : [],
    } as KubeObject,
  }));
}

/** Applies a step as the watches would. */
export function applyStep(cluster: Tracker, step: Step): void {
  for (const { object, removed } of objectsOf(step)) {
    if (removed) cluster.remove(object);
    else cluster.upsert(object);
  }
  cluster.flush();
}
