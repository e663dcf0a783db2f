import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { clusterOf } from '../support/cluster.ts';
import { ask, decoded, fastTotals, openServer, questionOf, type TestServer } from '../support/server.ts';
import { askUdp } from '../support/wire-client.ts';

const WEB = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'ns', name: 'web' },
  spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ port: 80 }] },
} as KubeObject;
const NAMESPACE = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } };
const KUBERNETES = 'kubernetes cluster.local';

function fastCount(on: TestServer): number {
  const { positive, nxdomain } = fastTotals(on);
  return positive + nxdomain;
}

/** Corefiles, and whether web.ns.svc.cluster.local may be answered from the table. */
const FILES: readonly (readonly [string, string, boolean])[] = [
  ['one block for everything', `. {\n${KUBERNETES}\n}`, true],
  ['a block of its own beside the root', `cluster.local {\n${KUBERNETES}\n}\n. {\nerrors\n}`, true],
  ['an unrelated block', `. {\n${KUBERNETES}\n}\nexample.org {\nerrors\n}`, true],
  ['a block between the root and the zone', `. {\n${KUBERNETES}\n}\nlocal {\nerrors\n}`, false],
  ['a block that does not hold the zone', `example.org {\n${KUBERNETES}\n}`, false],
  ['a block below the zone', `. {\n${KUBERNETES}\n}\nsvc.cluster.local {\nerrors\n}`, false],
  ['a plugin in front that must see all', `. {\nminimal\n${KUBERNETES}\n}`, false],
  ['a log in front', `. {\nlog\n${KUBERNETES}\n}`, true],
  ['a log of what the chain knows', `. {\nlog . {local}\n${KUBERNETES}\n}`, false],
  ['a plugin in front that owns the zone', `. {\nk8s_external local\n${KUBERNETES}\n}`, false],
];

describe('the fast path leaves to the slow one what belongs to somebody else', () => {
  it.each(FILES)('%s', async (_title, corefile, fast) => {
    await using on = await openServer(corefile, { cluster: clusterOf([NAMESPACE, WEB]) });
    for (const name of ['web.ns.svc.cluster.local.', 'none.ns.svc.cluster.local.']) {
      const overUdp = await askUdp(on.udp, encodeMessage(questionOf(name)));
      const inProcess = await ask(on, name);
      expect(decoded(overUdp)).toEqual(inProcess);
    }
    expect(fastCount(on)).toBe(fast ? 2 : 0);
  });
});
