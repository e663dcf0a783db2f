import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PackedReader } from '../../../dns/cluster/table/packed-reader.ts';
import type { AskingClient } from '../../../dns/cluster/table/raw-question.ts';
import { ServerCookies } from '../../../dns/server/cookie.ts';
import { CookieMaker } from '../../../dns/server/cookie-maker.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage, type EdnsOption, type Message } from '../../../dns/wire/message.ts';
import { EDNS_OPTION, type RecordType } from '../../../dns/wire/numbers.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { parseAddress } from '../../../src/net/ip.ts';
import { cannedReplies, CannedUpstream } from '../support/canned-upstream.ts';
import { corefileOf, readCases } from '../support/case-file.ts';
import { clusterOf } from '../support/cluster.ts';
import { applyStep, clusterStep } from '../support/random-cluster.ts';
import { ask, decoded, openServer, type TestServer } from '../support/server.ts';

const TYPES: readonly RecordType[] = ['A', 'AAAA', 'HTTPS', 'MX', 'SRV', 'PTR', 'NS', 'TXT', 'CNAME', 'SOA'];
const COOKIE_SECRET = 'shared by both paths';
const CLIENT = '192.0.2.250';

function readerOf(on: TestServer, options: { readonly stream?: boolean } = {}): PackedReader {
  const plugin = on.server.plugins.find(({ name }) => name === 'kubernetes')!;
  const nsid = on.server.plugins.find(({ name }) => name === 'nsid')?.serverId;
  const around = { ownsZone: () => true, foreignZones: [], rotate: false, nsid };
  const { table, options: compiled } = plugin.compiled!(around)!;
  const { secret } = new ServerCookies({ clock: systemClock }, { secret: COOKIE_SECRET });
  const cookies = new CookieMaker({ clock: systemClock }, secret);
  const reader = new PackedReader(table.buffers, compiled, { ...options, cookies });
  table.onBuffers((buffers) => reader.useBuffers(buffers));
  return reader;
}

const client: AskingClient = {
  six: false,
  port: 40_000,
  writeAddress: (into) => {
    into.set(parseAddress(CLIENT)!);
    return 4;
  },
};

/** Asks both ways; false when the fast path left it to the slow one. Equal to the last byte. */
async function compare(on: TestServer, reader: PackedReader, request: Message): Promise<boolean> {
  const out = new Uint8Array(1232);
  const bytes = encodeMessage(request);
  const size = reader.answer(bytes, bytes.length, out, client);
  if (size === 0) return false;
  const slow: Uint8Array[] = [];
  const arrival = {
    transport: 'udp',
    client: { address: CLIENT, port: 40_000 },
    server: { address: '127.0.0.1', port: 53 },
    signal: new AbortController().signal,
  } as const;
  await new Promise<void>((resolve) => {
    on.server.answer(bytes, arrival, (reply) => slow.push(reply), resolve);
  });
  const text = (reply: Uint8Array): string =>
    `${formatQuestion(reply)} ${Buffer.from(reply).toString('hex')}`;
  expect(text(out.slice(0, size))).toBe(text(slow[0]!));
  return true;
}

function formatQuestion(reply: Uint8Array): string {
  const { questions, rcode, answers } = decoded(reply);
  return `${questions[0]?.name} ${questions[0]?.type} ${rcode} ${answers.length}`;
}

function mixCase(name: string, seed: number): string {
  return Array.from(name, (char, i) => ((seed >> (i % 30)) & 1 ? char.toUpperCase() : char)).join('');
}

describe('the fast path says what the slow path says', () => {
  for (const strict of [true, false]) {
    it(`for every name of the case file, ${strict ? 'strict' : 'default'}`, async () => {
      let fastCount = 0;
      for (const group of readCases()) {
        if (group.config.labels !== undefined || group.config.external || group.config.autopath) continue;
        await using upstream = await CannedUpstream.open(cannedReplies(group.config.upstream ?? []));
        const cluster = clusterOf(group.objects, {
          pods: group.config.pods === 'verified',
          synced: group.config.synced ?? true,
        });
        await using on = await openServer(corefileOf(group.config, upstream.port), { strict, cluster });
        const reader = readerOf(on);
        for (const [i, { q }] of group.cases.entries()) {
          for (const type of TYPES) {
            for (const name of [q, mixCase(q, 0x2a5f1d3 * (i + 1)), `extra.${q}`]) {
              const edns =
                i % 2 ? { udpSize: 700, version: 0, dnssecOk: i % 3 === 0, options: [] } : undefined;
              const request = queryMessage({ name, type, class: 'IN' }, { id: i, edns });
              if (await compare(on, reader, request)) fastCount++;
            }
          }
        }
      }
      expect(fastCount).toBeGreaterThan(1000);
    });
  }
});

