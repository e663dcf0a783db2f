import '../../support/property-seed.ts';
import fc from 'fast-check';
import { test } from 'vitest';
import type { ServiceSpec } from '../../../src/api/kinds/service.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import type { DetectLocal, NodeSettings } from '../../../endpoints/node-view.ts';
import { NodeViewTracker } from '../../../endpoints/node-view-tracker.ts';
import { Tracker } from '../../../endpoints/tracker.ts';
import type { Packet, ProxyMode, Verdict } from '../../../proxy/backend.ts';
import { modeEvaluator } from '../../../proxy/backends.ts';
import { type PacketTrace, viewEvaluator } from '../../../proxy/packet/evaluate.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { service, slice } from '../../support/kube-objects.ts';

/** A small world in which everything meets everything: services, who asks them, and by which address. */
const NODE_IPS = ['172.20.0.11', '192.168.77.11'];
/** Where the endpoints are, by their address; of one nobody says it, and it reaches itself by its service too. */
const NODE_OF: Readonly<Record<string, string | undefined>> = {
  '10.42.1.5': 'alpha',
  '10.42.1.6': 'alpha',
  '10.42.1.77': undefined,
  '10.42.2.6': 'beta',
  '172.20.0.11': 'alpha',
  '172.20.0.12': 'beta',
};
const SOURCES = [
  ['10.42.1.5', 'veth1'],
  ['10.42.1.77', 'veth2'],
  ['10.42.2.5', 'eth0'],
  ['172.20.0.11', undefined],
  ['192.168.77.11', undefined],
  ['127.0.0.1', undefined],
  ['203.0.113.1', undefined],
  ['172.20.0.99', 'eth0'],
  ['198.18.0.1', 'eth0'],
] as const;
const PORTS = [80, 81, 443, 30_001, 30_002, 30_003];
const DETECT: readonly DetectLocal[] = [
  { mode: 'ClusterCIDR', cidrs: ['10.42.0.0/16'] },
  { mode: 'NodeCIDR', cidrs: ['10.42.1.0/24'] },
  { mode: 'InterfaceNamePrefix', prefix: 'veth' },
  { mode: 'BridgeInterface', bridge: 'veth1' },
  { mode: 'None' },
];

const policy = fc.constantFrom('Cluster' as const, 'Local' as const);
const endpoint = fc.record({
  ip: fc.constantFrom(...Object.keys(NODE_OF)),
  ready: fc.boolean(),
  serving: fc.boolean(),
  terminating: fc.boolean(),
  zoneHints: fc.constantFrom([], ['z1'], ['z2']),
});
const ranges = fc.constantFrom(
  undefined,
  ['198.18.0.0/15'],
  ['172.20.0.0/24'],
  ['10.42.1.0/24', '203.0.113.0/24'],
  ['0.0.0.0/0'],
  [' 198.18.0.0/16 ', '0.0.0.0/0'],
  ['fd00::/8'],
);
const shape = fc.record({
  type: fc.constantFrom('ClusterIP' as const, 'NodePort' as const, 'LoadBalancer' as const),
  protocol: fc.constantFrom('TCP' as const, 'UDP' as const, 'SCTP' as const),
  external: policy,
  internal: policy,
  sticky: fc.boolean(),
  lbIPs: fc.subarray(['203.0.113.1', '203.0.113.2']),
  externalIPs: fc.subarray(['198.51.100.1', '192.168.77.11']),
  ranges,
  endpoints: fc.array(endpoint, { maxLength: 4 }),
  hasNodePort: fc.boolean(),
});
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never;

const settings = fc.record({
  detectLocal: fc.constantFrom(...DETECT),
  masqueradeAll: fc.boolean(),
  localhostNodePorts: fc.boolean(),
  nodePortAddresses: fc.constantFrom(
    [],
    ['primary'],
    ['0.0.0.0/0'],
    ['192.168.77.0/24'],
    ['127.0.0.0/8'],
    ['172.20.0.0/24', '127.0.0.0/8'],
  ),
  strict: fc.boolean(),
});

