import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { CorefileFault } from '../../../dns/corefile/load.ts';
import type { Message } from '../../../dns/wire/message.ts';
import { EDNS_OPTION } from '../../../dns/wire/numbers.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { CannedUpstream, cannedReplies, recordOf } from '../support/canned-upstream.ts';
import { answers, ask, askAll, openServer, type AskOptions } from '../support/server.ts';

const EDNS = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };

async function once(corefile: string, what: string, options: AskOptions = {}): Promise<Message> {
  await using on = await openServer(corefile);
  return await ask(on, what, options);
}

async function faultsOf(corefile: string): Promise<string> {
  try {
    await using _on = await openServer(corefile);
    return 'none';
  } catch (error) {
    if (error instanceof CorefileFault) return error.message;
    throw error;
  }
}

describe('any', () => {
  it('answers ANY with HINFO and nothing else', async () => {
    const corefile = '. {\n any\n whoami\n}';
    expect(answers(await once(corefile, 'x.example. ANY'))).toEqual([
      'x.example. 8482 IN HINFO "ANY obsoleted" "See RFC 8482"',
    ]);
    expect((await once(corefile, 'x.example. A')).answers).toEqual([]);
  });
});

describe('whoami', () => {
  it.each([
    ['udp', '192.0.2.9', ['x.example. 0 IN A 192.0.2.9', '_udp.x.example. 0 IN SRV 0 0 40000 .']],
    ['tcp', '2001:db8::9', ['x.example. 0 IN AAAA 2001:db8::9', '_tcp.x.example. 0 IN SRV 0 0 40000 .']],
  ] as const)(
    'says address, port and transport of a client over %s',
    async (transport, client, additional) => {
      const reply = await once('. {\n whoami\n}', 'x.example. MX', { transport, client });
      expect(reply.additionals.map(formatRecord)).toEqual(additional);
      expect(reply.authoritative).toBe(true);
    },
  );

  it('names the root without a dot too many', async () =>
    expect((await once('. {\n whoami\n}', '. A')).additionals[1]?.name).toBe('_udp.'));
});

describe('chaos', () => {
  const corefile = '. {\n chaos weft-1 "A One" "B Two"\n whoami\n}';
  const asked = async (name: string, type = 'TXT'): Promise<Message> => {
    const questions = [{ name, type: type as 'TXT', class: 'CH' as const }];
    return await once(corefile, `${name} ${type}`, { questions });
  };

  it.each([
    ['version.bind.', ['"weft-1"']],
    ['version.server.', ['"weft-1"']],
    ['hostname.bind.', [`"${hostname()}"`]],
    ['id.server.', [`"${hostname()}"`]],
    ['authors.bind.', ['"A One"', '"B Two"']],
  ])('%s', async (name, texts) =>
    expect(answers(await asked(name))).toEqual(texts.map((text) => `${name} 0 CH TXT ${text}`)),
  );

  it('refuses other names and types of class CH', async () => {
    expect((await asked('x.bind.')).rcode).toBe('REFUSED');
    expect((await asked('version.bind.', 'A')).rcode).toBe('REFUSED');
  });

  it('leaves class IN alone', async () =>
    expect((await once(corefile, 'version.bind. TXT')).additionals).toHaveLength(2));
});

describe('nsid', () => {
  const edns = { ...EDNS, options: [{ code: EDNS_OPTION.NSID, data: new Uint8Array(0) }] };
  const idOf = (reply: Message): string | undefined => {
    const option = reply.edns?.options.find(({ code }) => code === EDNS_OPTION.NSID);
    return option && Buffer.from(option.data).toString();
  };

  it('names the server to those who ask', async () => {
    const corefile = '. {\n nsid rack 7\n whoami\n}';
    expect(idOf(await once(corefile, 'x. A', { edns }))).toBe('rack 7');
    expect(idOf(await once(corefile, 'x. A', { edns: EDNS }))).toBeUndefined();
  });

  it('is the name of the host by default', async () =>
    expect(idOf(await once('. {\n nsid\n whoami\n}', 'x. A', { edns }))).toBe(hostname()));
});

