import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSelector } from '../../dns/cluster/selector.ts';
import { encodeMessage } from '../../dns/wire/encode.ts';
import type { Message } from '../../dns/wire/message.ts';
import type { RecordClass, RecordType } from '../../dns/wire/numbers.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import { cannedReplies, CannedUpstream } from './support/canned-upstream.ts';
import { corefileOf, differences, readCases, type CaseGroup, type DnsCase } from './support/case-file.ts';
import { clusterOf } from './support/cluster.ts';
import { askAll, openServer, type TestServer } from './support/server.ts';

/**
 * The shared cases, in CoreDNS's mode (all of them) and in the default mode (those that the specification or the RFCs
 * ask for). In-process: the client address decides in some of them.
 */
for (const strict of [true, false]) {
  describe.each(readCases().map((group) => [group.id, group] as const))(
    `${strict ? 'strict' : 'default'}: %s`,
    (_id, group) => {
      let upstream: CannedUpstream | undefined;
      let on: TestServer;

      beforeAll(async () => {
        if (!group.config.noUpstream)
          upstream = await CannedUpstream.open(cannedReplies(group.config.upstream ?? []));
        on = await openServer(corefileOf(group.config, upstream?.port), {
          strict,
          cluster: clusterOf(visible(group), {
            pods: group.config.pods === 'verified',
            synced: group.config.synced ?? true,
          }),
          advertisedAddresses: group.config.serverIPs ?? [],
          searchDomains: group.config.autopath?.search ?? [],
        });
      });

      afterAll(async () => {
        await on[Symbol.asyncDispose]();
        await upstream?.[Symbol.asyncDispose]();
      });

      const cases = group.cases.filter((one) => strict || one.level === 'spec' || !one.quirk);
      it.each(cases.map((one) => [one.id, one.note, one] as const))('%s %s', async (_case, _note, one) => {
        const messages = await run(on, group, one);
        const first = messages[0]!;
        expect(differences(one, first, encodeMessage(first).length, messages)).toEqual([]);
      });
    },
  );
}

/** What watches with the label selector would have delivered. */
function visible({ config, objects }: CaseGroup): readonly KubeObject[] {
  const selector = config.labels === undefined ? undefined : parseSelector(config.labels);
  const filtered = ['Service', 'EndpointSlice', 'Pod'];
  return objects.filter(
    ({ kind, metadata }) => !selector || !filtered.includes(kind) || selector.matches(metadata.labels ?? {}),
  );
}

async function run(on: TestServer, { config }: CaseGroup, one: DnsCase): Promise<Message[]> {
  const { edns } = one;
  return await askAll(on, `${one.q} ${one.type}`, {
    client: one.clientIP ?? config.clientIP ?? '192.0.2.250',
    transport: one.transport ?? 'udp',
    questions: [{ name: one.q, type: one.type as RecordType, class: (one.class ?? 'IN') as RecordClass }],
    ...(edns && {
      edns: {
        udpSize: edns.size ?? 512,
        version: edns.version ?? 0,
        dnssecOk: edns.do ?? false,
        options: [],
      },
    }),
  });
}
