/**
 * Durable puts of 2 KB by 64 concurrent writers, and reads, on SQLite and etcd on the same disk in the same run.
 * Prints a table with ratios. Usage: node bench/api/store.ts [SECONDS] [FOLDER]
 * CPU is that of all processes that do the work: ours with its threads, and etcd's.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openEtcdStore } from '../../src/store/etcd-store.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';
import { EtcdCluster, etcdInstalled } from '../../test/support/etcd.ts';

const WRITERS = 64;
const VALUE_BYTES = 2048;
const seconds = Number(process.argv[2] ?? 5);
const folder = mkdtempSync(join(process.argv[3] ?? tmpdir(), 'weft-bench-'));
const deps = { clock: systemClock, log: silentLogger };

interface Row {
  readonly name: string;
  readonly putsPerSecond: number;
  readonly cpuMicrosPerPut: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly writesPerCommit: number;
  readonly getsPerSecond: number;
  readonly listMs: number;
}

async function measure(name: string, store: Store, otherCpuMs: () => number): Promise<Row> {
  const value = new Uint8Array(VALUE_BYTES).fill(120);
  const latencies: number[] = [];
  const start = { at: performance.now(), cpu: process.cpuUsage(), other: otherCpuMs() };
  const endAt = start.at + seconds * 1000;
  let count = 0;
  await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      while (performance.now() < endAt) {
        const sentAt = performance.now();
        await store.put(`/registry/pods/default/pod-${count++}`, value, 0);
        latencies.push(performance.now() - sentAt);
      }
    }),
  );
  const tookMs = performance.now() - start.at;
  const own = process.cpuUsage(start.cpu);
  const cpuMs = (own.user + own.system) / 1000 + otherCpuMs() - start.other;
  latencies.sort((a, b) => a - b);
  const { writes, commits } = store.stats();
  return {
    name,
    putsPerSecond: (latencies.length / tookMs) * 1000,
    cpuMicrosPerPut: (cpuMs * 1000) / latencies.length,
    p50Ms: latencies[Math.floor(latencies.length * 0.5)]!,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)]!,
    writesPerCommit: writes / commits,
    ...(await measureReads(store, count)),
  };
}

async function measureReads(store: Store, keys: number): Promise<{ getsPerSecond: number; listMs: number }> {
  const startAt = performance.now();
  let gets = 0;
  await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      while (performance.now() < startAt + 1000) {
        await store.get(`/registry/pods/default/pod-${(gets++ * 7919) % keys}`);
        // reads from memory never leave the microtask queue
        if (gets % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  );
  const getsPerSecond = (gets / (performance.now() - startAt)) * 1000;
  const listAt = performance.now();
  for (let i = 0; i < 20; i++) await store.range('/registry/pods/', { limit: 500 });
  return { getsPerSecond, listMs: (performance.now() - listAt) / 20 };
}

/** CPU time of etcd processes started by this one, in milliseconds. */
function etcdCpuMs(): number {
  const children = execFileSync('pgrep', ['-P', String(process.pid), '-x', 'etcd'])
    .toString()
    .trim()
    .split('\n');
  const ticks = children.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, each) => sum + each, 0) * 10;
}

function print(rows: readonly Row[]): void {
  const base = rows.find((row) => row.name === 'sqlite')!;
  process.stdout.write(`${WRITERS} writers, ${VALUE_BYTES} B values, ${seconds} s each, one disk\n\n`);
  process.stdout.write(
    '| store | puts/s | sqlite : it | CPU us/put | p50 ms | p99 ms | writes/commit | gets/s | list of 500, ms |\n',
  );
  process.stdout.write('| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n');
  for (const row of rows) {
    const cells = [
      row.name,
      row.putsPerSecond.toFixed(0),
      (base.putsPerSecond / row.putsPerSecond).toFixed(1),
      row.cpuMicrosPerPut.toFixed(0),
      row.p50Ms.toFixed(1),
      row.p99Ms.toFixed(1),
      row.writesPerCommit.toFixed(1),
      row.getsPerSecond.toFixed(0),
      row.listMs.toFixed(2),
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}

const rows: Row[] = [];
try {
  {
    await using store = openMemoryStore(deps);
    rows.push(await measure('memory (not durable)', store, () => 0));
  }
  {
    await using store = await openSqliteStore(deps, { path: join(folder, 'store.db') });
    rows.push(await measure('sqlite', store, () => 0));
  }
  for (const members of etcdInstalled() ? [1, 3] : []) {
    await using cluster = await EtcdCluster.start(members);
    await using store = await openEtcdStore(deps, { endpoints: cluster.endpoints, prefix: '/bench' });
    rows.push(await measure(`etcd, ${members} member${members > 1 ? 's' : ''}`, store, etcdCpuMs));
  }
  print(rows);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
