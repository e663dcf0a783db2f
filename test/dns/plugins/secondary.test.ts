import { describe, expect, it } from 'vitest';
import { fetchZone, isNewerSerial } from '../../../dns/zone/transfer-client.ts';
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
    await waitFor('the transfer', () => holds(pair.secondary, '192.0.2.1'), 20_000);
    await change(pair, 2, '192.0.2.2');
    expect(await holds(pair.secondary, '192.0.2.1')).toBe(true);
    await pair.clock.advance(100_001);
    await waitFor('the refresh', () => holds(pair.secondary, '192.0.2.2'), 20_000);
    const tcp = pair.secondary.server.addresses.find(({ transport }) => transport === 'tcp')!;
    const signal = new AbortController().signal;
    const records = await fetchZone({ clock: systemClock }, tcp, 'example.org.', signal);
    expect(records.map(formatRecord)).toContain('www.example.org. 60 IN A 192.0.2.2');
    expect(records.filter(({ type }) => type === 'SOA')).toHaveLength(1);
  });

  it('looks at once when a primary notifies, and does not listen to strangers', async () => {
    await using pair = await openPair();
    await waitFor('the transfer', () => holds(pair.secondary, '192.0.2.1'), 20_000);
    await change(pair, 2, '192.0.2.3');
    const notify = { opcode: 'NOTIFY' as const, authoritative: true };
    const stranger = await ask(pair.secondary, 'example.org. SOA', { ...notify, client: '192.0.2.66' });
    expect(stranger.rcode).toBe('REFUSED');
    const known = await ask(pair.secondary, 'example.org. SOA', { ...notify, client: '127.0.0.1' });
    expect([known.rcode, known.opcode, known.answers]).toEqual(['NOERROR', 'NOTIFY', []]);
    await waitFor('the refresh', () => holds(pair.secondary, '192.0.2.3'), 20_000);
  });

  it('serves while the primary is away until the zone expires', async () => {
    await using pair = await openPair();
    await waitFor('the transfer', () => holds(pair.secondary, '192.0.2.1'), 20_000);
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
    await waitFor('the refusal', () => on.logs.some(({ event }) => event === 'zone not transferred'), 20_000);
    expect((await ask(on, 'www.example.org. A')).rcode).toBe('SERVFAIL');
    serving = true;
    await waitFor(
      'the transfer',
      async () => (await clock.advance(60_000), await holds(on, '192.0.2.9')),
      20_000,
    );
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
    await waitFor('the refusal', () => on.logs.some(({ event }) => event === 'zone not transferred'), 20_000);
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
