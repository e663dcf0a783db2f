import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClientZones } from '../../../dns/cluster/client-zones.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import type { NodeEntry } from '../../../endpoints/snapshot.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { cidrContains, parseCidr } from '../../../src/net/cidr.ts';
import { clusterOf } from '../support/cluster.ts';
import { ask, decoded, fastTotals, openServer, questionOf } from '../support/server.ts';
import { askUdp } from '../support/wire-client.ts';

const ZONE = 'topology.kubernetes.io/zone';
const COREFILE = '. {\n kubernetes k {\n zone_order\n }\n loadbalance\n}';

function node(name: string, zone: string, podCIDR: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { [ZONE]: zone } },
    spec: { podCIDR, podCIDRs: [podCIDR] },
    status: { addresses: [{ type: 'InternalIP', address: `192.168.0.${name.slice(1)}` }] },
  } as KubeObject;
}

function objects(mode: string | undefined, zones: readonly string[]): KubeObject[] {
  const annotations = mode === undefined ? {} : { 'weft.dev/dns-zones': mode };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } },
    node('n1', 'a', '10.1.0.0/24'),
    node('n2', 'b', '10.2.0.0/24'),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'ns', name: 'db', annotations },
      spec: { clusterIP: 'None', ports: [{ port: 80 }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { namespace: 'ns', name: 'db-1', labels: { 'kubernetes.io/service-name': 'db' } },
      addressType: 'IPv4',
      ports: [{ port: 80 }],
      endpoints: zones.map((zone, i) => ({ addresses: [`10.9.0.${i + 1}`], zone })),
    },
  ] as KubeObject[];
}

async function addressesFor(
  mode: string | undefined,
  zones: readonly string[],
  client: string,
): Promise<string[]> {
  await using on = await openServer(COREFILE, {
    cluster: clusterOf(objects(mode, zones)),
    random: Math.random,
  });
  const reply = await ask(on, 'db.ns.svc.k. A', { client });
  return reply.answers.map((one) => (one.type === 'A' ? one.data.address : ''));
}

const MIXED = ['b', 'a', 'b', 'a'];
const NEAR = ['10.9.0.2', '10.9.0.4'];
const FAR = ['10.9.0.1', '10.9.0.3'];

describe('zone_order', () => {
  it.each([
    ['a pod by the range of its node', '10.1.0.77'],
    ['a node by its address', '192.168.0.1'],
  ])('puts the endpoints of the zone of %s first', async (_who, client) => {
    for (let i = 0; i < 8; i++) {
      const found = await addressesFor(undefined, MIXED, client);
      expect([found.slice(0, 2).sort(), found.slice(2).sort()]).toEqual([NEAR, FAR]);
    }
  });

  it('shuffles within the zone', async () => {
    const firsts = new Set<string>();
    for (let i = 0; i < 40; i++) firsts.add((await addressesFor(undefined, MIXED, '10.1.0.7'))[0]!);
    expect([...firsts].sort()).toEqual(NEAR);
  });

  it.each([
    ['prefer', MIXED, '10.1.0.7', NEAR],
    ['prefer', ['b', 'b'], '10.1.0.7', ['10.9.0.1', '10.9.0.2']],
    ['pin', MIXED, '10.1.0.7', NEAR],
    ['pin', ['b', 'b'], '10.1.0.7', []],
    ['pin', ['b', 'b'], '10.7.0.7', ['10.9.0.1', '10.9.0.2']],
    ['order', MIXED, '10.7.0.7', [...NEAR, ...FAR]],
  ])('with %s, endpoints in %j and client %s answers %j', async (mode, zones, client, wanted) => {
    expect((await addressesFor(mode, zones, client)).sort()).toEqual(wanted.toSorted());
  });

  it('follows a node that moves, and leaves one-zone services to the table', async () => {
    const cluster = clusterOf(objects(undefined, MIXED));
    await using on = await openServer(COREFILE, { cluster });
    const first = async (): Promise<string | undefined> => {
      const [one] = (await ask(on, 'db.ns.svc.k. A', { client: '10.1.0.7' })).answers;
      return one?.type === 'A' ? one.data.address : undefined;
    };
    expect(NEAR).toContain(await first());
    cluster.upsert(node('n1', 'b', '10.1.0.0/24'));
    cluster.flush();
    expect(FAR).toContain(await first());
    const fast = (): number => fastTotals(on).positive;
    await askUdp(on.udp, encodeMessage(questionOf('db.ns.svc.k. A')));
    expect(fast()).toBe(0);
    for (const object of objects(undefined, ['a', 'a'])) cluster.upsert(object);
    cluster.flush();
    expect(decoded(await askUdp(on.udp, encodeMessage(questionOf('db.ns.svc.k. A')))).answers).toHaveLength(
      2,
    );
    expect(fast()).toBe(1);
  });
});

describe('ClientZones', () => {
  it('finds the range that holds the address', () => {
    const octet = fc.integer({ min: 0, max: 3 });
    const range = fc.tuple(octet, octet, fc.constantFrom(16, 20, 24, 26));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 6 }), octet, octet, fc.nat(255), (ranges, b, c, d) => {
        const cidrs = ranges.map(([x, y, bits]) => `10.${x}.${y * 64}.0/${bits}`);
        const entries = cidrs.map((cidr, i): [string, NodeEntry] => [
          `n${i}`,
          {
            name: `n${i}`,
            zone: cidr,
            labels: {},
            addresses: [],
            podCIDRs: [cidr],
            unschedulable: false,
            taints: [],
            deleting: false,
          },
        ]);
        const found = new ClientZones(new Map(entries)).zoneOf(`10.${b}.${c * 64}.${d}`);
        const holding = cidrs.filter((cidr) => cidrContains(parseCidr(cidr)!, `10.${b}.${c * 64}.${d}`));
        if (holding.length === 0) expect(found).toBeUndefined();
        else expect(holding).toContain(found);
      }),
    );
  });
});
