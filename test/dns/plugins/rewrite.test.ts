import { describe, expect, it } from 'vitest';
import type { Message } from '../../../dns/wire/message.ts';
import { replyTo } from '../../../dns/wire/message.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import { CorefileFault } from '../../../dns/corefile/load.ts';
import { CannedUpstream, cannedReplies, recordOf } from '../support/canned-upstream.ts';
import { answers, ask, openServer, type AskOptions } from '../support/server.ts';

const UPSTREAM = cannedReplies([
  { q: 'web.new.', type: 'A', rcode: 'NOERROR', answer: ['web.new. 60 IN A 192.0.2.1'] },
  { q: 'new.web.', type: 'A', rcode: 'NOERROR', answer: ['new.web. 60 IN A 192.0.2.2'] },
  {
    q: 'alias.new.',
    type: 'A',
    rcode: 'NOERROR',
    answer: ['alias.new. 60 IN CNAME web.new.', 'web.new. 60 IN A 192.0.2.1'],
  },
  { q: 'web.new.', type: 'SRV', rcode: 'NOERROR', answer: ['web.new. 60 IN SRV 0 0 80 host.new.'] },
  { q: 'web.new.', type: 'HINFO', rcode: 'NOERROR', answer: ['web.new. 60 IN HINFO "a" "b"'] },
  { q: 'other.cdn.', type: 'A', rcode: 'NOERROR', answer: ['other.cdn. 60 IN A 192.0.2.3'] },
  { q: 'broken.new.', type: 'A', rcode: 'SERVFAIL', answer: [] },
]);

async function asked(
  rules: string,
  what: string,
  options: AskOptions & { strict?: boolean } = {},
): Promise<{ reply: Message; lines: string[]; upstream: Message | undefined }> {
  await using upstream = await CannedUpstream.open(UPSTREAM);
  const { strict = false, ...rest } = options;
  await using on = await openServer(`. {\n${rules}\nforward . 127.0.0.1:${upstream.port}\n}`, { strict });
  const reply = await ask(on, what, rest);
  return { reply, lines: answers(reply), upstream: upstream.asked[0] };
}

describe('rewrite name', () => {
  it.each<[string, string, string, string[]]>([
    ['exact', 'rewrite name web.old web.new', 'WEB.old. A', ['WEB.old. 60 IN A 192.0.2.1']],
    [
      'exact by its word',
      'rewrite name exact web.old. web.new.',
      'web.old. A',
      ['web.old. 60 IN A 192.0.2.1'],
    ],
    ['prefix', 'rewrite name prefix old. new.', 'old.web. A', ['old.web. 60 IN A 192.0.2.2']],
    ['suffix', 'rewrite name suffix .old .new', 'web.old. A', ['web.old. 60 IN A 192.0.2.1']],
    ['substring', 'rewrite name substring l n', 'web.lew. A', ['web.lew. 60 IN A 192.0.2.1']],
    ['regex', 'rewrite name regex (.*)\\.old\\.$ {1}.new', 'web.old. A', ['web.old. 60 IN A 192.0.2.1']],
    [
      'suffix with answer auto changes the names of the whole chain back',
      'rewrite name suffix .old .new answer auto',
      'alias.old. A',
      ['alias.old. 60 IN CNAME web.old.', 'web.old. 60 IN A 192.0.2.1'],
    ],
    [
      'regex with answer auto takes the name back that was asked for, owner or value',
      'rewrite name regex (.*)\\.old\\.$ alias.{1} answer auto',
      'new.old. A',
      ['new.old. 60 IN CNAME web.new.', 'web.new. 60 IN A 192.0.2.1'],
    ],
    [
      'answer clauses without the word behind the first',
      'rewrite name regex (.*)\\.old$? {1}.new answer name (.*)\\.new {1}.old value (.*)\\.new {1}.old',
      'web.old. SRV',
      ['web.old. 60 IN SRV 0 0 80 host.old.'],
    ],
    [
      'regex with answer name and answer value',
      'rewrite stop {\n name regex (.*)\\.old$? {1}.new\n answer name (.*)\\.new {1}.old\n answer value (.*)\\.new {1}.old\n}',
      'web.old. SRV',
      ['web.old. 60 IN SRV 0 0 80 host.old.'],
    ],
    [
      'rules go on after continue',
      'rewrite continue name exact a.old b.old\nrewrite name suffix .old .new\nrewrite name suffix .new .wrong',
      'web.old. A',
      ['web.old. 60 IN A 192.0.2.1'],
    ],
    [
      'two rules in a row and both ways back',
      'rewrite continue name exact x.y web.old\nrewrite name suffix .old .new',
      'x.y. A',
      ['x.y. 60 IN A 192.0.2.1'],
    ],
  ])('%s', async (_what, rules, what, wanted) => {
    const { reply, lines } = await asked(rules, what);
    expect(lines).toEqual(wanted);
    expect(reply.questions[0]?.name).toBe(what.split(' ')[0]);
  });

  it('changes no owner without an answer clause in strict mode', async () =>
    expect((await asked('rewrite name suffix .old .new', 'web.old. A', { strict: true })).lines).toEqual([
      'web.new. 60 IN A 192.0.2.1',
    ]));

  it('takes exact names back in strict mode too, in values as well', async () => {
    const rule = 'rewrite name exact alias.old alias.new';
    expect((await asked(rule, 'alias.old. A', { strict: true })).lines).toEqual([
      'alias.old. 60 IN CNAME web.new.',
      'web.new. 60 IN A 192.0.2.1',
    ]);
  });

  it('fails where a name would become too long', async () => {
    const long = 'a'.repeat(60);
    const rules = `rewrite name prefix web. ${long}.${long}.${long}.web.`;
    const { upstream } = await asked(rules, 'web.example. A');
    expect(upstream?.questions[0]?.name.toLowerCase()).toBe(`${long}.`.repeat(3) + 'web.example.');
    const longer = await asked(rules.replace(`${long}.`, `${long}.${long}.`), 'web.example. A');
    expect([longer.upstream, longer.reply.rcode]).toEqual([undefined, 'SERVFAIL']);
  });

  it('runs in linear time whatever the expression', async () => {
    const name = `${'a'.repeat(60)}.${'a'.repeat(60)}.`;
    const { reply } = await asked('rewrite name regex (a*)*b$ x.new', `${name} A`);
    expect(reply.rcode).toBe('NXDOMAIN');
  });
});

