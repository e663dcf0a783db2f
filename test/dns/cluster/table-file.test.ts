import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_CLUSTER_OPTIONS, type ClusterOptions } from '../../../dns/cluster/options.ts';
import { PackedTable } from '../../../dns/cluster/table/packed-table.ts';
import { readTableFile, tableFile } from '../../../dns/cluster/table/table-file.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { EDE, EDNS_OPTION } from '../../../dns/wire/numbers.ts';
import type { Tracker } from '../../../endpoints/tracker.ts';
import { systemClock, type Clock } from '../../../src/base/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { namespace, service, slice } from '../../support/kube-objects.ts';
import { clusterOf } from '../support/cluster.ts';
import { answers, ask, decoded, openServer, questionOf, type TestServer } from '../support/server.ts';
import { askUdp } from '../support/wire-client.ts';

const EDNS = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };
const OPTIONS: ClusterOptions = {
  ...DEFAULT_CLUSTER_OPTIONS,
  zones: ['k.'],
  primaryZone: 'k.',
  strict: false,
};
const folder = mkdtempSync(join(tmpdir(), 'weft-table-'));
const path = join(folder, 'table');
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => rmSync(path, { force: true }));

const OBJECTS = [
  namespace('ns'),
  service('ns/web', { clusterIP: '10.96.0.1' }),
  service('ns/db', { clusterIP: 'None' }),
  slice('ns/db-1', 'db', { ports: { http: 80 }, endpoints: [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }] }),
];

async function open(cluster: Tracker, clock: Clock = new FakeClock(), option = ''): Promise<TestServer> {
  return await openServer(`. {\n kubernetes k in-addr.arpa {\n snapshot ${path}\n${option}\n}\n}`, {
    cluster,
    clock,
  });
}

/** Of a run that saw the API server. */
async function save(): Promise<void> {
  await using _server = await open(clusterOf(OBJECTS));
}

function unreached(): Tracker {
  return clusterOf([], { synced: false });
}

describe('a start while the API server cannot be reached', () => {
  it('answers at once what was known, says so, and denies nothing', async () => {
    await save();
    const clock = new FakeClock();
    const cluster = unreached();
    // The fake clock does not move: a wait for the first lists would never end.
    await using on = await open(cluster, clock);
    expect(on.server.ready).toBe(true);
    const reply = await ask(on, 'WEB.ns.svc.k. A', { edns: EDNS });
    expect(answers(reply)).toEqual(['WEB.ns.svc.k. 5 IN A 10.96.0.1']);
    const ede = Buffer.from(reply.edns!.options.find(({ code }) => code === EDNS_OPTION.EDE)!.data);
    expect(ede.readUInt16BE()).toBe(EDE.STALE_ANSWER);
    expect(ede.subarray(2).toString()).toMatch(/^cluster data of \d+ s ago/);
    const overUdp = decoded(await askUdp(on.udp, encodeMessage(questionOf('db.ns.svc.k. A'))));
    expect(answers(overUdp)).toEqual(['db.ns.svc.k. 5 IN A 10.0.0.1', 'db.ns.svc.k. 5 IN A 10.0.0.2']);
    expect((await ask(on, '10-0-0-2.db.ns.svc.k. A')).answers).toHaveLength(1);
    expect((await ask(on, 'web.ns.svc.k. AAAA')).rcode).toBe('NOERROR');
    expect(answers(await ask(on, '_http._tcp.web.ns.svc.k. SRV'))).toEqual([
      '_http._tcp.web.ns.svc.k. 5 IN SRV 0 100 80 web.ns.svc.k.',
    ]);
    expect((await ask(on, 'db.ns.svc.k. SRV')).answers).toHaveLength(2);
    expect(answers(await ask(on, '1.0.96.10.in-addr.arpa. PTR'))).toEqual([
      '1.0.96.10.in-addr.arpa. 5 IN PTR web.ns.svc.k.',
    ]);
    expect(answers(await ask(on, '2.0.0.10.in-addr.arpa. PTR'))).toEqual([
      '2.0.0.10.in-addr.arpa. 5 IN PTR 10-0-0-2.db.ns.svc.k.',
    ]);
    expect((await ask(on, 'new.ns.svc.k. A')).rcode).toBe('SERVFAIL');
  });

  it('and what is true then counts from the first complete lists on', async () => {
    await save();
    const cluster = unreached();
    await using on = await open(cluster);
    cluster.upsert(OBJECTS[0]!);
    cluster.synced('v1', 'Service');
    cluster.synced('discovery.k8s.io/v1', 'EndpointSlice');
    cluster.flush();
    expect((await ask(on, 'web.ns.svc.k. A')).rcode).toBe('NXDOMAIN');
  });

  it.each([
    ['cut off', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['damaged', (bytes: Buffer) => bytes.with(bytes.length - 9, bytes.at(-9)! ^ 1)],
    [
      'not a table of this version',
      (bytes: Buffer) => Buffer.from(bytes.toString('latin1').replace('table 2', 'table 0'), 'latin1'),
    ],
  ])('does not use a file that is %s', async (reason, spoil) => {
    await save();
    writeFileSync(path, spoil(readFileSync(path)));
    await using on = await open(unreached(), systemClock, 'startup_timeout 0s');
    expect((await ask(on, 'web.ns.svc.k. A')).rcode).toBe('SERVFAIL');
    expect(on.logs.find(({ event }) => event === 'table of the last run not used')?.fields).toMatchObject({
      reason,
    });
  });

  it('does not use a table of other options', async () => {
    await save();
    await using on = await open(unreached(), systemClock, 'startup_timeout 0s\nttl 9');
    expect((await ask(on, 'web.ns.svc.k. A')).rcode).toBe('SERVFAIL');
  });
});

describe('the file', () => {
  it('is written soon after changes, for its owner alone', async () => {
    const clock = new FakeClock();
    const cluster = clusterOf(OBJECTS);
    await using _server = await open(cluster, clock);
    await clock.advance(1);
    await expect
      .poll(() => statSync(path, { throwIfNoEntry: false })?.mode, { timeout: 20_000 })
      .toBe(0o100_600);
  });

  it('of any bytes is read without harm', () => {
    const good = Buffer.concat(tableFile(new PackedTable(OPTIONS), OPTIONS, 0));
    const change = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.nat(good.length), (changes, length) => {
        const bytes = Uint8Array.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        readTableFile(bytes.subarray(0, length), OPTIONS);
        readTableFile(bytes, OPTIONS);
      }),
    );
    expect(readTableFile(good, OPTIONS).ok).toBe(true);
  });
});
