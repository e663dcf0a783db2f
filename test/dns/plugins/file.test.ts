import { describe, expect, it } from 'vitest';
import type { Message } from '../../../dns/wire/message.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { TestFolder } from '../support/folder.ts';
import { ask, openServer, type AskOptions } from '../support/server.ts';

const ZONE = `$ORIGIN example.org.
$TTL 300
@       SOA ns1 host 2026010100 7200 1800 86400 60
        NS  ns1
        NS  ns2.other.
        MX  10 mail
ns1     A   192.0.2.53
mail    A   192.0.2.25
www     A   192.0.2.80
        AAAA 2001:db8::80
alias   CNAME www
chain   CNAME alias
out     CNAME www.other.
loop1   CNAME loop2
loop2   CNAME loop1
*.wild  A   192.0.2.99
        TXT "w"
a.b.ent TXT "deep"
sub     NS  ns.sub
        DS  1 13 2 00
ns.sub  A   192.0.2.54
*.cw    CNAME www
dn      DNAME target
x.target A  192.0.2.77
_sip._tcp SRV 1 2 5060 www
`;
const SOA = 'example.org. 60 IN SOA ns1.example.org. host.example.org. 2026010100 7200 1800 86400 60';
const NS = ['example.org. 300 IN NS ns1.example.org.', 'example.org. 300 IN NS ns2.other.'];

function sections(message: Message): Record<string, unknown> {
  const text = (records: Message['answers']): string[] => records.map(formatRecord);
  return {
    rcode: message.rcode,
    aa: message.authoritative,
    answer: text(message.answers),
    authority: text(message.authorities),
    additional: text(message.additionals),
  };
}

async function once(what: string, extra = '', options: AskOptions = {}): Promise<Record<string, unknown>> {
  using folder = new TestFolder({ 'db.example.org': ZONE });
  await using on = await openServer(
    `. {\nfile ${folder.at('db.example.org')} example.org {\n${extra}\n}\nwhoami\n}`,
  );
  return sections(await ask(on, what, options));
}

