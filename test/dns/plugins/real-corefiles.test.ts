import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadCorefile } from '../../../dns/corefile/load.ts';
import { pillarValues } from '../../../dns/corefile/pillars.ts';
import type { Message } from '../../../dns/wire/message.ts';
import { replyTo } from '../../../dns/wire/message.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { clusterOf } from '../support/cluster.ts';
import { CannedUpstream, recordOf } from '../support/canned-upstream.ts';
import { TestFolder } from '../support/folder.ts';
import { REAL_COREFILES, type RealCorefile } from '../support/real-corefiles.ts';
import { ask, openServer } from '../support/server.ts';

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'shop', name: 'web' },
    spec: { clusterIP: '10.96.0.7', ports: [{ port: 80 }] },
  },
] as KubeObject[];

/** Everything is answered, and comes from far away. */
const everything = (request: Message): Message => {
  const { name, type } = request.questions[0]!;
  return replyTo(request, { answers: type === 'A' ? [recordOf(`${name} 60 IN A 192.0.2.53`)] : [] });
};

function told({ rcode, answers }: Message): string {
  const [record] = answers.filter(({ type }) => type !== 'CNAME');
  if (!record) return rcode;
  return 'address' in record.data ? record.data.address : 'target' in record.data ? record.data.target : '?';
}

/** On free ports of this host instead of those of a cluster's. */
function onFreePorts(text: string): string {
  return text
    .replace(/:(53|5353)\b/g, ':0')
    .replace(/^(\s*)(health|ready|prometheus)\b[^{\n]*/gm, '$1$2 127.0.0.1:0 ')
    .replaceAll('__PILLAR__CLUSTER__DNS__', '{upstream}')
    .replaceAll('__PILLAR__UPSTREAM__SERVERS__', '{upstream}');
}

function inFolder({ text, files = {} }: RealCorefile, change: (text: string) => string): TestFolder {
  const folder = new TestFolder({ 'resolv.conf': 'nameserver 192.0.2.1\n' });
  folder.write('Corefile', change(text));
  for (const [name, content] of Object.entries(files)) folder.write(name, change(content));
  return folder;
}

const ENV = { KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.0.11', __PILLAR__UPSTREAM__SERVERS__: 'resolv.conf' };

describe('Corefiles as distributions install them', () => {
  let upstream: CannedUpstream;
  beforeAll(async () => void (upstream = await CannedUpstream.open(everything)));
  afterAll(async () => await upstream[Symbol.asyncDispose]());

  it.each(REAL_COREFILES)('$name is understood as it stands', (file) => {
    using folder = inFolder(file, (text) => text.replaceAll('{upstream}', 'resolv.conf'));
    const env = pillarValues(ENV, ['169.254.20.10', '10.96.0.10']);
    const options = { dnsPort: 53, strict: false, env };
    expect(loadCorefile({ path: folder.at('Corefile') }, options).plans.length).toBeGreaterThan(0);
  });

  it.each(REAL_COREFILES)('$name answers', async (file) => {
    const to = `127.0.0.1:${upstream.port}`;
    using folder = inFolder(file, (text) => onFreePorts(text).replaceAll('{upstream}', to));
    await using on = await openServer('', {
      corefile: { path: folder.at('Corefile') },
      cluster: clusterOf(OBJECTS),
      env: pillarValues({}, ['127.0.0.1']),
    });
    for (const [what, wanted] of file.answers)
      expect([what, told(await ask(on, what))]).toEqual([what, wanted]);
    expect(on.server.failed.aborted).toBe(false);
  });
});
