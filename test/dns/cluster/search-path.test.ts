import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { EDE, EDNS_OPTION } from '../../../dns/wire/numbers.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { waitFor } from '../../support/wait-for.ts';
import { cannedReplies, CannedUpstream } from '../support/canned-upstream.ts';
import { clusterOf } from '../support/cluster.ts';
import {
  answers,
  ask,
  decoded,
  fastTotals,
  openServer,
  questionOf,
  type TestServer,
} from '../support/server.ts';
import { askUdp } from '../support/wire-client.ts';

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'data' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'data', name: 'db' },
    spec: { clusterIP: '10.96.0.7', ports: [{ port: 80 }] },
  },
] as KubeObject[];

const UPSTREAM = cannedReplies([
  { q: 'www.example.org.', type: 'A', rcode: 'NOERROR', answer: ['www.example.org. 60 IN A 192.0.2.1'] },
  { q: 'broken.example.org.', type: 'A', rcode: 'SERVFAIL', answer: [] },
]);

async function open(upstream: CannedUpstream): Promise<TestServer> {
  const forward = `forward . 127.0.0.1:${upstream.port}`;
  const corefile = `. {\n autopath cluster.local @question\n kubernetes cluster.local\n cache 30\n ${forward}\n}`;
  return await openServer(corefile, { cluster: clusterOf(OBJECTS), searchDomains: ['corp.example.'] });
}

/** No pod is known, and the client is whoever NAT made of it. */
describe('autopath @question', () => {
  it('finds an outside name in the first question of a search', async () => {
    await using upstream = await CannedUpstream.open(UPSTREAM);
    await using on = await open(upstream);
    const edns = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };
    const reply = await ask(on, 'www.example.org.shop.svc.cluster.local. A', { edns });
    expect(answers(reply)).toEqual([
      'www.example.org. 30 IN A 192.0.2.1',
      'www.example.org.shop.svc.cluster.local. 30 IN CNAME www.example.org.',
    ]);
    const ede = Buffer.from(reply.edns!.options.find(({ code }) => code === EDNS_OPTION.EDE)!.data);
    expect(ede.readUInt16BE()).toBe(EDE.SYNTHESIZED);
    expect(ede.subarray(2).toString()).toBe('found as www.example.org. along the search path');
    expect((await ask(on, 'www.example.org.shop.svc.cluster.local. AAAA')).rcode).toBe('NOERROR');
  });

  it('finds a service of another namespace without asking upstream for it first', async () => {
    await using upstream = await CannedUpstream.open(UPSTREAM);
    await using on = await open(upstream);
    expect(answers(await ask(on, 'db.data.shop.svc.cluster.local. A'))).toEqual([
      'db.data.shop.svc.cluster.local. 5 IN CNAME db.data.svc.cluster.local.',
      'db.data.svc.cluster.local. 5 IN A 10.96.0.7',
    ]);
  });

  it.each([
    ['a name that is nowhere', 'none.example.org.shop.svc.cluster.local.'],
    ['an upstream that fails: the client asks itself', 'broken.example.org.shop.svc.cluster.local.'],
    ['a namespace that is none', 'www.example.org.nowhere.svc.cluster.local.'],
    ['a name below a service', 'pod-0.db.data.svc.cluster.local.'],
    ['a later entry of the search list', 'www.example.org.svc.cluster.local.'],
  ])('denies %s as before', async (_what, name) => {
    await using upstream = await CannedUpstream.open(UPSTREAM);
    await using on = await open(upstream);
    const reply = await ask(on, `${name} A`);
    expect([reply.rcode, reply.answers.length, reply.authorities[0]?.type]).toEqual(['NXDOMAIN', 0, 'SOA']);
  });

  it('asks all other entries together', async () => {
    let seen = 0;
    await using upstream = await CannedUpstream.open((request) => {
      seen++;
      return request.questions[0]!.name.toLowerCase().startsWith('slow.') ? undefined : UPSTREAM(request);
    });
    await using on = await open(upstream);
    void ask(on, 'slow.example.net.shop.svc.cluster.local. A');
    // corp.example and the bare name, neither of which is answered.
    await waitFor('both questions', () => seen >= 2);
    const names = upstream.asked.map(({ questions }) => questions[0]!.name.toLowerCase());
    expect(new Set(names)).toEqual(new Set(['slow.example.net.corp.example.', 'slow.example.net.']));
  });

  it('leaves the other names to the table', async () => {
    await using upstream = await CannedUpstream.open(UPSTREAM);
    await using on = await open(upstream);
    const fast = (): number => fastTotals(on).positive + fastTotals(on).nxdomain;
    const overUdp = async (name: string): Promise<string> =>
      decoded(await askUdp(on.udp, encodeMessage(questionOf(name)))).rcode;
    expect(await overUdp('www.example.org.shop.svc.cluster.local.')).toBe('NOERROR');
    expect(fast()).toBe(0);
    expect(await overUdp('db.data.svc.cluster.local.')).toBe('NOERROR');
    expect(await overUdp('none.data.svc.cluster.local.')).toBe('NXDOMAIN');
    expect(fast()).toBe(2);
  });
});