describe('file answers', () => {
  it.each<[string, string, Record<string, unknown>]>([
    ['an address', 'WWW.example.org. A', { answer: ['WWW.example.org. 300 IN A 192.0.2.80'], authority: NS }],
    [
      'an alias and its target',
      'chain.example.org. A',
      {
        answer: [
          'chain.example.org. 300 IN CNAME alias.example.org.',
          'alias.example.org. 300 IN CNAME www.example.org.',
          'www.example.org. 300 IN A 192.0.2.80',
        ],
      },
    ],
    [
      'CNAME itself',
      'alias.example.org. CNAME',
      { answer: ['alias.example.org. 300 IN CNAME www.example.org.'] },
    ],
    ['NODATA', 'www.example.org. MX', { rcode: 'NOERROR', answer: [], authority: [SOA] }],
    ['NXDOMAIN', 'no.example.org. A', { rcode: 'NXDOMAIN', answer: [], authority: [SOA] }],
    ['an empty non-terminal', 'b.ent.example.org. A', { rcode: 'NOERROR', answer: [], authority: [SOA] }],
    ['a wildcard', 'x.y.wild.example.org. A', { answer: ['x.y.wild.example.org. 300 IN A 192.0.2.99'] }],
    [
      'a wildcard without the type',
      'x.wild.example.org. MX',
      { rcode: 'NOERROR', answer: [], authority: [SOA] },
    ],
    ['the name above a wildcard', 'wild.example.org. A', { rcode: 'NOERROR', answer: [], authority: [SOA] }],
    [
      'a wildcard alias',
      'q.cw.example.org. A',
      { answer: ['q.cw.example.org. 300 IN CNAME www.example.org.', 'www.example.org. 300 IN A 192.0.2.80'] },
    ],
    [
      'a delegation',
      'host.sub.example.org. A',
      {
        aa: false,
        answer: [],
        authority: ['sub.example.org. 300 IN NS ns.sub.example.org.'],
        additional: ['ns.sub.example.org. 300 IN A 192.0.2.54'],
      },
    ],
    ['glue itself', 'ns.sub.example.org. A', { aa: false, answer: [] }],
    ['DS at a cut', 'sub.example.org. DS', { aa: true, answer: ['sub.example.org. 300 IN DS 1 13 2 00'] }],
    [
      'DNAME',
      'x.dn.example.org. A',
      {
        answer: [
          'dn.example.org. 300 IN DNAME target.example.org.',
          'x.dn.example.org. 300 IN CNAME x.target.example.org.',
          'x.target.example.org. 300 IN A 192.0.2.77',
        ],
      },
    ],
    [
      'NS with glue',
      'example.org. NS',
      { answer: NS, authority: [], additional: ['ns1.example.org. 300 IN A 192.0.2.53'] },
    ],
    ['MX with addresses', 'example.org. MX', { additional: ['mail.example.org. 300 IN A 192.0.2.25'] }],
    [
      'SRV with addresses',
      '_sip._tcp.example.org. SRV',
      { additional: ['www.example.org. 300 IN A 192.0.2.80', 'www.example.org. 300 IN AAAA 2001:db8::80'] },
    ],
    ['SOA', 'example.org. SOA', { answer: [SOA.replace(' 60 IN', ' 300 IN')] }],
  ])('%s', async (_what, question, wanted) =>
    expect(await once(question)).toMatchObject({ rcode: 'NOERROR', aa: true, ...wanted }),
  );

  it('follows an alias that leads out through the whole server', async () =>
    expect(await once('out.example.org. A')).toMatchObject({
      answer: ['out.example.org. 300 IN CNAME www.other.'],
    }));

  it('ends a loop of aliases', async () => {
    const { rcode, answer } = await once('loop1.example.org. A');
    expect(rcode).toBe('NOERROR');
    expect((answer as string[]).length).toBeLessThan(20);
  });

  it('passes NXDOMAIN on with fallthrough, and NODATA not', async () => {
    expect(await once('no.example.org. A', 'fallthrough')).toMatchObject({ rcode: 'NOERROR', authority: [] });
    expect(await once('www.example.org. MX', 'fallthrough')).toMatchObject({ authority: [SOA] });
    expect(await once('no.example.org. A', 'fallthrough other.org')).toMatchObject({ rcode: 'NXDOMAIN' });
  });

  it('refuses transfers without the plugin transfer', async () =>
    expect(await once('example.org. AXFR', '', { transport: 'tcp' })).toMatchObject({ rcode: 'REFUSED' }));
});

describe('file reloads', () => {
  it('when the serial has changed, and says so when it has not', async () => {
    using folder = new TestFolder({ db: ZONE });
    const clock = new FakeClock();
    await using on = await openServer(`. {\nfile ${folder.at('db')} example.org {\nreload 10s\n}\n}`, {
      clock,
    });
    const address = async (): Promise<unknown> => sections(await ask(on, 'www.example.org. A'))['answer'];
    folder.write('db', ZONE.replace('192.0.2.80', '192.0.2.81'));
    await clock.advance(10_001);
    await waitFor('the warning', () => on.logs.some(({ event }) => event.includes('without its serial')));
    expect(await address()).toEqual(['www.example.org. 300 IN A 192.0.2.80']);
    folder.write('db', ZONE.replace('192.0.2.80', '192.0.2.82').replace('2026010100', '2026010101'));
    await waitFor(
      'the new zone',
      async () => {
        await clock.advance(10_001);
        return JSON.stringify(await address()).includes('192.0.2.82');
      },
      20_000,
    );
    folder.write('db', 'broken (');
    await waitFor(
      'the error',
      async () => {
        await clock.advance(10_001);
        return on.logs.some(({ event }) => event === 'zone not reloaded, the old one stays');
      },
      20_000,
    );
    expect(await address()).toEqual(['www.example.org. 300 IN A 192.0.2.82']);
  });

  it('starts without a file and takes it when it comes', async () => {
    using folder = new TestFolder();
    const clock = new FakeClock();
    await using on = await openServer(`. {\nfile ${folder.at('db')} example.org\n}`, { clock });
    expect((await ask(on, 'www.example.org. A')).rcode).toBe('SERVFAIL');
    folder.write('db', ZONE);
    await waitFor(
      'the zone',
      async () => {
        await clock.advance(60_001);
        return (await ask(on, 'www.example.org. A')).rcode === 'NOERROR';
      },
      20_000,
    );
  });

  it('does not start with a file that is no zone', async () => {
    using folder = new TestFolder({ db: 'x 1 A nope\n', nosoa: 'x 1 A 192.0.2.1\n' });
    await expect(openServer(`. {\nfile ${folder.at('db')} example.org\n}`)).rejects.toThrow(
      'db:1: the data of this A record cannot be read',
    );
    await expect(openServer(`. {\nfile ${folder.at('nosoa')} example.org\n}`)).rejects.toThrow(
      'zone example.org. has no SOA',
    );
  });
});

