/**
 * What the kernel modes cost: compile, first sync into an empty kernel (and when the first service answers), one
 * change, memory of the process, a new connection through the rules. Each row is a process in a network namespace
 * of its own; ipvs runs in the virtual machine of the tests where the host's kernel has none.
 * Run as root: node bench/proxy/kernel.ts [changes] [MODE:SERVICES...]
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { noVirtualMachine, runInGuest } from '../../test/support/virtual-machine.ts';

interface Row {
  readonly mode: string;
  readonly services: number;
  readonly compileMs: number;
  readonly firstServiceMs: number;
  readonly firstSyncMs: number;
  readonly changeP50Ms: number;
  readonly changeP99Ms: number;
  readonly rssMib: number;
  readonly connectionUs: number;
}

/** What must be reached, in ms. */
const LIMITS: Readonly<Record<string, { readonly first?: number; readonly change?: number }>> = {
  'nftables:44000': { first: 6_000, change: 15 },
  'iptables-legacy:5000': { change: 50 },
  'ipvs:5000': { first: 10_000, change: 15 },
};

/** kube-proxy's published figures for like loads, in ms. */
const PUBLISHED: Readonly<Record<string, { readonly first?: number; readonly change?: number }>> = {
  'nftables:10000': { first: 540_000, change: 141 }, // kubernetes PR 126013, 2 endpoints each
  'nftables:44000': { first: 1_004_000, change: 1_300 }, // kubernetes issue 139513
  'ipvs:5000': { first: 20_000 }, // kubernetes issue 73382, 4,000 endpoints
};

const ROWS = [
  'nftables:10',
  'nftables:10000',
  'nftables:44000',
  'iptables-legacy:10',
  'iptables-legacy:5000',
  'iptables-nft:10',
  'iptables-nft:5000',
  'ipvs:10',
  'ipvs:5000',
];
const ENDPOINTS = 4;
const TIMEOUT_MS = 1_800_000;

const [changes = '200', ...wanted] = process.argv.slice(2);
const rows: Row[] = [];
for (const id of wanted.length > 0 ? wanted : ROWS) {
  const row = await measure(id);
  if (row) rows.push(row);
}
report(rows);

async function measure(id: string): Promise<Row | undefined> {
  const [mode = '', services = ''] = id.split(':');
  const args = ['bench/proxy/kernel-row.ts', mode, services, String(ENDPOINTS), changes];
  const inGuest = mode === 'ipvs' && !existsSync('/proc/net/ip_vs');
  const text = inGuest ? await guest(args) : host(args);
  const line = text.trim().split('\n').at(-1) ?? '';
  if (line.startsWith('{')) return JSON.parse(line) as Row;
  process.stderr.write(`${id}: ${text}\n`);
  process.exitCode = 1;
  return undefined;
}

function host(args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, [...args], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  return stdout === '' ? stderr : stdout;
}

async function guest(args: readonly string[]): Promise<string> {
  const reason = noVirtualMachine();
  if (reason !== undefined) return `no kernel with IPVS here, and no virtual machine: ${reason}`;
  return (await runInGuest(`${process.execPath} ${args.join(' ')}`, { timeoutMs: TIMEOUT_MS })).output;
}

function report(all: readonly Row[]): void {
  const head = [
    'mode',
    'services',
    'compile',
    'first answer',
    'first sync',
    'change p50',
    'p99',
    'MiB',
    'us/conn',
  ];
  const lines = all.map((row) => [
    row.mode,
    String(row.services),
    `${row.compileMs} ms`,
    `${row.firstServiceMs} ms`,
    `${row.firstSyncMs} ms`,
    `${row.changeP50Ms} ms`,
    `${row.changeP99Ms} ms`,
    String(row.rssMib),
    String(row.connectionUs),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]?.length ?? 0)));
  const text = [head, ...lines].map((line) => line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '));
  process.stdout.write(`${text.join('\n')}\n\n`);
  for (const row of all) judge(row, all);
}

/** Against the limits, against what kube-proxy publishes, and against the mode's own row of 10 services. */
function judge(row: Row, all: readonly Row[]): void {
  const id = `${row.mode}:${row.services}`;
  const few = all.find(({ mode, services }) => mode === row.mode && services === 10);
  if (few && few !== row)
    say(id, `a new connection takes ${ratio(row.connectionUs, few.connectionUs)} x that of 10 services`);
  const published = PUBLISHED[id];
  if (published?.first)
    say(id, `first sync ${ratio(published.first, row.firstSyncMs)} x faster than published`);
  if (published?.change)
    say(id, `one change ${ratio(published.change, row.changeP50Ms)} x faster than published`);
  const limit = LIMITS[id];
  if (limit?.first) bound(id, 'first sync', row.firstSyncMs, limit.first);
  if (limit?.change) bound(id, 'one change, p99', row.changeP99Ms, limit.change);
}

function bound(id: string, what: string, measuredMs: number, limitMs: number): void {
  const holds = measuredMs <= limitMs;
  say(id, `${what} ${measuredMs} ms, limit ${limitMs} ms: ${holds ? 'holds' : 'MISSED'}`);
  if (!holds) process.exitCode = 1;
}

function say(id: string, text: string): void {
  process.stdout.write(`${id}: ${text}\n`);
}

function ratio(a: number, b: number): string {
  return (a / Math.max(b, 0.001)).toFixed(a / b < 10 ? 2 : 0);
}