describe('rewrite of other fields', () => {
  it('type', async () => {
    const { reply, upstream } = await asked('rewrite type ANY HINFO', 'web.new. ANY');
    expect(upstream?.questions[0]?.type).toBe('HINFO');
    expect(reply.questions[0]?.type).toBe('ANY');
    expect(answers(reply)).toEqual(['web.new. 60 IN HINFO "a" "b"']);
  });

  it('class', async () => {
    const questions = [{ name: 'web.new.', type: 'A' as const, class: 'CH' as const }];
    const { reply, upstream } = await asked('rewrite class CH IN', 'web.new. A', { questions });
    expect(upstream?.questions[0]?.class).toBe('IN');
    expect(reply.rcode).toBe('NOERROR');
  });

  it.each([
    ['15', 15],
    ['70-90', 70],
    ['-30', 30],
    ['61-', 61],
    ['10-100', 60],
  ])('ttl %s', async (range, ttl) => {
    const { reply } = await asked(`rewrite ttl suffix .new ${range}`, 'web.new. A');
    expect(reply.answers[0]?.ttl).toBe(ttl);
  });

  it('rcode', async () => {
    const { reply } = await asked('rewrite rcode regex .*\\.new\\. SERVFAIL NXDOMAIN', 'broken.new. A');
    expect(reply.rcode).toBe('NXDOMAIN');
    expect((await asked('rewrite rcode broken.new REFUSED NOERROR', 'broken.new. A')).reply.rcode).toBe(
      'SERVFAIL',
    );
  });

  it('cname, looking the new target up', async () => {
    const { lines } = await asked('rewrite cname exact web.new. other.cdn.', 'alias.new. A');
    expect(lines).toEqual(['alias.new. 60 IN CNAME other.cdn.', 'other.cdn. 60 IN A 192.0.2.3']);
  });

  it('cname by regex', async () => {
    const { lines } = await asked('rewrite cname regex (web)\\.new\\. other.cdn.', 'alias.new. A');
    expect(lines[0]).toBe('alias.new. 60 IN CNAME other.cdn.');
  });
});