const REVERSE_NAMES = [
  '1.0.96.10.in-addr.arpa.',
  '1.0.244.10.in-addr.arpa.',
  '3.0.244.10.in-addr.arpa.',
  '03.0.244.10.in-addr.arpa.',
  '0.244.10.in-addr.arpa.',
  `2.${'0.'.repeat(23)}1.0.0.0.0.0.d.f.ip6.arpa.`,
];

const LABELS = [
  'web',
  'db',
  'kv',
  'ns',
  'svc',
  'pod',
  'h-0',
  '10-244-0-1',
  'fd00-1--2',
  '_p',
  'p-tcp',
  '_',
  '_tcp',
  'udp',
  'dns',
  'hostmaster',
];

/** Corefile options that change what the table holds or what may be answered from it. */
const OPTIONS = [
  '',
  'ttl 301',
  'noendpoints',
  'endpoint_pod_names',
  'ignore empty_service',
  'namespaces ns',
  'namespaces other',
  'fallthrough',
  'fallthrough other.',
  'pods insecure',
  'zonal',
];

/** EDNS options: valid, unknown, malformed, and cookies with a server part that is ours, somebody's or odd. */
const ednsOption: fc.Arbitrary<EdnsOption> = fc.oneof(
  fc.constant({ code: EDNS_OPTION.NSID, data: new Uint8Array(0) }),
  fc.record({ code: fc.integer({ min: 4, max: 20 }), data: fc.uint8Array({ maxLength: 20 }) }),
  fc.constantFrom(8, 24, 40, 7, 9, 41).chain((size) =>
    fc.record({
      code: fc.constant(EDNS_OPTION.COOKIE),
      data: fc.uint8Array({ minLength: size, maxLength: size }),
    }),
  ),
  fc.constant('our own').map(() => ({ code: EDNS_OPTION.COOKIE, data: ourCookie() })),
);

function ourCookie(): Uint8Array {
  const request = queryMessage(
    { name: 'k.', type: 'A', class: 'IN' },
    {
      edns: {
        ...NO_OPTIONS,
        options: [{ code: EDNS_OPTION.COOKIE, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }],
      },
    },
  );
  const cookies = new ServerCookies({ clock: systemClock }, { secret: COOKIE_SECRET });
  return cookies.check(request, CLIENT).option!.data;
}

const NO_OPTIONS = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };

interface Asked {
  labels: string[];
  type: RecordType;
  upper: number;
  udpSize: number | undefined;
  options: EdnsOption[];
  dnssecOk: boolean;
  flags: boolean;
}

const question: fc.Arbitrary<Asked> = fc.record({
  labels: fc.oneof(
    fc.array(fc.constantFrom(...LABELS), { maxLength: 4 }),
    fc
      .tuple(fc.array(fc.constantFrom(...LABELS), { maxLength: 2 }), fc.constantFrom('web', 'db', 'kv'))
      .map(([below, name]) => [...below, name, 'ns', 'svc']),
    fc.constantFrom(...REVERSE_NAMES).map((name) => name.split('.').slice(0, -1)),
  ),
  type: fc.constantFrom(...TYPES),
  upper: fc.nat(),
  udpSize: fc.option(fc.integer({ min: 0, max: 5000 }), { nil: undefined }),
  options: fc.array(ednsOption, { maxLength: 3 }),
  dnssecOk: fc.boolean(),
  flags: fc.boolean(),
});

