import { describe, expect, it } from 'vitest';
import { EDE, EDNS_OPTION } from '../../../dns/wire/numbers.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { cannedReplies, CannedUpstream } from '../support/canned-upstream.ts';
import { clusterOf } from '../support/cluster.ts';
import { ask, openServer } from '../support/server.ts';

const EDNS = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };

function node(podCIDRs: readonly string[]): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    spec: { podCIDRs },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.0.1' }] },
  } as KubeObject;
}

const DUAL = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'ns', name: 'web' },
  spec: { clusterIP: 'fd00::1', clusterIPs: ['fd00::1'], ports: [{ port: 80 }] },
} as KubeObject;
const NAMESPACE = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } };

const UPSTREAM = cannedReplies([
  { q: 'example.org.', type: 'A', rcode: 'NOERROR', answer: ['example.org. 60 IN A 192.0.2.1'] },
  { q: 'example.org.', type: 'AAAA', rcode: 'NOERROR', answer: ['example.org. 60 IN AAAA 2001:db8::1'] },
]);

/** The types that come back from outside. */
async function typesWith(directive: string, nodes: readonly KubeObject[]): Promise<string[]> {
  await using upstream = await CannedUpstream.open(UPSTREAM);
  const corefile = `. {\n kubernetes k\n ${directive}\n forward . 127.0.0.1:${upstream.port}\n}`;
  await using on = await openServer(corefile, { cluster: clusterOf([NAMESPACE, DUAL, ...nodes]) });
  const found: string[] = [];
  for (const type of ['A', 'AAAA']) {
    const { answers } = await ask(on, `example.org. ${type}`);
    if (answers.length > 0) found.push(type);
  }
  // A name of the cluster has the family it has.
  expect((await ask(on, 'web.ns.svc.k. AAAA')).answers).toHaveLength(1);
  expect(upstream.asked).toHaveLength(found.length);
  return found;
}

describe('families', () => {
  it.each([
    ['families ipv4', [], ['A']],
    ['families ipv6', [], ['AAAA']],
    ['families ipv4 example.com', [], ['A', 'AAAA']],
    ['families ipv4 org', [], ['A']],
    ['families auto', [node(['10.1.0.0/24'])], ['A']],
    ['families auto', [node(['fd01::/64'])], ['AAAA']],
    ['families auto', [node(['10.1.0.0/24', 'fd01::/64'])], ['A', 'AAAA']],
    ['families auto', [node([])], ['A']],
    ['families auto', [], ['A', 'AAAA']],
  ])('%s with nodes %j', async (directive, nodes, types) => {
    expect(await typesWith(directive, nodes)).toEqual(types);
  });

  it('says why, in a denial that may be kept', async () => {
    await using on = await openServer('. {\n families ipv4\n}');
    const reply = await ask(on, 'example.org. AAAA', { edns: EDNS });
    expect([reply.rcode, reply.authorities[0]?.type, reply.recursionAvailable]).toEqual([
      'NOERROR',
      'SOA',
      true,
    ]);
    const ede = Buffer.from(reply.edns!.options.find(({ code }) => code === EDNS_OPTION.EDE)!.data);
    expect([ede.readUInt16BE(), ede.subarray(2).toString()]).toEqual([
      EDE.FILTERED,
      'clients of this server have no IPv6',
    ]);
  });

  it('follows the nodes', async () => {
    const cluster = clusterOf([node(['10.1.0.0/24'])]);
    await using on = await openServer('. {\n families auto\n}', { cluster });
    expect((await ask(on, 'example.org. AAAA')).rcode).toBe('NOERROR');
    cluster.upsert(node(['10.1.0.0/24', 'fd01::/64']));
    cluster.flush();
    expect((await ask(on, 'example.org. AAAA')).rcode).toBe('SERVFAIL');
  });
});
