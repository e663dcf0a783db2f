import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage, replyTo, type Message } from '../../../dns/wire/message.ts';
import type { RecordType } from '../../../dns/wire/numbers.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { makeBindKey } from '../support/bind-key.ts';
import { CannedUpstream, recordOf } from '../support/canned-upstream.ts';
import { clusterOf } from '../support/cluster.ts';
import { TestFolder } from '../support/folder.ts';
import { decoded, openServer, type TestServer } from '../support/server.ts';
import { askUdp } from '../support/wire-client.ts';

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'ns', name: 'many' },
    spec: {
      clusterIP: 'None',
      ports: Array.from({ length: 20 }, (_, i) => ({ name: `p${i}`, port: i + 1 })),
    },
  },
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'ns', name: 'many-1', labels: { 'kubernetes.io/service-name': 'many' } },
    addressType: 'IPv4',
    ports: Array.from({ length: 20 }, (_, i) => ({ name: `p${i}`, port: i + 1 })),
    endpoints: Array.from({ length: 500 }, (_, i) => ({ addresses: [`10.0.${i >> 8}.${i & 255}`] })),
  },
] as KubeObject[];

const BIG = Array.from({ length: 40 }, (_, i) => `big TXT "${i} ${'x'.repeat(200)}"\n`).join('');
const ZONE = `$TTL 60\n@ SOA ns host 1 2 3 4 60\n@ NS ns\nns A 192.0.2.1\n${BIG}`;

let upstream: CannedUpstream;
let folder: TestFolder;
let on: TestServer;

beforeAll(async () => {
  upstream = await CannedUpstream.open((request) => {
    const name = request.questions[0]!.name;
    const answers = Array.from({ length: 60 }, (_, i) =>
      recordOf(`${name} 60 IN TXT "${i}${'y'.repeat(90)}"`),
    );
    return replyTo(request, { answers });
  });
  folder = new TestFolder({ db: ZONE });
  const key = makeBindKey('signed.org.', 'ECDSAP256SHA256');
  folder.write('Ksigned.key', key.publicText);
  folder.write('Ksigned.private', key.privateText);
  on = await openServer(
    `cluster.local {
      kubernetes
      transfer {
        to *
      }
    }
    signed.org {
      dnssec {
        key file ${folder.at('Ksigned')}
      }
      file ${folder.at('db')}
      transfer {
        to *
      }
    }
    version.bind {
      chaos ${'v'.repeat(300)} ${Array.from({ length: 60 }, (_, i) => `author-${i}@example.org`).join(' ')}
    }
    made.org {
      template IN TXT made.org {
        ${BIG.replaceAll('big TXT ', 'answer "{{ .Name }} 60 IN TXT ')
          .replaceAll(/"(\d+ x+)"/g, '$1')
          .replaceAll('\n', '"\n')}
      }
    }
    wide.org {
      bufsize 4096
      file ${folder.at('db')}
    }
    . {
      cache
      forward . 127.0.0.1:${upstream.port}
    }`,
    { cluster: clusterOf(OBJECTS) },
  );
});
afterAll(async () => {
  await on[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

interface Asked {
  readonly request: Uint8Array;
  readonly bytes: Uint8Array;
  readonly reply: Message;
}

async function asked(name: string, type: RecordType, parts: Partial<Message> = {}): Promise<Asked> {
  const request = encodeMessage(queryMessage({ name, type, class: 'IN' }, { id: 5, ...parts }));
  const bytes = await askUdp(on.udp, request);
  return { request, bytes, reply: decoded(bytes) };
}

const edns = (udpSize: number, dnssecOk = false): Partial<Message> => ({
  edns: { udpSize, version: 0, dnssecOk, options: [] },
});

const BIG_QUESTIONS: readonly (readonly [string, RecordType])[] = [
  ['many.ns.svc.cluster.local.', 'A'],
  ['many.ns.svc.cluster.local.', 'SRV'],
  ['many.ns.svc.cluster.local.', 'ANY'],
  ['cluster.local.', 'AXFR'],
  ['cluster.local.', 'IXFR'],
  ['big.signed.org.', 'TXT'],
  ['big.signed.org.', 'ANY'],
  ['signed.org.', 'DNSKEY'],
  ['signed.org.', 'ANY'],
  ['none.signed.org.', 'A'],
  ['signed.org.', 'AXFR'],
  ['signed.org.', 'IXFR'],
  ['x.made.org.', 'TXT'],
  ['far.example.', 'TXT'],
  ['big.wide.org.', 'TXT'],
];

describe('over UDP', () => {
  it.each(BIG_QUESTIONS)('%s %s never gets more than the client takes', async (name, type) => {
    for (const [size, parts] of [
      [512, {}],
      [512, edns(100)],
      [512, edns(512, true)],
      [900, edns(900, true)],
      [4096, edns(4096)],
      [65_535, edns(65_535, true)],
    ] as const) {
      const { bytes, reply } = await asked(name, type, parts);
      // What is not asked for by `bufsize` keeps below the size that is not fragmented (RFC 9715).
      const most = Math.min(size, name === 'big.wide.org.' ? 4096 : 1232);
      expect(bytes.length).toBeLessThanOrEqual(most);
      if (type === 'TXT') expect(reply.truncated).toBe(true);
    }
  });

  it('a cut answer holds whole records and says so', async () => {
    const { reply } = await asked('many.ns.svc.cluster.local.', 'A', edns(1232));
    expect(reply.truncated).toBe(true);
    expect(reply.answers.length).toBeGreaterThan(10);
  });

  it('transfers do not go out', async () => {
    expect((await asked('signed.org.', 'AXFR')).reply).toMatchObject({ rcode: 'REFUSED', answers: [] });
    expect((await asked('signed.org.', 'IXFR')).reply.answers.map(({ type }) => type)).toEqual(['SOA']);
  });

  it.each<[string, Uint8Array]>([
    ['a damaged question', Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9)],
    ['a header alone', Uint8Array.of(0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    [
      'an opcode of nobody',
      encodeMessage(queryMessage({ name: 'x.', type: 'A', class: 'IN' }, { opcode: 'UPDATE' })),
    ],
    ['class CH', encodeMessage(queryMessage({ name: 'version.x.', type: 'TXT', class: 'CH' }))],
  ])('%s is not answered with more than it has', async (_what, bytes) =>
    expect((await askUdp(on.udp, bytes)).length).toBeLessThanOrEqual(bytes.length),
  );

  it('chaos fits as well', async () => {
    const question = { name: 'authors.bind.', type: 'TXT', class: 'CH' } as const;
    const bytes = await askUdp(on.udp, encodeMessage(queryMessage(question)));
    expect(bytes.length).toBeLessThanOrEqual(512);
  });
});
