import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import { EtcdCluster, etcdInstalled } from '../support/etcd.ts';
import { textOf } from '../support/store-calls.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const LOAD = fileURLToPath(new URL('../support/store-load.ts', import.meta.url));
const deps = { clock: systemClock, log: silentLogger };
let folder = '';
const at = (name: string): string => join(folder, name);

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function weft(args: readonly string[], input = ''): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, 'store', ...args], { stdio: 'pipe', timeout: 30_000 });
  child.stdin.on('error', () => {}); // not every command reads its input
  child.stdin.end(input);
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { status, stdout, stderr };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-command-'));
  await using store = await openSqliteStore(deps, { path: at('a.db') });
  const leaseId = await store.grantLease(3600);
  const puts = Array.from({ length: 2000 }, (_, i) =>
    store.put(`/k/${i % 50}`, new Uint8Array(2000).fill(i)),
  );
  await Promise.all(puts);
  await store.put('/event', Buffer.from('short-lived'), 0, { leaseId });
  await store.put('/odd \n key é', new Uint8Array(0));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('weft store', () => {
  it('checks a store and shows its sizes', async () => {
    const { status, stdout } = await weft(['check', `sqlite:${at('a.db')}`]);
    expect(stdout).toMatch(/^keys +52$/m);
    expect(stdout).toMatch(/^file +\d+\.\d MiB, /m);
    expect(stdout).toMatch(/^result +ok$/m);
    expect(status).toBe(0);
  });

  it('moves every key to another store, leases too', async () => {
    expect((await weft(['export', `sqlite:${at('a.db')}`, '--output', at('a.jsonl')])).status).toBe(0);
    expect(statSync(at('a.jsonl')).mode & 0o077).toBe(0);
    const imported = await weft(['import', `sqlite:${at('b.db')}`, '--input', at('a.jsonl')]);
    expect(imported.stderr).toMatch(/^imported 52 keys, 97\.7 KiB, revision 53$/m);
    await using from = await openSqliteStore(deps, { path: at('a.db') });
    await using to = await openSqliteStore(deps, { path: at('b.db') });
    const contents = async (store: typeof from): Promise<unknown> =>
      (await store.range('')).entries.map(({ key, value, leaseId }) => [
        key,
        textOf(value),
        leaseId !== undefined,
      ]);
    expect(await contents(to)).toEqual(await contents(from));
    const event = (await to.get('/event')).entry!;
    expect(await to.leaseTtlSeconds(event.leaseId!)).toBe(3600);
  });

  it('moves keys through a pipe, and only those with the prefix', async () => {
    const exported = await weft(['export', `sqlite:${at('a.db')}`, '--prefix', '/k/1']);
    expect(exported.stdout.split('\n')).toHaveLength(14);
    const imported = await weft(['import', `sqlite:${at('c.db')}`], exported.stdout);
    expect(imported.stderr).toContain('imported 11 keys');
    const again = await weft(['import', `sqlite:${at('c.db')}`], exported.stdout);
    expect([again.status, again.stderr]).toEqual([1, expect.stringMatching(/exists already.*--overwrite/)]);
    expect((await weft(['import', `sqlite:${at('c.db')}`, '--overwrite'], exported.stdout)).status).toBe(0);
  });

  it.each([
    [
      'is cut off',
      (text: string) => text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1),
      /cut off after line/,
    ],
    ['is no export', () => 'apiVersion: v1\n', /line 1 is not a JSON object/],
    ['is of another version', () => '{"weft-store":9}\n', /line 1 is not the head/],
    [
      'has a broken line',
      (text: string) => text.replace('"key"', '"kez"'),
      /line 2: an entry needs key and value/,
    ],
    ['is empty', () => '', /cut off after line 0/],
  ])('says so when an export %s', async (_name, spoil, message) => {
    const { stdout } = await weft(['export', `sqlite:${at('a.db')}`, '--prefix', '/event']);
    const { status, stderr } = await weft(['import', `sqlite:${at(`${Math.random()}.db`)}`], spoil(stdout));
    expect([status, stderr]).toEqual([1, expect.stringMatching(message)]);
  });

  it('compacts history and makes the file smaller', async () => {
    writeFileSync(at('d.db'), readFileSync(at('a.db')));
    const { status, stdout } = await weft(['compact', `sqlite:${at('d.db')}`]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^before +\d\.\d MiB\nafter +\d+\.\d KiB$/m);
    const kept = await weft(['check', `sqlite:${at('d.db')}`]);
    expect(kept.stdout).toMatch(/^history +0 revisions, 0 B$/m);
    expect((await weft(['compact', `sqlite:${at('none.db')}`])).stderr).toContain('there is no store');
  });

  it('backs up and checks a store that another process writes to, and keeps its hands off otherwise', async () => {
    const load = spawn(process.execPath, [LOAD, at('live.db'), '0', '4'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    load.stdin.write('go\n');
    let acknowledged = 0;
    await new Promise<void>((resolve) => {
      load.stdout.on('data', (chunk: Buffer) => {
        acknowledged += chunk.toString().split('\n').length - 1;
        if (acknowledged > 100) resolve();
      });
    });
    const before = acknowledged;
    const backup = await weft(['backup', `sqlite:${at('live.db')}`, at('copy.db')]);
    expect([backup.status, backup.stderr]).toEqual([
      0,
      expect.stringMatching(/backed up and verified \d+ keys/),
    ]);
    expect((await weft(['check', `sqlite:${at('live.db')}`])).status).toBe(0);
    expect((await weft(['compact', `sqlite:${at('live.db')}`])).stderr).toContain(
      `in use by process ${load.pid}`,
    );
    await new Promise<void>((resolve) => load.stdout.once('data', () => resolve()));
    const gone = new Promise((resolve) => load.once('close', resolve));
    load.kill('SIGKILL');
    await gone;
    expect(acknowledged).toBeGreaterThan(before);
    await using copy = await openSqliteStore(deps, { path: at('copy.db') });
    expect(await copy.currentRevision()).toBeGreaterThan(100);
  });

  it('moves a store to etcd', async ({ skip }) => {
    if (!etcdInstalled()) return skip('etcd is not installed');
    await using cluster = await EtcdCluster.start(1);
    const url = `etcd:${cluster.endpoints.join(',')}?prefix=/moved`;
    const { stdout } = await weft(['export', `sqlite:${at('a.db')}`]);
    expect((await weft(['import', url], stdout)).stderr).toContain('imported 52 keys');
    const checked = (await weft(['check', url])).stdout;
    expect(checked).toMatch(/^keys +52$/m);
    expect(checked).toMatch(/^member 127\.0\.0\.1:\d+ +etcd 3\.\d+\.\d+, .* in use$/m);
    expect((await weft(['compact', url])).stdout).toMatch(/^compacted to +\d+$/m);
  });

  it.each([
    [['check', 'postgres:x'], 64, /'postgres:x' is invalid/],
    [['backup', 'etcd:http://127.0.0.1:1', 'x'], 64, /etcdctl snapshot save/],
    [['compact', 'sqlite:a', '--keep', 'all'], 64, /give a number/],
    [['import', 'memory:'], 64, /forgets/],
    [['frobnicate'], 64, /unknown command/],
    [['check'], 64, /missing required argument/],
  ])('refuses %j', async (args, code, message) => {
    const { status, stderr } = await weft(args, '');
    expect([status, stderr]).toEqual([code, expect.stringMatching(message)]);
  });
});
