import { describe, expect, it } from 'vitest';
import { nativeDatagram } from '../../../dns/server/native/native-datagram.ts';
import { nativeStream } from '../../../dns/server/native/native-stream.ts';
import { openPortableDatagram } from '../../../dns/server/portable-datagram.ts';
import { openPortableStream } from '../../../dns/server/stream-listener.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import type { Message } from '../../../dns/wire/message.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { createLogger, silentLogger } from '../../../src/base/log.ts';
import { waitFor } from '../../support/wait-for.ts';
import { TestCertificate } from '../support/certificate.ts';
import { clusterOf } from '../support/cluster.ts';
import { fastTotals, openServer, questionOf, type TestServer } from '../support/server.ts';
import { askStream, askUdp } from '../support/wire-client.ts';

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } },
  ...['web', 'api'].map((name, i) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'ns', name },
    spec: { clusterIP: `10.96.0.${i}`, clusterIPs: [`10.96.0.${i}`], ports: [{ name: 'http', port: 80 }] },
  })),
] as KubeObject[];
const EDNS = { udpSize: 4096, version: 0, dnssecOk: true, options: [] };
const COOKIE = { code: 10, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
/** All that the table answers, and one that a chain does. */
const QUESTIONS: readonly (readonly [string, Partial<Message>])[] = [
  ['web.ns.svc.cluster.local. A', { id: 1 }],
  ['WeB.nS.svc.Cluster.local. AAAA', { id: 2, edns: EDNS }],
  ['api.ns.svc.cluster.local. SRV', { id: 3, edns: { ...EDNS, options: [COOKIE] }, recursionDesired: false }],
  ['none.ns.svc.cluster.local. A', { id: 4, edns: { ...EDNS, udpSize: 100, dnssecOk: false } }],
  ['api.ns.svc.cluster.local. TYPE65400', { id: 5, checkingDisabled: true }],
  ['a\\032b\\.c.ns.svc.cluster.local. A', { id: 6 }],
  ['cluster.local. SOA', { id: 7 }],
];

const deps = { clock: systemClock, log: silentLogger };
const ENGINES = [
  { engine: 'portable', openDatagram: openPortableDatagram, openStream: openPortableStream },
  { engine: 'native', openDatagram: nativeDatagram(deps, { receivers: 2 }), openStream: nativeStream(deps) },
] as const;
const TRANSPORTS = ['udp', 'tcp', 'tls'] as const;
const RUNS = ENGINES.flatMap((engine) => TRANSPORTS.map((transport) => ({ ...engine, transport })));

/** What the log plugin wrote. */
const linesOf = ({ logs }: TestServer): string[] =>
  logs
    .filter(({ event, fields }) => fields['plugin'] === 'log' && event !== 'log lines dropped')
    .map(({ event }) => event);

/** Clients have another port each, and answers take their time. */
const comparable = (line: string): string =>
  line.replace(/^127\.0\.0\.1:\d+ /, '').replace(/ \d+(\.\d{1,9})?s\b/, ' TIME');

describe('the log of questions', () => {
  it.each(RUNS)('says of the table what it says of the chain: $engine, $transport', async (run) => {
    using certificate = new TestCertificate();
    const head =
      run.transport === 'tls'
        ? `tls://.:0 {\ntls ${certificate.certFile} ${certificate.keyFile}\n`
        : 'cluster.local {\n';
    const open = async (log: string): Promise<TestServer> =>
      await openServer(`${head}log ${log}\nkubernetes cluster.local\n}`, {
        ...run,
        cluster: clusterOf(OBJECTS),
      });
    await using table = await open('. "{combined} {none}"');
    await using chain = await open('. "{combined} {none} {local}"'); // only a chain knows what was asked
    for (const on of [table, chain])
      for (const [what, parts] of QUESTIONS) {
        const bytes = encodeMessage(questionOf(what, parts));
        const target = on.server.addresses.find((one) => one.transport === run.transport)!;
        if (run.transport === 'udp') await askUdp(target, bytes);
        else await askStream(target, bytes, run.transport === 'tls' ? { tls: { ca: certificate.ca } } : {});
      }
    for (const on of [table, chain])
      await waitFor('every line', () => linesOf(on).length === QUESTIONS.length);
    const sorted = (on: TestServer): string[] => linesOf(on).map(comparable).sort();
    expect(sorted(table)).toEqual(sorted(chain).map((line) => line.replace(/ 127\.0\.0\.1$/, '')));
    expect(sorted(table)[0]).toBe(
      `- 1 "A IN web.ns.svc.cluster.local. ${run.transport === 'udp' ? 'udp 42 false 512' : 'tcp 42 false 65535'}" NOERROR qr,aa,rd 58 TIME "0" -`,
    );
    const { positive, nodata, nxdomain } = fastTotals(table);
    const tables = run.engine === 'native' || run.transport === 'udp';
    expect(positive + nodata + nxdomain).toBe(tables ? QUESTIONS.length - 1 : 0);
    expect(fastTotals(chain)).toEqual({ positive: 0, nodata: 0, nxdomain: 0 });
  });

  it.each(ENGINES)('of chosen names and classes, $engine engine', async (run) => {
    const corefile = `. {
      log web.ns.svc.cluster.local "web {rcode} {name}"
      log ns.svc.cluster.local "denial {rcode} {type}" {
        class denial
      }
      log . "error {rcode}" {
        class error
      }
      log eb.ns.svc.cluster.local "never"
      kubernetes cluster.local
    }`;
    await using on = await openServer(corefile, { ...run, cluster: clusterOf(OBJECTS) });
    for (const what of [
      'web.ns.svc.cluster.local. A',
      'www.web.ns.svc.cluster.local. A',
      'api.ns.svc.cluster.local. MX',
    ])
      await askUdp(on.udp, encodeMessage(questionOf(what)));
    await waitFor('the lines', () => linesOf(on).length >= 4);
    expect(linesOf(on).sort()).toEqual([
      'denial NOERROR MX',
      'denial NXDOMAIN A',
      'web NOERROR web.ns.svc.cluster.local.',
      'web NXDOMAIN www.web.ns.svc.cluster.local.',
    ]);
    expect(fastTotals(on)).toEqual({ positive: 1, nodata: 1, nxdomain: 1 });
  });

  it.each(ENGINES)('of a sample, $engine engine', async (run) => {
    const corefile = `. {
      log . "{type}" {
        sample 4
      }
      log . "{type} all"
      kubernetes cluster.local
    }`;
    await using on = await openServer(corefile, { ...run, cluster: clusterOf(OBJECTS) });
    for (let i = 0; i < 200; i++)
      await askUdp(on.udp, encodeMessage(questionOf(`web.ns.svc.cluster.local. ${i % 2 ? 'A' : 'AAAA'}`)));
    await waitFor('the lines', () => linesOf(on).filter((line) => line.endsWith('all')).length === 200);
    const count = (text: string): number => linesOf(on).filter((line) => line === text).length;
    for (const type of ['A', 'AAAA']) {
      expect(count(type)).toBeGreaterThan(5);
      expect(count(type)).toBeLessThan(60);
    }
  });

  it('counts what it had no room for, and says so', async () => {
    const on = await openServer('. {\nlog\nkubernetes cluster.local\n}', { cluster: clusterOf(OBJECTS) });
    const { watch } = on.server.plugins.find(({ name }) => name === 'log')!;
    for (const count of [3, 4]) watch!.missed(count);
    expect(await on.metrics.metrics()).toContain('weft_dns_log_dropped_total{server="dns://:0"} 7');
    await on[Symbol.asyncDispose]();
    const told = on.logs.filter(({ event }) => event === 'log lines dropped');
    expect(told.map(({ fields }) => fields['count'])).toEqual([7]);
  });

  it('says at every level what was asked for', async () => {
    const written: string[] = [];
    const log = createLogger(({ level, event }) => written.push(`${level} ${event}`), 'error');
    log.info('no');
    log.with({ plugin: 'log' }).always('yes');
    expect(written).toEqual(['info yes']);
  });
});
