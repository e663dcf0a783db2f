import { describe, expect, it } from 'vitest';
import type { Message } from '../../../dns/wire/message.ts';
import { CannedUpstream, cannedReplies } from '../support/canned-upstream.ts';
import { answers, ask, openServer, type AskOptions } from '../support/server.ts';

const UPSTREAM = cannedReplies([
  { q: 'v4.test.', type: 'A', rcode: 'NOERROR', answer: ['v4.test. 900 IN A 192.0.2.33'] },
  { q: 'both.test.', type: 'A', rcode: 'NOERROR', answer: ['both.test. 60 IN A 192.0.2.34'] },
  { q: 'both.test.', type: 'AAAA', rcode: 'NOERROR', answer: ['both.test. 60 IN AAAA 2001:db8::1'] },
  { q: 'mapped.test.', type: 'A', rcode: 'NOERROR', answer: ['mapped.test. 60 IN A 192.0.2.35'] },
  { q: 'mapped.test.', type: 'AAAA', rcode: 'NOERROR', answer: ['mapped.test. 60 IN AAAA ::ffff:10.0.0.1'] },
  {
    q: 'alias.test.',
    type: 'A',
    rcode: 'NOERROR',
    answer: ['alias.test. 60 IN CNAME v4.test.', 'v4.test. 900 IN A 192.0.2.33'],
  },
  { q: 'alias.test.', type: 'AAAA', rcode: 'NOERROR', answer: ['alias.test. 60 IN CNAME v4.test.'] },
]);

async function once(lines: string, what: string, options: AskOptions = {}): Promise<Message> {
  await using upstream = await CannedUpstream.open(UPSTREAM);
  await using on = await openServer(`. {\n${lines}\nforward . 127.0.0.1:${upstream.port}\n}`);
  return await ask(on, what, { client: '2001:db8::9', ...options });
}

describe('dns64', () => {
  it.each<[string, string, string, AskOptions, string[]]>([
    ['makes AAAA from A', 'dns64', 'v4.test. AAAA', {}, ['v4.test. 600 IN AAAA 64:ff9b::c000:221']],
    ['keeps what is native', 'dns64', 'both.test. AAAA', {}, ['both.test. 60 IN AAAA 2001:db8::1']],
    [
      'translates all when told to',
      'dns64 {\ntranslate_all\n}',
      'both.test. AAAA',
      {},
      ['both.test. 60 IN AAAA 64:ff9b::c000:222'],
    ],
    [
      'takes no mapped address for native',
      'dns64',
      'mapped.test. AAAA',
      {},
      ['mapped.test. 60 IN AAAA 64:ff9b::c000:223'],
    ],
    [
      'keeps aliases',
      'dns64',
      'alias.test. AAAA',
      {},
      ['alias.test. 60 IN CNAME v4.test.', 'v4.test. 600 IN AAAA 64:ff9b::c000:221'],
    ],
    ['leaves A alone', 'dns64', 'v4.test. A', {}, ['v4.test. 900 IN A 192.0.2.33']],
    ['leaves clients on IPv4 alone', 'dns64', 'v4.test. AAAA', { client: '192.0.2.9' }, []],
    [
      'serves them when told to',
      'dns64 {\nallow_ipv4\n}',
      'v4.test. AAAA',
      { client: '192.0.2.9' },
      ['v4.test. 600 IN AAAA 64:ff9b::c000:221'],
    ],
    [
      'leaves validating clients alone (RFC 6147 5.5)',
      'dns64',
      'v4.test. AAAA',
      { checkingDisabled: true, edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [] } },
      [],
    ],
  ])('%s', async (_what, lines, what, options, wanted) =>
    expect(answers(await once(lines, what, options))).toEqual(wanted),
  );

  it('passes NXDOMAIN on', async () => expect((await once('dns64', 'no.test. AAAA')).rcode).toBe('NXDOMAIN'));

  // RFC 6052 section 2.4, table 1.
  it.each([
    ['2001:db8::/32', '2001:db8:c000:221::'],
    ['2001:db8:100::/40', '2001:db8:1c0:2:21::'],
    ['2001:db8:122::/48', '2001:db8:122:c000:2:2100::'],
    ['2001:db8:122:300::/56', '2001:db8:122:3c0:0:221::'],
    ['2001:db8:122:344::/64', '2001:db8:122:344:c0:2:2100:0'],
    ['2001:db8:122:344::/96', '2001:db8:122:344::c000:221'],
  ])('embeds behind %s', async (prefix, address) => {
    const [line] = answers(await once(`dns64 ${prefix}`, 'v4.test. AAAA'));
    expect(line).toMatch(/^v4\.test\. 600 IN AAAA /);
    expect(new URL(`http://[${line!.split(' ').at(-1)}]/`).hostname).toBe(
      new URL(`http://[${address}]/`).hostname,
    );
  });

  it.each([
    [
      'dns64 64:ff9b::/95',
      'Corefile:2:7: "64:ff9b::/95" is not an IPv6 prefix of 32, 40, 48, 56, 64, 96 bits',
    ],
    ['dns64 {\n prefix 10.0.0.0/8\n}', 'Corefile:3:9: "10.0.0.0/8" is not an IPv6 prefix'],
    ['dns64 {\n translate\n}', 'Corefile:3:2: unknown option "translate" of dns64'],
  ])('refuses %j', async (text, fault) => {
    await expect(openServer(`. {\n${text}\n}`)).rejects.toThrow(fault);
  });
});