describe('local', () => {
  const corefile = '. {\n local\n whoami\n}';

  it.each([
    ['localhost. A', 'NOERROR', ['localhost. 604800 IN A 127.0.0.1']],
    ['localhost. AAAA', 'NOERROR', ['localhost. 604800 IN AAAA ::1']],
    ['deep.LOCALHOST. A', 'NOERROR', ['deep.LOCALHOST. 604800 IN A 127.0.0.1']],
    ['localhost. MX', 'NOERROR', []],
    ['localhost.example.org. A', 'NOERROR', ['localhost.example.org. 604800 IN A 127.0.0.1']],
    ['1.0.0.127.in-addr.arpa. PTR', 'NOERROR', ['1.0.0.127.in-addr.arpa. 604800 IN PTR localhost.']],
    ['0.0.127.in-addr.arpa. PTR', 'NOERROR', []],
    ['9.0.0.127.in-addr.arpa. PTR', 'NXDOMAIN', []],
    ['127.in-addr.arpa. NS', 'NOERROR', ['127.in-addr.arpa. 604800 IN NS localhost.']],
  ])('%s', async (what, rcode, lines) => {
    const reply = await once(corefile, what);
    expect({ rcode: reply.rcode, lines: answers(reply) }).toEqual({ rcode, lines });
    expect(reply.authorities).toHaveLength(lines.length > 0 ? 0 : 1);
  });

  it('lets other names pass', async () =>
    expect((await once(corefile, 'localhosts.example. A')).additionals).toHaveLength(2));
});

describe('acl', () => {
  const corefile = `example.org {
  acl {
    allow type A net 192.0.2.0/24
    block type A net *
    filter type TXT
    drop type MX net 198.51.100.7
    block net 2001:db8::/32
  }
  whoami
}`;
  it.each([
    ['192.0.2.1', 'A', 'NOERROR', 2, undefined],
    ['192.0.3.1', 'A', 'REFUSED', 0, 15],
    ['192.0.3.1', 'TXT', 'NOERROR', 0, 17],
    ['192.0.3.1', 'MX', 'NOERROR', 2, undefined],
    ['2001:db8::1', 'AAAA', 'REFUSED', 0, 15],
    ['2001:db9::1', 'AAAA', 'NOERROR', 2, undefined],
  ] as const)('%s asking %s: %s', async (client, type, rcode, count, code) => {
    const reply = await once(corefile, `x.example.org. ${type}`, { client, edns: EDNS });
    const why = reply.edns?.options.find((option) => option.code === EDNS_OPTION.EDE);
    expect({ rcode: reply.rcode, count: reply.additionals.length, code: why?.data[1] }).toEqual({
      rcode,
      count,
      code,
    });
  });

  it('drops without a word and counts', async () => {
    await using on = await openServer(corefile);
    expect(await askAll(on, 'x.example.org. MX', { client: '198.51.100.7' })).toEqual([]);
    expect(await on.metrics.metrics()).toMatch(
      /coredns_acl_dropped_requests_total\{[^}]*zone="example.org."[^}]*\} 1/,
    );
  });

  it.each([
    ['acl {\n blok net *\n}', 'Corefile:3:2: unknown action "blok" of acl; did you mean "block"?'],
    ['acl {\n block net 10.0.0.0/99\n}', 'Corefile:3:12: "10.0.0.0/99" is not an address, a CIDR or *'],
    ['acl {\n block type AX\n}', 'Corefile:3:13: "AX" is not a record type or *'],
    ['acl', 'Corefile:2:1: acl has no rules'],
  ])('refuses %j', async (text, fault) => expect(await faultsOf(`. {\n${text}\n}`)).toBe(fault));
});