/** Addresses that a service may have alone are given to the first that wants them: who wins a quarrel is no law. */
function objectsOf(shapes: readonly Shape[]): KubeObject[] {
  const taken = new Set<string>();
  const claim = (address: string): boolean => !taken.has(address) && !!taken.add(address);
  return shapes.flatMap((each, i) => {
    const isExternal = each.type !== 'ClusterIP';
    const nodePort = isExternal && each.hasNodePort ? 30_001 + i : 0;
    const port = { name: 'p', port: 80, protocol: each.protocol, ...(nodePort > 0 && { nodePort }) };
    const spec = {
      type: each.type,
      clusterIP: `10.43.0.${i + 1}`,
      ports: [port],
      internalTrafficPolicy: each.internal,
      externalTrafficPolicy: each.external,
      externalIPs: each.externalIPs.filter(claim),
      sessionAffinity: each.sticky ? 'ClientIP' : 'None',
      ...(each.ranges && each.type === 'LoadBalancer' && { loadBalancerSourceRanges: each.ranges }),
    } as unknown as ServiceSpec;
    const balancers = each.type === 'LoadBalancer' ? each.lbIPs.filter(claim) : [];
    const id = each.protocol === 'TCP' ? 'p' : `p/${each.protocol}`;
    return [
      service(`ns/s${i}`, spec, balancers),
      slice(`ns/s${i}-1`, `s${i}`, {
        ports: { [id]: 8080 + i },
        endpoints: each.endpoints.map((one) => {
          const nodeName = NODE_OF[one.ip];
          return { ...one, ...(nodeName !== undefined && { nodeName }) };
        }),
      }),
    ];
  });
}

function packets(): Packet[] {
  const targets = [
    '10.43.0.1',
    '10.43.0.2',
    '10.43.0.9',
    '203.0.113.1',
    '198.51.100.1',
    '127.0.0.1',
    ...NODE_IPS,
  ];
  // loopback and the world do not mix
  const reaches = (source: string, target: string): boolean =>
    target.startsWith('127.') === source.startsWith('127.');
  return targets.flatMap((destinationAddress) =>
    PORTS.flatMap((destinationPort) =>
      SOURCES.filter(([source]) => reaches(source, destinationAddress)).flatMap(
        ([sourceAddress, inputInterface]) =>
          (['tcp', 'udp', 'sctp'] as const).map((protocol) => ({
            sourceAddress,
            inputInterface,
            destinationAddress,
            destinationPort,
            protocol,
          })),
      ),
    ),
  );
}

const PACKETS = packets();

/** As in kube-proxy: what the host itself sends to an external address without endpoints is not refused. */
function isKnown(mode: ProxyMode, packet: Packet, { verdict, entrance }: PacketTrace): boolean {
  const isHost = NODE_IPS.includes(packet.sourceAddress);
  const isRefusal = verdict.verdict === 'reject' && entrance !== 'cluster-ip';
  if (mode === 'iptables') return isHost && isRefusal && !NODE_IPS.includes(packet.destinationAddress);
  // the device carries it, so it is local
  return mode === 'ipvs' && packet.sourceAddress === '203.0.113.1';
}

function text({ verdict, backends, masquerade, hairpin, affinity }: Verdict): string {
  return JSON.stringify([verdict, backends.toSorted(), masquerade, hairpin.toSorted(), affinity]);
}

test.each(['iptables', 'nftables', 'ipvs'] as ProxyMode[])(
  '%s: the compiled rules answer as the model does',
  (mode) => {
    fc.assert(
      fc.property(fc.array(shape, { minLength: 1, maxLength: 3 }), settings, (shapes, more) => {
        const tracker = new Tracker({ log: silentLogger });
        for (const object of objectsOf(shapes)) tracker.upsert(object);
        tracker.flush();
        const node: NodeSettings = {
          name: 'alpha',
          zone: 'z1',
          family: 'IPv4',
          addresses: NODE_IPS,
          primaryAddresses: NODE_IPS.slice(0, 1),
          serviceCIDRs: ['10.43.0.0/16'],
          allowExternalIPs: true,
          ...more,
        };
        const views = [new NodeViewTracker(tracker, node).refresh().view];
        const model = viewEvaluator(views, mode);
        const compiled = modeEvaluator(mode, views);
        for (const packet of PACKETS) {
          const answer = text(compiled.evaluate(packet));
          const wanted = text(model.evaluate(packet));
          if (answer !== wanted && !isKnown(mode, packet, model.trace(packet)))
            throw new Error(`${JSON.stringify(packet)}: ${answer}, wanted ${wanted}`);
        }
      }),
      { numRuns: 60 },
    );
  },
);
