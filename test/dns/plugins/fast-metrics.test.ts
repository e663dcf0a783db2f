import { describe, expect, it } from 'vitest';
import { nativeDatagram } from '../../../dns/server/native/native-datagram.ts';
import { openPortableDatagram } from '../../../dns/server/portable-datagram.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import type { Message } from '../../../dns/wire/message.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { waitFor } from '../../support/wait-for.ts';
import { clusterOf } from '../support/cluster.ts';
import { ask, fastTotals, openServer, questionOf, type TestServer } from '../support/server.ts';
import { askUdp } from '../support/wire-client.ts';

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'ns', name: 'web' },
    spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ name: 'http', port: 80 }] },
  },
] as KubeObject[];
const TWO_ZONES = `cluster.local in-addr.arpa {
  kubernetes cluster.local in-addr.arpa
  prometheus 127.0.0.1:0
}`;
/** Clients of this host may ask all but MX; nobody else anything. */
const WITH_ACL = `. {
  acl {
    block type MX net 127.0.0.0/8
    allow net 127.0.0.0/9 ::1
    block
  }
  kubernetes cluster.local in-addr.arpa
  prometheus 127.0.0.1:0
}
example.org {
  prometheus 127.0.0.1:0
  erratic
}`;
const EDNS = { udpSize: 1232, version: 0, dnssecOk: true, options: [] };
const QUESTIONS: readonly (readonly [string, Partial<Message>])[] = [
  ['web.ns.svc.cluster.local. A', {}],
  ['web.ns.svc.cluster.local. AAAA', { edns: EDNS }],
  ['web.ns.svc.cluster.local. SRV', {}],
  ['none.ns.svc.cluster.local. A', { edns: EDNS }],
  ['1.0.96.10.in-addr.arpa. PTR', {}],
  ['web.ns.svc.cluster.local. MX', {}],
];

/** The request metrics of a server, without what depends on the time that answers take. */
async function countsOf(on: TestServer): Promise<string[]> {
  const page = on.server.plugins.find(({ name }) => name === 'prometheus');
  const bound = on.logs.find(({ event }) => event === 'metrics endpoint')?.fields as { port: number };
  expect(page).toBeDefined();
  const text = await (await fetch(`http://127.0.0.1:${bound.port}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => /^coredns_(dns|acl)_/.test(line) && !/seconds_(bucket|sum)/.test(line))
    .map((line) => line.replaceAll(/:\d+"/g, '"'))
    .sort();
}

const deps = { clock: systemClock, log: silentLogger };
const ENGINES = [
  ['portable', openPortableDatagram],
  ['native', nativeDatagram(deps, { receivers: 2 })],
] as const;
const RUNS = ENGINES.flatMap(([name, engine]) => [
  { name, engine, what: 'in two zones', corefile: TWO_ZONES, fast: QUESTIONS.length },
  { name, engine, what: 'behind an acl', corefile: WITH_ACL, fast: QUESTIONS.length - 1 },
]);

describe('metrics of answers from the table', () => {
  it.each(RUNS)('$what are those of the chain, $name engine', async ({ engine, corefile, fast }) => {
    await using chain = await openServer(corefile, { cluster: clusterOf(OBJECTS) });
    await using table = await openServer(corefile, { cluster: clusterOf(OBJECTS), openDatagram: engine });
    for (const [what, parts] of QUESTIONS) {
      await ask(chain, what, { ...parts, client: '127.0.0.1' });
      await askUdp(table.udp, encodeMessage(questionOf(what, parts)));
    }
    const answered = (): number => Object.values(fastTotals(table)).reduce((sum, count) => sum + count, 0);
    // The native threads settle the duration of a batch after they have sent it.
    await waitFor('every count', async () => {
      const lines = await countsOf(table);
      const done = lines.filter((line) => line.startsWith('coredns_dns_request_duration_seconds_count'));
      return done.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0) === QUESTIONS.length;
    });
    expect(answered()).toBe(fast);
    const expected = await countsOf(chain);
    expect(expected.length).toBeGreaterThan(40);
    expect(await countsOf(table)).toEqual(expected);
  });
});