describe('minimal, header and bufsize', () => {
  const upstreamReplies = cannedReplies([
    { q: 'x.example.', type: 'A', rcode: 'NOERROR', answer: ['x.example. 9 IN A 192.0.2.1'] },
  ]);
  const behind = async (
    lines: string,
    what: string,
    options: AskOptions = {},
  ): Promise<[Message, Message]> => {
    await using upstream = await CannedUpstream.open((request) => ({
      ...upstreamReplies(request),
      authorities: [recordOf('example. 9 IN NS ns.example.')],
      additionals: [recordOf('ns.example. 9 IN A 192.0.2.2')],
    }));
    await using on = await openServer(`. {\n ${lines}\n forward . 127.0.0.1:${upstream.port}\n}`);
    const reply = await ask(on, what, options);
    return [reply, upstream.asked[0]!];
  };

  it('minimal leaves the answer only', async () => {
    const [reply] = await behind('minimal', 'x.example. A');
    expect([reply.answers.length, reply.authorities, reply.additionals]).toEqual([1, [], []]);
  });

  it('minimal keeps what a denial needs', async () => {
    const [reply] = await behind('minimal', 'y.example. A');
    expect(reply.authorities).toHaveLength(1);
  });

  it('header changes flags of questions and answers', async () => {
    const [reply, asked] = await behind(
      'header {\n query clear rd\n response set aa rd\n clear ra\n }',
      'x.example. A',
    );
    expect(asked.recursionDesired).toBe(false);
    expect(reply).toMatchObject({ authoritative: true, recursionAvailable: false, recursionDesired: true });
  });

  it.each([
    ['header {\n set ad\n}', 'Corefile:3:6: "ad" is not one of aa, ra, rd; did you mean "aa"?'],
    ['header {\n response\n}', 'Corefile:3:2: "response" needs set or clear and flags'],
    ['header', 'Corefile:2:1: header has no rules'],
    ['bufsize 5000', 'Corefile:2:9: "5000" is not a whole number from 512 to 4096'],
    ['cancel 1x', 'Corefile:2:8: "1x" is not a duration such as 5s, 1m30s or 500ms'],
  ])('refuses %j', async (text, fault) => expect(await faultsOf(`. {\n${text}\n}`)).toBe(fault));

  it('bufsize lowers what clients say and what they get', async () => {
    const many = Array.from({ length: 60 }, (_, i) => `x.example. 9 IN A 192.0.2.${i}`);
    await using upstream = await CannedUpstream.open(
      cannedReplies([{ q: 'x.example.', type: 'A', rcode: 'NOERROR', answer: many }]),
    );
    await using on = await openServer(`. {\n bufsize 700\n forward . 127.0.0.1:${upstream.port}\n}`);
    const reply = await ask(on, 'x.example. A', { edns: { ...EDNS, udpSize: 4096 } });
    expect(upstream.asked[0]?.edns?.udpSize).toBe(700);
    expect(reply.truncated).toBe(true);
    expect(reply.answers.length).toBe(Math.floor((700 - 12 - 15 - 11) / 16));
  });
});

describe('erratic', () => {
  it('drops one of two by default', async () => {
    await using on = await openServer('. {\nerratic\n}');
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) counts.push((await askAll(on, 'x. A')).length);
    expect(counts).toEqual([0, 1, 0, 1]);
  });

  it('truncates, grows and delays', async () => {
    const clock = new FakeClock();
    await using on = await openServer('. {\nerratic {\ntruncate 1\nlarge\ndelay 1 2s\n}\n}', { clock });
    let done = false;
    const asking = ask(on, 'x. AAAA', { transport: 'tcp' }).finally(() => (done = true));
    await clock.advance(1999);
    expect(done).toBe(false);
    await clock.advance(2);
    const reply = await asking;
    expect([reply.truncated, reply.answers.length]).toEqual([true, 30]);
  });

  it('knows A and AAAA only', async () =>
    expect((await once('. {\nerratic {\nlarge\n}\n}', 'x. MX')).rcode).toBe('SERVFAIL'));
});

describe('cancel', () => {
  it('gives up what takes too long', async () => {
    const clock = new FakeClock();
    await using upstream = await CannedUpstream.open(() => undefined);
    await using on = await openServer(`. {\n cancel 1s\n forward . 127.0.0.1:${upstream.port}\n}`, { clock });
    const asking = ask(on, 'x.example. A', { edns: EDNS });
    await clock.advance(1001);
    const reply = await asking;
    expect(reply.rcode).toBe('SERVFAIL');
    const why = reply.edns?.options.find(({ code }) => code === EDNS_OPTION.EDE);
    expect(Buffer.from(why!.data.subarray(2)).toString()).toBe('no answer within 1000 ms');
  });
});