describe('rewrite edns0', () => {
  const optionsOf = async (rule: string, options: AskOptions = {}): Promise<Record<number, string>> => {
    const { upstream } = await asked(`rewrite edns0 ${rule}`, 'web.new. A', {
      client: '192.0.2.77',
      ...options,
    });
    const found = upstream?.edns?.options ?? [];
    return Object.fromEntries(found.map(({ code, data }) => [code, Buffer.from(data).toString('hex')]));
  };
  const present = {
    edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [{ code: 65_518, data: Uint8Array.of(1) }] },
  };

  it.each<[string, AskOptions, Record<number, string>]>([
    ['local set 0xffee 0xabcd', {}, { 65518: 'abcd' }],
    ['local set 0xffee hello', present, { 65518: '68656c6c6f' }],
    ['local set 0xffee {client_ip}', {}, { 65518: 'c000024d' }],
    ['local set 65518 {qtype}', {}, { 65518: '0001' }],
    ['local append 0xffee 0xff', present, { 65518: '01' }],
    ['local replace 0xffee 0xff', present, { 65518: 'ff' }],
    ['local replace 0xffee 0xff', {}, {}],
    ['local unset 0xffee', present, {}],
    ['subnet set 24 56', {}, { 8: '00011800c00002' }],
    ['subnet set 24 56', { client: '2001:db8:1:2ff::1' }, { 8: '0002380020010db8000102' }],
  ])('%s', async (rule, options, wanted) => expect(await optionsOf(rule, options)).toEqual(wanted));

  it('takes the option out of the answer with revert', async () => {
    await using upstream = await CannedUpstream.open((request) =>
      replyTo(request, { answers: [recordOf('web.new. 1 IN A 192.0.2.1')], edns: request.edns }),
    );
    for (const [revert, count] of [
      ['', 1],
      [' revert', 0],
    ] as const) {
      await using on = await openServer(
        `. {\nrewrite edns0 subnet set 24 56${revert}\nforward . 127.0.0.1:${upstream.port}\n}`,
      );
      const reply = await ask(on, 'web.new. A', present);
      expect(reply.answers.map(formatRecord)).toEqual(['web.new. 1 IN A 192.0.2.1']);
      expect(upstream.asked.at(-1)?.edns?.options.filter(({ code }) => code === 8)).toHaveLength(1);
      expect(reply.edns?.options.filter(({ code }) => code === 8)).toHaveLength(count);
    }
  });
});

describe('rewrite refuses', () => {
  it.each([
    ['rewrite', 'Corefile:2:1: rewrite needs one of name, type, class, ttl, edns0, cname, rcode'],
    [
      'rewrite nam a b',
      'Corefile:2:9: "nam" is not one of name, type, class, ttl, edns0, cname, rcode; did you mean "name"?',
    ],
    ['rewrite name a', 'Corefile:2:9: name takes at least 2 argument(s), 1 given'],
    [
      'rewrite name regex ( b',
      'Corefile:2:20: "(" is not a regular expression: error parsing regexp: missing closing ): `(`',
    ],
    ['rewrite name regex a(?=b) b', 'Corefile:2:20: "a(?=b)" is not a regular expression'],
    [
      'rewrite name substring a b answer auto answer name a b',
      'Corefile:2:28: "answer auto" and "answer name" both say what owners become: keep one',
    ],
    [
      'rewrite name a b answer names x y',
      'Corefile:2:25: "names" is not one of auto, name, value; did you mean "name"?',
    ],
    ['rewrite type A BEE', 'Corefile:2:16: "BEE" is not a record type'],
    ['rewrite ttl x 9-5', 'Corefile:2:15: "9-5" is not a ttl, MIN-MAX, MIN- or -MAX in seconds'],
    ['rewrite rcode x NOPE NOERROR', 'Corefile:2:17: "NOPE" is not a response code such as NXDOMAIN'],
    [
      'rewrite edns0 local set 0xffee 0xabc',
      'Corefile:2:32: "0xabc" is not an even number of hexadecimal digits',
    ],
    ['rewrite edns0 local set 0xffee {clientip}', 'Corefile:2:32: "{clientip}" is not one of {qname}'],
  ])('%s', async (line, fault) => {
    const opening = openServer(`. {\n${line}\n}`);
    await expect(opening).rejects.toThrow(fault);
    await expect(opening).rejects.toBeInstanceOf(CorefileFault);
  });
});