function requestOf({ labels, type, upper, udpSize, options, dnssecOk, flags }: Asked): Message {
  const name = mixCase(
    labels.at(-1) === 'arpa' ? `${labels.join('.')}.` : [...labels, 'k', ''].join('.'),
    upper,
  );
  const edns = udpSize === undefined ? undefined : { udpSize, version: 0, dnssecOk, options };
  const bits = { recursionDesired: flags, checkingDisabled: flags, authenticData: dnssecOk };
  return queryMessage({ name, type, class: 'IN' }, { id: upper & 0xffff, edns, ...bits });
}

describe('the table follows any order of changes', () => {
  it('and answers as the slow path, and as a table built afresh', async () => {
    const fastByType: Partial<Record<RecordType, number>> = {};
    const steps = fc.array(clusterStep, { maxLength: 25 });
    const questions = fc.array(question, { minLength: 10, maxLength: 40 });
    const scene = fc.tuple(steps, questions, fc.constantFrom(...OPTIONS), fc.boolean());
    await fc.assert(
      fc.asyncProperty(scene, async ([changes, asked, option, strict]) => {
        const corefile = `. {\n nsid weft\n kubernetes k 10.0.0.0/8 fd00::/8 {\n${option}\n}\n}`;
        const cluster = clusterOf([]);
        await using on = await openServer(corefile, { cluster, strict, cookieSecret: COOKIE_SECRET });
        for (const step of changes) applyStep(cluster, step);
        await using fresh = await openServer(corefile, { cluster, strict, cookieSecret: COOKIE_SECRET });
        const [grown, built] = [readerOf(on), readerOf(fresh)];
        for (const one of asked) {
          const request = requestOf(one);
          const wasFast = await compare(on, grown, request);
          if (wasFast) fastByType[one.type] = (fastByType[one.type] ?? 0) + 1;
          expect(await compare(fresh, built, request)).toBe(wasFast);
        }
        for (const reverse of REVERSE_NAMES) {
          const [a, b] = [await ask(on, `${reverse} PTR`), await ask(fresh, `${reverse} PTR`)];
          expect(a.answers.map(formatRecord)).toEqual(b.answers.map(formatRecord));
          expect(a.rcode).toBe(b.rcode);
        }
      }),
      { numRuns: 150 },
    );
    // A fast path that declines everything would pass too.
    for (const type of ['A', 'AAAA', 'SRV', 'PTR', 'HTTPS'] as const) {
      expect(fastByType[type], type).toBeGreaterThan(50);
    }
  });
});

describe('the table and odd objects', () => {
  it.each(['x'.repeat(300), 'a.b', 'Web', 'ŵeb', 'a b', '', '*'])('named %j', async (odd) => {
    const labels = { 'kubernetes.io/service-name': 'db' };
    const cluster = clusterOf([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { namespace: 'ns', name: odd },
        spec: { clusterIP: '10.96.0.9', ports: [{ port: 1 }] },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { namespace: 'ns', name: 'db' },
        spec: { clusterIP: 'None', ports: [{ port: 1 }] },
      },
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { namespace: 'ns', name: 'db-1', labels },
        addressType: 'IPv4',
        ports: [{ port: 1 }],
        endpoints: [{ addresses: ['10.0.0.1'], hostname: odd }, { addresses: ['10.0.0.2'] }],
      },
    ] as KubeObject[]);
    await using on = await openServer('. {\n kubernetes k\n}', { cluster });
    const reader = readerOf(on);
    for (const name of [
      'db.ns.svc.k.',
      '10-0-0-2.db.ns.svc.k.',
      'web.ns.svc.k.',
      'a.b.ns.svc.k.',
      'a\\.b.ns.svc.k.',
    ]) {
      await compare(on, reader, queryMessage({ name, type: 'A', class: 'IN' }));
    }
    for (const object of cluster.snapshot.services.keys()) {
      const [namespace, name] = [object.split('/')[0]!, object.slice(object.indexOf('/') + 1)];
      cluster.remove({ apiVersion: 'v1', kind: 'Service', metadata: { namespace, name } });
    }
    cluster.flush();
    expect(await compare(on, reader, queryMessage({ name: 'db.ns.svc.k.', type: 'A', class: 'IN' }))).toBe(
      true,
    );
  });
});
