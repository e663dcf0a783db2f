import { describe, expect, it } from 'vitest';
import { isNewerSerial } from '../../../dns/zone/serial.ts';
import { fetchZone } from '../../../dns/zone/transfer-client.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { CannedUpstream, recordOf } from '../support/canned-upstream.ts';
import { replyTo } from '../../../dns/wire/message.ts';
import { TestFolder } from '../support/folder.ts';
import { answers, ask, openServer, type TestServer } from '../support/server.ts';

const zoneText = (serial: number, address: string): string =>
  `$TTL 60\n@ SOA ns host ${serial} 100 20 1000 60\n@ NS ns\nns A 192.0.2.53\nwww A ${address}\n`;

interface Pair extends AsyncDisposable {
  readonly folder: TestFolder;
  readonly primaryClock: FakeClock;
  readonly clock: FakeClock;
  readonly primary: TestServer;
  readonly secondary: TestServer;
}

async function openPair(): Promise<Pair> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(new TestFolder({ db: zoneText(1, '192.0.2.1') }));
  const primaryClock = new FakeClock();
  const clock = new FakeClock();
  const primary = stack.use(
    await openServer(`example.org {\nfile ${folder.at('db')} {\nreload 1s\n}\ntransfer {\nto *\n}\n}`, {
      clock: primaryClock,
    }),
  );
  const tcp = primary.server.addresses.find(({ transport }) => transport === 'tcp')!;
  const secondary = stack.use(
    await openServer(
      `example.org {\nsecondary {\ntransfer from ${tcp.address}:${tcp.port}\n}\ntransfer {\nto *\n}\n}`,
      { clock },
    ),
  );
  return {
    folder,
    primaryClock,
    clock,
    primary,
    secondary,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const holds = async (on: TestServer, address: string): Promise<boolean> =>
  answers(await ask(on, 'www.example.org. A')).some((line) => line.endsWith(` ${address}`));

async function change(
  { folder, primaryClock, primary }: Pair,
  serial: number,
  address: string,
): Promise<void> {
  folder.write('db', zoneText(serial, address));
  await waitFor(
    'the primary to reload',
    async () => {
      await primaryClock.advance(1001);
      return await holds(primary, address);
    },
    20_000,
  );
}

describe('secondary', () => {
  it('fetches the zone, keeps to its refresh timer and hands it on', async () => {
    await using pair = await openPair();
    await waitFor('the transfer', () => holds(pair.secondary, '192.0.2.1'));
    await change(pair, 2, '192.0.2.2');
    expect(await holds(pair.secondary, '192.0.2.1')).toBe(true);
    await pair.clock.advance(100_001);
    await waitFor('the refresh', () => holds(pair.secondary, '192.0.2.2'));
    const tcp = pair.secondary.server.addresses.find(({ transport }) => transport === 'tcp')!;
    const signal = new AbortController().signal;
    const records = await fetchZone({ clock: systemClock }, tcp, 'example.org.', signal);
    expect(records.map(formatRecord)).toContain('www.example.org. 60 IN A 192.0.2.2');
    expect(records.filter(({ type }) => type === 'SOA')).toHaveLength(1);
  });

  it('follows the members of a catalog (RFC 9432)', async () => {
    const soa = (zone: string, serial: number): string =>
      `${zone} 60 IN SOA ns. host. ${serial} 100 20 1000 60`;
    const member = (id: string, zone: string): string => `${id}.zones.cat. 60 IN PTR ${zone}`;
    const version = 'version.cat. 60 IN TXT "2"';
    let [serial, members] = [
      1,
      [member('a', 'one.org.'), member('b', 'two.net.'), member('c', 'three.org.')],
    ];
    await using primary = await CannedUpstream.open((request) => {
      const { name, type } = request.questions[0]!;
      const own = name === 'cat.' ? [version, ...members] : [`www.${name} 60 IN A 192.0.2.7`];
      const start = soa(name, name === 'cat.' ? serial : 1);
      return replyTo(request, { answers: (type === 'SOA' ? [start] : [start, ...own, start]).map(recordOf) });
    });
    const clock = new FakeClock();
    await using on = await openServer(
      `. {\nsecondary cat {\ntransfer from 127.0.0.1:${primary.port}\ncatalog org\n}\n}`,
      { clock },
    );
    const serves = async (zone: string): Promise<boolean> =>
      (await ask(on, `www.${zone} A`)).answers.length === 1;
    await waitFor('the members', async () => (await serves('one.org.')) && (await serves('three.org.')));
    expect(await serves('two.net.')).toBe(false);
    // One goes, one comes; a broken entry and a zone that is the catalog itself count for nothing.
    [serial, members] = [
      2,
      [member('c', 'three.org.'), member('d', 'four.org.'), member('e', 'x.org.'), member('e', 'y.org.')],
    ];
    await clock.advance(100_001);
    await waitFor('the new member', () => serves('four.org.'));
    expect([await serves('one.org.'), await serves('three.org.'), await serves('x.org.')]).toEqual([
      false,
      true,
      false,
    ]);
  });

  it('hands on records that no one message could hold together', async () => {
    const big = Array.from({ length: 12 }, (_, i) => `t${i} TXT ${`"${'x'.repeat(250)}" `.repeat(80)}`);
    using folder = new TestFolder({ db: `${zoneText(1, '192.0.2.1')}${big.join('\n')}\n` });
    await using primary = await openServer(`example.org {\nfile ${folder.at('db')}\ntransfer {\nto *\n}\n}`);
    const tcp = primary.server.addresses.find(({ transport }) => transport === 'tcp')!;
    const signal = new AbortController().signal;
    const records = await fetchZone({ clock: systemClock }, tcp, 'example.org.', signal);
    expect(records.filter(({ type }) => type === 'TXT')).toHaveLength(12);
  });

  it('fetches only what has changed, and the whole zone where that fails', async () => {
    const zone = (serial: number): string => `example.org. 60 IN SOA ns. host. ${serial} 100 20 1000 60`;
    const www = (address: string): string => `www.example.org. 60 IN A ${address}`;
    let [serial, changes] = [1, [] as string[]];
    let whole = [zone(1), www('192.0.2.1'), zone(1)];
    await using primary = await CannedUpstream.open((request) => {
      const { type } = request.questions[0]!;
      const lines = type === 'SOA' ? [zone(serial)] : type === 'IXFR' ? changes : whole;
      return replyTo(request, { answers: lines.map(recordOf) });
    });
    const clock = new FakeClock();
    await using on = await openServer(
      `example.org {\nsecondary {\ntransfer from 127.0.0.1:${primary.port}\n}\n}`,
      { clock },
    );
    await waitFor('the transfer', () => holds(on, '192.0.2.1'));
    [serial, changes] = [2, [zone(2), zone(1), www('192.0.2.1'), zone(2), www('192.0.2.2'), zone(2)]];
    await clock.advance(100_001);
    await waitFor('the change', () => holds(on, '192.0.2.2'));
    // Changes that do not fit.
    [serial, changes] = [4, [zone(4), zone(2), www('192.0.2.77'), zone(4), www('192.0.2.3'), zone(4)]];
    whole = [zone(4), www('192.0.2.4'), zone(4)];
    await clock.advance(100_001);
    await waitFor('the whole zone', () => holds(on, '192.0.2.4'));
    const asked = primary.asked.map(({ questions }) => questions[0]!.type);
    expect(asked).toEqual(['AXFR', 'SOA', 'IXFR', 'SOA', 'IXFR', 'AXFR']);
  });

  it.each([
    ['secret a. !', 'the secret of a. is not base64'],
    ['secret a. YQ==\nsecret A. YQ==', 'key A. stands twice'],
    ['secret a. YQ== hmac-sha3', '"hmac-sha3" is not an algorithm'],
    ['require WHAT', '"WHAT" is not a record type'],
    ['require_opcode ASK', '"ASK" is not an opcode'],
    ['secrets keys', 'keys:2: key b has no secret'],
  ])('refuses tsig with %j', async (line, fault) => {
    using folder = new TestFolder({
      keys: 'key "a" { algorithm hmac-sha256; secret "YQ=="; };\nkey b { };\n',
    });
    folder.write('Corefile', `. {\ntsig {\n${line}\n}\nwhoami\n}`);
    const opened = openServer('', { corefile: { path: folder.at('Corefile') } });
    await expect(opened).rejects.toThrow(fault);
  });

  it('does not start with a key that nobody has', async () => {
    const opened = openServer('. {\nsecondary z {\ntransfer from 127.0.0.1\nkey a\n}\n}');
    await expect(opened).rejects.toMatchObject({ code: 'TSIG_KEY_UNKNOWN' });
  });

  it('looks at once when a primary notifies, and does not listen to strangers', async () => {
    await using pair = await openPair();
    await waitFor('the transfer', () => holds(pair.secondary, '192.0.2.1'));
    await change(pair, 2, '192.0.2.3');
    const notify = { opcode: 'NOTIFY' as const, authoritative: true };
    const stranger = await ask(pair.secondary, 'example.org. SOA', { ...notify, client: '192.0.2.66' });
    expect(stranger.rcode).toBe('REFUSED');
    const known = await ask(pair.secondary, 'example.org. SOA', { ...notify, client: '127.0.0.1' });
    expect([known.rcode, known.opcode, known.answers]).toEqual(['NOERROR', 'NOTIFY', []]);
    await waitFor('the refresh', () => holds(pair.secondary, '192.0.2.3'));
  });

  it('serves while the primary is away until the zone expires', async () => {
    await using pair = await openPair();
    await waitFor('the transfer', () => holds(pair.secondary, '192.0.2.1'));
    await pair.primary[Symbol.asyncDispose]();
    for (let i = 0; i < 9; i++) await pair.clock.advance(100_000);
    expect(await holds(pair.secondary, '192.0.2.1')).toBe(true);
    await pair.clock.advance(200_000);
    const reply = await ask(pair.secondary, 'www.example.org. A');
    expect(reply.rcode).toBe('SERVFAIL');
  });

  it('answers SERVFAIL before the first transfer and tries again', async () => {
    let serving = false;
    await using primary = await CannedUpstream.open((request) => {
      const soa = recordOf('example.org. 60 IN SOA ns. host. 7 100 20 1000 60');
      return serving
        ? replyTo(request, { answers: [soa, recordOf('www.example.org. 60 IN A 192.0.2.9'), soa] })
        : replyTo(request, { rcode: 'REFUSED' });
    });
    const clock = new FakeClock();
    await using on = await openServer(
      `example.org {\nsecondary {\ntransfer from 127.0.0.1:${primary.port}\n}\n}`,
      {
        clock,
      },
    );
    await waitFor('the refusal', () => on.logs.some(({ event }) => event === 'zone not transferred'));
    expect((await ask(on, 'www.example.org. A')).rcode).toBe('SERVFAIL');
    serving = true;
    await waitFor('the transfer', async () => (await clock.advance(60_000), await holds(on, '192.0.2.9')));
  });

  it.each<[string, string[]]>([
    [
      'records of other zones',
      [
        'example.org. 1 IN SOA a. b. 1 2 3 4 5',
        'x.other. 1 IN A 192.0.2.1',
        'example.org. 1 IN SOA a. b. 1 2 3 4 5',
      ],
    ],
    ['no SOA in front', ['www.example.org. 1 IN A 192.0.2.1']],
  ])('takes no zone with %s', async (_what, lines) => {
    await using primary = await CannedUpstream.open((request) =>
      replyTo(request, { answers: lines.map(recordOf) }),
    );
    await using on = await openServer(
      `example.org {\nsecondary {\ntransfer from 127.0.0.1:${primary.port}\n}\n}`,
    );
    await waitFor('the refusal', () => on.logs.some(({ event }) => event === 'zone not transferred'));
    expect((await ask(on, 'www.example.org. A')).rcode).toBe('SERVFAIL');
  });

  it.each([
    [2, 1, true],
    [1, 2, false],
    [1, 1, false],
    [0, 0xffffffff, true],
    [0x80000001, 1, false],
  ])('serial %i is newer than %i: %s (RFC 1982)', (a, b, newer) => expect(isNewerSerial(a, b)).toBe(newer));
});
