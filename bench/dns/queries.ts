/**
 * CPU per query beside NSD, Knot and CoreDNS (those installed), one core each for server and client, in one run.
 * Run: node bench/dns/queries.ts [seconds] [services]
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serviceName } from './cluster.ts';
import { peers, writeZone } from './peers.ts';
import { treeCpuSeconds } from './process-cpu.ts';

const CPU_LIMIT_MICROSECONDS = 7.5;
const GROWTH_LIMIT = 1.2;
const SIZES = [1, 1000, 10_000, 100_000];

const seconds = Number(process.argv[2] ?? 5);
const services = Number(process.argv[3] ?? 10_000);
const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
const children: ChildProcess[] = [];

interface Row {
  readonly what: string;
  readonly cpuMicroseconds: number;
  readonly queriesPerSecond: number;
}

/** Names asked in an order without pattern; every one exists, or every one is what a search path makes of it. */
function writeQuestions(path: string, kind: 'A' | 'search', count: number): void {
  const lines = Array.from({ length: 100_000 }, (_, k) => {
    const { namespace, name } = serviceName(Number((BigInt(k) * 7919n) % BigInt(count)));
    const found = `${name}.${namespace}.svc.cluster.local`;
    if (kind === 'A') return `${found} A`;
    return [
      `${found} A`,
      `${found} AAAA`,
      `www.example.org.${namespace}.svc.cluster.local A`,
      `www.example.org.svc.cluster.local A`,
      `www.example.org.cluster.local AAAA`,
    ][k % 5]!;
  });
  writeFileSync(path, `${lines.join('\n')}\n`);
}

type Engine = 'portable' | 'native';

async function startWeft(count: number, engine: Engine): Promise<{ child: ChildProcess; port: number }> {
  const script = new URL('./server.ts', import.meta.url).pathname;
  const child = spawn('taskset', ['-c', '0', process.execPath, script, String(count), '0', engine], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      const told = /"port":(\d+)/.exec(chunk.toString());
      if (told) resolve(Number(told[1]));
    });
    child.on('exit', (code) => reject(new Error(`weft ended with ${code}`)));
  });
  return { child, port };
}

function load(port: number, questions: string, forSeconds: number, args: readonly string[] = []): number {
  const out = execFileSync(
    'taskset',
    ['-c', '1', 'dnsperf', '-s', '127.0.0.1', '-p', String(port), '-d', questions, '-l', String(forSeconds)]
      .concat(['-c', '4', '-q', '100', '-W'])
      .concat(args),
    { encoding: 'utf8' },
  );
  return Number(/Queries completed:\s+(\d+)/.exec(out)?.[1] ?? 0);
}

function measure(
  what: string,
  pid: number,
  port: number,
  questions: string,
  args: readonly string[] = [],
): Row {
  const before = treeCpuSeconds(pid);
  const done = load(port, questions, seconds, args);
  const cpuMicroseconds = ((treeCpuSeconds(pid) - before) / done) * 1e6;
  return { what, cpuMicroseconds, queriesPerSecond: Math.round(done / seconds) };
}

async function stop(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

async function answering(port: number): Promise<void> {
  for (let i = 0; i < 100; i++) {
    try {
      const line = `${serviceName(0).name}.${serviceName(0).namespace}.svc.cluster.local`;
      const args = ['+short', '+time=1', '+tries=1', '-p', String(port), '@127.0.0.1', line];
      if (execFileSync('dig', args, { encoding: 'utf8' }).startsWith('10.')) return;
    } catch {
      // not yet
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing answers on port ${port}`);
}

async function weftRows(engine: Engine): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of new Set([...SIZES, services])) {
    const { child, port } = await startWeft(count, engine);
    const questions = join(folder, `a-${count}`);
    writeQuestions(questions, 'A', count);
    load(port, questions, 2); // once unmeasured: the compiler of V8 has to see it
    rows.push(measure(`weft ${engine}, ${count} services, A`, child.pid!, port, questions));
    if (count === services) {
      rows.push(measure(`weft ${engine}, ${count} services, A, EDNS`, child.pid!, port, questions, ['-e']));
      const mixed = join(folder, 'mixed');
      writeQuestions(mixed, 'search', count);
      rows.push(
        measure(`weft ${engine}, ${count} services, A, AAAA and search path`, child.pid!, port, mixed, [
          '-e',
        ]),
      );
    }
    await stop(child);
  }
  return rows;
}

async function peerRows(): Promise<Row[]> {
  writeZone(join(folder, 'zone'), services);
  const questions = join(folder, `a-${services}`);
  const rows: Row[] = [];
  for (const { name, port, start } of peers()) {
    const child = start(folder);
    children.push(child);
    await answering(port);
    load(port, questions, 1);
    rows.push(measure(`${name} ${services} services, A`, child.pid!, port, questions));
    const mixed = join(folder, 'mixed');
    rows.push(
      measure(`${name} ${services} services, A, AAAA and search path`, child.pid!, port, mixed, ['-e']),
    );
    await stop(child);
  }
  return rows;
}

function print(rows: readonly Row[], baseline: number): void {
  const head = '| what | CPU us/query | ratio to weft native | queries/s |\n| --- | --- | --- | --- |\n';
  const lines = rows.map(
    ({ what, cpuMicroseconds, queriesPerSecond }) =>
      `| ${what} | ${cpuMicroseconds.toFixed(2)} | ${(cpuMicroseconds / baseline).toFixed(2)} | ${queriesPerSecond} |\n`,
  );
  process.stdout.write(head + lines.join(''));
}

try {
  const ours = [...(await weftRows('native')), ...(await weftRows('portable'))];
  const all = [...ours, ...(await peerRows())];
  const cpuOf = (count: number): number =>
    ours.find(({ what }) => what === `weft portable, ${count} services, A`)!.cpuMicroseconds;
  print(all, ours.find(({ what }) => what === `weft native, ${services} services, A`)!.cpuMicroseconds);
  const growth = Math.max(...SIZES.map(cpuOf)) / Math.min(...SIZES.map(cpuOf));
  process.stdout.write(`growth 1 to 100,000 services ${growth.toFixed(2)}, limit ${GROWTH_LIMIT}\n`);
  process.stdout.write(`CPU per query ${cpuOf(services).toFixed(2)} us, limit ${CPU_LIMIT_MICROSECONDS}\n`);
  if (cpuOf(services) > CPU_LIMIT_MICROSECONDS || growth > GROWTH_LIMIT) process.exitCode = 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