describe('root', () => {
  it('is where relative paths of the block start', async () => {
    using folder = new TestFolder({ 'zones/db': ZONE });
    const corefile = `example.org {\nfile db\nroot ${folder.at('zones')}\n}`;
    await using on = await openServer(corefile);
    expect((await ask(on, 'www.example.org. A')).answers).toHaveLength(1);
  });

  it.each([
    ['root', 'Corefile:2:1: root takes 1 argument(s), 0 given'],
    ['root /nowhere/at/all', 'Corefile:2:6: "/nowhere/at/all" is not a folder'],
  ])('refuses %j', async (line, fault) => {
    await expect(openServer(`. {\n${line}\n}`)).rejects.toThrow(fault);
  });
});

describe('auto', () => {
  it('serves the zones of a folder as files come and go', async () => {
    using folder = new TestFolder({ 'db.example.org': ZONE, 'db.outside.net': ZONE, readme: 'x' });
    const clock = new FakeClock();
    await using on = await openServer(`. {\nauto org {\ndirectory ${folder.path}\nreload 5s\n}\nwhoami\n}`, {
      clock,
    });
    const rcodeOf = async (what: string): Promise<string> => (await ask(on, what)).rcode;
    const turn = async (): Promise<void> => await clock.advance(5001);
    expect(await rcodeOf('no.example.org. A')).toBe('NXDOMAIN');
    expect(await rcodeOf('no.outside.net. A')).toBe('NOERROR');
    folder.write('deep/db.second.org', ZONE.replaceAll('example.org', 'second.org'));
    await waitFor(
      'the new zone',
      async () => (await turn(), (await rcodeOf('no.second.org. A')) === 'NXDOMAIN'),
    );
    folder.remove('db.example.org');
    await waitFor('it to go', async () => (await turn(), (await rcodeOf('no.example.org. A')) === 'NOERROR'));
  });

  it('finds origins by pattern and template', async () => {
    using folder = new TestFolder({ 'zone-example-v1': ZONE });
    await using on = await openServer(`. {\nauto {\ndirectory ${folder.path} zone-(\\w+)-v\\d {1}.org\n}\n}`);
    expect((await ask(on, 'www.example.org. A')).answers).toHaveLength(1);
  });

  it.each([
    ['auto', 'Corefile:2:1: auto needs "directory DIR"'],
    ['auto {\n directory /x (\n}', 'Corefile:3:15: "(" is not a regular expression'],
    ['auto {\n dir /x\n}', 'Corefile:3:2: unknown option "dir" of auto'],
    ['file', 'Corefile:2:1: file takes at least 1 argument(s), 0 given'],
    ['secondary', 'Corefile:2:1: secondary needs "transfer from ADDRESS"'],
    ['secondary {\n transfer to 1.1.1.1\n}', 'Corefile:3:11: "to" is not one of from'],
  ])('refuses %j', async (text, fault) => {
    await expect(openServer(`. {\n${text}\n}`)).rejects.toThrow(fault);
  });
});
