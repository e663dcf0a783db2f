import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSelector } from '../../../dns/cluster/selector.ts';
import { dnsEngines } from '../../../dns/server/engine.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage, type Message } from '../../../dns/wire/message.ts';
import type { RecordClass, RecordType } from '../../../dns/wire/numbers.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { cannedReplies, CannedUpstream } from '../support/canned-upstream.ts';
import { corefileOf, differences, readCases, type CaseGroup, type DnsCase } from '../support/case-file.ts';
import { TestCertificate } from '../support/certificate.ts';
import { clusterOf } from '../support/cluster.ts';
import { decoded, openServer, type TestServer } from '../support/server.ts';
import { askHttp2, askStream, askUdp, type Target } from '../support/wire-client.ts';

/**
 * The shared cases over real sockets. Left out: those whose client address decides, and over streams those that are
 * about the size of a datagram.
 */
const certificate = new TestCertificate();
afterAll(() => certificate[Symbol.dispose]());

type Wire = 'udp' | 'tcp' | 'tls' | 'https';

function hasOwnClient(group: CaseGroup, one: DnsCase): boolean {
  return (one.clientIP ?? group.config.clientIP) !== undefined || group.config.autopath !== undefined;
}

function suits(one: DnsCase, wire: Wire): boolean {
  if (one.transport !== undefined) return one.transport === wire;
  const transfer = one.type === 'AXFR' || one.type === 'IXFR';
  return (
    wire === 'udp' || (one.maxSize === undefined && one.partial !== true && !transfer && !one.flags?.['tc'])
  );
}

async function askOver(on: TestServer, wire: Wire, request: Message, count: number): Promise<Message[]> {
  const bytes = encodeMessage(request);
  const found = on.server.addresses.find(({ transport }) => transport === wire)!;
  const target: Target = { address: found.address, port: found.port };
  const enough = (replies: readonly Uint8Array[]): boolean => replies.length >= count;
  switch (wire) {
    case 'udp':
      return [decoded(await askUdp(target, bytes))];
    case 'tcp':
      return (await askStream(target, bytes, { enough })).map(decoded);
    case 'tls':
      return (await askStream(target, bytes, { tls: { ca: certificate.ca } })).map(decoded);
    case 'https': {
      const answer = await askHttp2(target, certificate.ca, { method: 'POST', body: bytes });
      expect(answer.status).toBe(200);
      return [decoded(answer.body)];
    }
  }
}

function requestOf(one: DnsCase): Message {
  const { edns } = one;
  return queryMessage(
    { name: one.q, type: one.type as RecordType, class: (one.class ?? 'IN') as RecordClass },
    {
      id: 4711,
      ...(edns && {
        edns: {
          udpSize: edns.size ?? 512,
          version: edns.version ?? 0,
          dnssecOk: edns.do ?? false,
          options: [],
        },
      }),
    },
  );
}

/** The block's keys become one for each transport. */
function onAllTransports(corefile: string): string {
  const tls = `tls ${certificate.certFile} ${certificate.keyFile}`;
  return corefile.replace('. {', `.:0 tls://.:0 https://.:0 {\n${tls}`);
}

function visible({ config, objects }: CaseGroup): readonly KubeObject[] {
  const selector = config.labels === undefined ? undefined : parseSelector(config.labels);
  const filtered = ['Service', 'EndpointSlice', 'Pod'];
  return objects.filter(
    ({ kind, metadata }) => !selector || !filtered.includes(kind) || selector.matches(metadata.labels ?? {}),
  );
}

const GROUPS = readCases().filter((group) => group.cases.some((one) => !hasOwnClient(group, one)));

const ENGINES = [
  { engine: 'portable', wires: ['udp', 'tcp', 'tls', 'https'] },
  { engine: 'native', wires: ['udp', 'tcp', 'tls'] },
] as const;
const RUNS = ENGINES.flatMap(({ engine, wires }) =>
  GROUPS.map((group) => ({ id: group.id, group, engine, wires })),
);

describe.each(RUNS)('$id on the $engine engine', ({ group, engine, wires }) => {
  let upstream: CannedUpstream | undefined;
  let on: TestServer;

  beforeAll(async () => {
    if (!group.config.noUpstream)
      upstream = await CannedUpstream.open(cannedReplies(group.config.upstream ?? []));
    on = await openServer(onAllTransports(corefileOf(group.config, upstream?.port)), {
      strict: true,
      cluster: clusterOf(visible(group), {
        pods: group.config.pods === 'verified',
        synced: group.config.synced ?? true,
      }),
      advertisedAddresses: group.config.serverIPs ?? [],
      ...dnsEngines(engine, { clock: systemClock, log: silentLogger }, { receivers: 1 }),
    });
  });

  afterAll(async () => {
    await on[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  for (const wire of wires) {
    const cases = group.cases.filter((one) => !hasOwnClient(group, one) && suits(one, wire));
    if (cases.length === 0) continue;
    it(`over ${wire}`, async () => {
      for (const one of cases) {
        const messages = await askOver(on, wire, requestOf(one), 1);
        const size = encodeMessage(messages[0]!).length;
        expect(differences(one, messages[0]!, size, messages), `${one.id} ${one.q} ${one.type}`).toEqual([]);
      }
    });
  }
});
