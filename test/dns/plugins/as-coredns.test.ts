import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { TestFolder } from '../support/folder.ts';
import { answers, ask, openServer } from '../support/server.ts';

/** Found by asking CoreDNS 1.14.7 and weft the same questions with the same Corefile. */
describe('as CoreDNS has it', () => {
  it.each([
    ['without fallthrough', ''],
    ['with it for others', 'fallthrough h'],
  ])('hosts leaves reverse names that it has not to others %s', async (_what, option) => {
    await using on = await openServer(`. {\nhosts {\n10.0.0.1 one.h\n${option}\n}\nwhoami\n}`);
    expect(answers(await ask(on, '1.0.0.10.in-addr.arpa. PTR'))).toHaveLength(1);
    const other = await ask(on, '2.0.0.10.in-addr.arpa. PTR');
    expect([other.rcode, other.additionals.length]).toEqual(['NOERROR', 2]);
  });

  it.each([
    [false, 'NXDOMAIN'],
    [true, 'SERVFAIL'],
  ])('hosts denies with --strict %s: %s', async (strict, rcode) => {
    await using on = await openServer('. {\nhosts {\n10.0.0.1 one.h\n}\n}', { strict });
    expect((await ask(on, 'none. A')).rcode).toBe(rcode);
  });

  it('autopath walks for every type', async () => {
    using folder = new TestFolder({
      'resolv.conf': 'search s.z z\n',
      db: '$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nmail MX 10 ns\n',
    });
    await using on = await openServer(
      `. {\nautopath z ${folder.at('resolv.conf')}\nfile ${folder.at('db')} z\n}`,
    );
    expect(answers(await ask(on, 'mail.s.z. MX'))).toEqual([
      'mail.s.z. 60 IN CNAME mail.z.',
      'mail.z. 60 IN MX 10 ns.z.',
    ]);
  });

  it('cache counts whole seconds down', async () => {
    const clock = new FakeClock();
    await using on = await openServer(
      '. {\ncache 30\ntemplate IN A . {\nanswer "x. 60 IN A 10.0.0.1"\n}\n}',
      {
        clock,
      },
    );
    const ttls: number[] = [];
    for (const ms of [0, 1, 998, 2, 28_000, 998]) {
      await clock.advance(ms);
      ttls.push((await ask(on, 'x. A')).answers[0]!.ttl);
    }
    expect(ttls).toEqual([30, 30, 30, 29, 1, 1]);
  });

  it('cache caps ttls where it is not to keep answers, too', async () => {
    const file =
      '. {\ncache 10 {\ndisable success x\n}\ntemplate IN A . {\nanswer "x. 60 IN A 10.0.0.1"\n}\n}';
    await using on = await openServer(file);
    expect((await ask(on, 'x. A')).answers[0]!.ttl).toBe(10);
  });

  it('a rewrite that makes no name fails the question', async () => {
    await using on = await openServer('. {\nrewrite name regex ^(.*)\\.z\\.$ ..{1}\nwhoami\n}');
    expect((await ask(on, 'a.z. A')).rcode).toBe('SERVFAIL');
    expect((await ask(on, 'a.y. A')).rcode).toBe('NOERROR');
  });

  it('ANY gets one set of records over UDP, all over TCP', async () => {
    using folder = new TestFolder({
      db: '$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nx A 10.0.0.1\nx TXT "t"\n',
    });
    await using on = await openServer(`z {\nfile ${folder.at('db')}\n}`);
    const types = async (transport: 'udp' | 'tcp'): Promise<string[]> =>
      (await ask(on, 'x.z. ANY', { transport })).answers.map(({ type }) => type);
    expect(await types('udp')).toEqual(['A']);
    expect(await types('tcp')).toEqual(['A', 'TXT']);
  });
});
