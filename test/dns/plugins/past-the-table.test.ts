import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import type { Message } from '../../../dns/wire/message.ts';
import { EDNS_OPTION } from '../../../dns/wire/numbers.ts';
import { makeBindKey } from '../support/bind-key.ts';
import { clusterOf } from '../support/cluster.ts';
import { TestFolder } from '../support/folder.ts';
import { answers, decoded, openServer, questionOf, type TestServer } from '../support/server.ts';
import { askUdp } from '../support/wire-client.ts';

const NAME = 'web.shop.svc.cluster.local.';
const cluster = (): ReturnType<typeof clusterOf> =>
  clusterOf([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'shop' },
      spec: { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ports: [{ name: 'http', port: 80 }] },
    } as Parameters<typeof clusterOf>[0][number],
  ]);

/** Asks over a real socket, where answers may come from the compiled table without any plugin being asked. */
async function asked(on: TestServer, what: string, parts: Partial<Message> = {}): Promise<Message> {
  return decoded(await askUdp(on.udp, encodeMessage(questionOf(what, parts))));
}

const open = async (lines: string): Promise<TestServer> =>
  await openServer(`cluster.local {\n${lines}\nkubernetes\n}`, { cluster: cluster() });

const NSID = { udpSize: 1232, version: 0, dnssecOk: false, options: [{ code: 3, data: new Uint8Array(0) }] };
const DO = { udpSize: 4096, version: 0, dnssecOk: true, options: [] };

describe('the compiled table answers nothing past a plugin that has a say', () => {
  it('answers by itself otherwise', async () => {
    await using on = await open('');
    expect(answers(await asked(on, `${NAME} A`))).toEqual([`${NAME} 5 IN A 10.96.0.7`]);
  });

  it.each<[string, string, string, Partial<Message>, (reply: Message) => unknown, unknown]>([
    ['acl', 'acl {\nblock net 127.0.0.0/8\n}', `${NAME} A`, {}, ({ rcode }) => rcode, 'REFUSED'],
    ['acl filter', 'acl {\nfilter type A\n}', `${NAME} A`, {}, ({ answers }) => answers.length, 0],
    ['header', 'header {\nclear aa\n}', `${NAME} A`, {}, ({ authoritative }) => authoritative, false],
    [
      'rewrite',
      'rewrite name old.shop.svc.cluster.local web.shop.svc.cluster.local',
      'old.shop.svc.cluster.local. A',
      {},
      answers,
      ['old.shop.svc.cluster.local. 5 IN A 10.96.0.7'],
    ],
    [
      'rewrite of the ttl',
      'rewrite ttl suffix .cluster.local 77',
      `${NAME} A`,
      {},
      ({ answers }) => answers[0]?.ttl,
      77,
    ],
    ['minimal', 'minimal', `_http._tcp.${NAME} SRV`, {}, ({ additionals }) => additionals, []],
    ['local', 'local', 'localhost.shop.svc.cluster.local. A', {}, ({ rcode }) => rcode, 'NOERROR'],
    ['any', 'any', `${NAME} ANY`, {}, ({ answers }) => answers[0]?.type, 'HINFO'],
    [
      'nsid',
      'nsid here',
      `${NAME} A`,
      { edns: NSID },
      ({ edns }) => edns?.options.some(({ code }) => code === EDNS_OPTION.NSID),
      true,
    ],
    [
      'template',
      'template IN A shop.svc.cluster.local {\nanswer "{{ .Name }} 9 IN A 192.0.2.9"\n}',
      `${NAME} A`,
      {},
      answers,
      [`${NAME} 9 IN A 192.0.2.9`],
    ],
    [
      'hosts of a zone of its own',
      'hosts {\n192.0.2.8 web.shop.svc.cluster.local\nfallthrough\n}',
      `${NAME} A`,
      {},
      answers,
      [`${NAME} 3600 IN A 192.0.2.8`],
    ],
    ['bufsize', 'bufsize 512', `${NAME} A`, { edns: DO }, ({ rcode }) => rcode, 'NOERROR'],
  ])('%s', async (_what, lines, what, parts, seen, wanted) => {
    await using on = await open(lines);
    expect(seen(await asked(on, what, parts))).toEqual(wanted);
  });

  it('dnssec', async () => {
    const key = makeBindKey('cluster.local.', 'ED25519');
    using folder = new TestFolder({ 'K.key': key.publicText, 'K.private': key.privateText });
    await using on = await open(`dnssec {\nkey file ${folder.at('K')}\n}`);
    const types = (reply: Message): string[] => reply.answers.map(({ type }) => type);
    expect(types(await asked(on, `${NAME} A`, { edns: DO }))).toEqual(['A', 'RRSIG']);
    expect(types(await asked(on, `${NAME} A`))).toEqual(['A']);
  });

  it('view of another block on the same zone', async () => {
    const corefile = `cluster.local {
  view loopback {
    expr incidr(client_ip(), '127.0.0.0/8')
  }
  whoami
}
cluster.local {
  kubernetes
}`;
    await using on = await openServer(corefile, { cluster: cluster() });
    const reply = await asked(on, `${NAME} A`);
    expect([reply.answers.length, reply.additionals.length]).toEqual([0, 2]);
  });

  it('acl in the very next answer after a reload', async () => {
    using folder = new TestFolder({ Corefile: 'cluster.local {\nkubernetes\n}' });
    await using on = await openServer('', { cluster: cluster(), corefile: { path: folder.at('Corefile') } });
    expect((await asked(on, `${NAME} A`)).rcode).toBe('NOERROR');
    folder.write('Corefile', 'cluster.local {\nacl {\nblock\n}\nkubernetes\n}');
    expect(await on.server.reload()).toBe(true);
    expect((await asked(on, `${NAME} A`)).rcode).toBe('REFUSED');
  });
});
