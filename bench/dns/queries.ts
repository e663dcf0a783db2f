/**
 * CPU per query beside NSD, Knot and CoreDNS (those installed), one core each for server and client, in one run.
 * Run: node bench/dns/queries.ts [seconds] [services]
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { peers, writeZones } from './peers.ts';
import { treeCpuSeconds } from '../processes.ts';
import { answering, completed, type Engine, type Questions, startServer, writeQuestions } from './rig.ts';

const CPU_LIMIT_MICROSECONDS = 7.5;
const GROWTH_LIMIT = 1.2;
/** The mixed questions are asked of so many services, where NSD's time is the measure. */
const MIXED_SERVICES = 100_000;
const MIXED_LIMIT = 1.2;
/** CPU per query of the native engine in parts of the peer's. */
const PEER_LIMITS = [
  ['nsd', 1],
  ['knotd', 0.9],
  ['coredns', 0.25],
] as const;
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

async function startWeft(count: number, engine: Engine): Promise<{ child: ChildProcess; port: number }> {
  const started = await startServer(count, engine);
  children.push(started.child);
  return started;
}

function load(port: number, questions: string, forSeconds: number, args: readonly string[] = []): number {
  return completed(port, questions, forSeconds, ['-c', '4', '-q', '100', ...args]);
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

async function weftRows(engine: Engine): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of new Set([...SIZES, services])) {
    const { child, port } = await startWeft(count, engine);
    const row = (what: string, kind: Questions, args: readonly string[]): void => {
      const questions = questionsOf(kind, count);
      load(port, questions, 2, args); // once unmeasured: the compiler of V8 has to see it
      rows.push(measure(`weft ${engine}, ${count} services, ${what}`, child.pid!, port, questions, args));
    };
    row('A', 'A', []);
    if (count === services) row('A, EDNS', 'A', ['-e']);
    if (count === services) row('A, AAAA and search path', 'search', ['-e']);
    if (count === MIXED_SERVICES) row('mixed', 'mixed', ['-e']);
    await stop(child);
  }
  return rows;
}

/** Each of the peers with as many services, asked such questions. */
async function peerRows(count: number, asked: readonly (readonly [string, Questions])[]): Promise<Row[]> {
  writeZones(folder, count);
  const rows: Row[] = [];
  for (const { name, port, start } of peers()) {
    const child = start(folder);
    children.push(child);
    await answering(port);
    for (const [what, kind] of asked) {
      const args = kind === 'A' ? [] : ['-e'];
      const questions = questionsOf(kind, count);
      load(port, questions, 1, args);
      rows.push(measure(`${name}, ${count} services, ${what}`, child.pid!, port, questions, args));
    }
    await stop(child);
  }
  return rows;
}

function questionsOf(kind: Questions, count: number): string {
  const path = join(folder, `${kind}-${count}`);
  writeQuestions(path, kind, count);
  return path;
}

function check(what: string, value: number, limit: number): void {
  const verdict = value <= limit ? 'ok' : 'MISSED';
  process.stdout.write(`${verdict}: ${what}: ${value.toFixed(2)} (limit ${limit})\n`);
  if (value > limit) process.exitCode = 1;
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
  const rows = [
    ...(await weftRows('native')),
    ...(await weftRows('portable')),
    ...(await peerRows(services, [
      ['A', 'A'],
      ['A, AAAA and search path', 'search'],
    ])),
    ...(await peerRows(MIXED_SERVICES, [['mixed', 'mixed']])),
  ];
  const cpuOf = (what: string): number | undefined => rows.find((row) => row.what === what)?.cpuMicroseconds;
  print(rows, cpuOf(`weft native, ${services} services, A`)!);
  for (const [peer, limit] of PEER_LIMITS) {
    const theirs = cpuOf(`${peer}, ${services} services, A`);
    if (theirs)
      check(`native, A, to ${peer}`, cpuOf(`weft native, ${services} services, A`)! / theirs, limit);
  }
  const mixed = `${MIXED_SERVICES} services, mixed`;
  const nsd = cpuOf(`nsd, ${mixed}`);
  if (nsd) check('native, mixed, to nsd', cpuOf(`weft native, ${mixed}`)! / nsd, MIXED_LIMIT);
  for (const engine of ['native', 'portable']) {
    const sizes = SIZES.map((count) => cpuOf(`weft ${engine}, ${count} services, A`)!);
    check(
      `${engine}, growth from 1 to 100,000 services`,
      Math.max(...sizes) / Math.min(...sizes),
      GROWTH_LIMIT,
    );
  }
  const portable = cpuOf(`weft portable, ${services} services, A`)!;
  check('portable, CPU us per query', portable, CPU_LIMIT_MICROSECONDS);
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
