/**
 * CPU of the userspace proxy beside haproxy in mode tcp, in one run, of both engines: 1 KB echoed on kept connections (us a
 * request), on a new connection each (us a request), and bulk both ways (ms a GB relayed). Medians of the rounds.
 * Run: node bench/proxy/userspace.ts [seconds] [connections] [rounds]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RATIO_LIMITS = { native: 1, portable: 1.5 } as const;
const KINDS = ['keep', 'new', 'stream'] as const;
const STREAMS = 4;
const TICKS_PER_SECOND = 100; // USER_HZ, fixed on Linux
const ECHO = { address: '127.244.99.1', port: 19_701 };
const VIPS = { native: '127.96.99.1', portable: '127.96.99.2' } as const;
const SERVICE_PORT = 19_702;
const HAPROXY = { address: '127.0.99.2', port: 19_703 };

const seconds = Number(process.argv[2] ?? 5);
const connections = Number(process.argv[3] ?? 64);
const rounds = Number(process.argv[4] ?? 3);
const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
const children: ChildProcess[] = [];

function script(name: string): string {
  return new URL(`./${name}`, import.meta.url).pathname;
}

function start(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => chunk.includes('ready') && resolve());
    child.on('exit', (code) => reject(new Error(`ended with ${code} before it was ready`)));
  });
}

interface Target {
  readonly name: string;
  readonly pid: number;
  readonly address: string;
  readonly port: number;
}

function manifest(vip: string): string {
  const path = join(folder, `${vip}.json`);
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { clusterIP: vip, ports: [{ name: 'main', port: SERVICE_PORT }] },
  };
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'main', port: ECHO.port, protocol: 'TCP' }],
    endpoints: [{ addresses: [ECHO.address] }],
  };
  writeFileSync(path, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [service, slice] }));
  return path;
}

function haproxyConfig(): string {
  const path = join(folder, 'haproxy.cfg');
  writeFileSync(
    path,
    `global
  nbthread 1
  maxconn 4096
defaults
  mode tcp
  timeout connect 1s
  timeout client 60s
  timeout server 60s
listen web
  bind ${HAPROXY.address}:${HAPROXY.port}
  server a ${ECHO.address}:${ECHO.port}
`,
  );
  return path;
}

/** User and system time of a process and its threads. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function load(target: Target, kind: string): Promise<{ requests: number; bytes: number }> {
  const count = kind === 'stream' ? STREAMS : connections;
  const args = [target.address, target.port, count, seconds, kind].map(String);
  const child = start(process.execPath, [script('userspace-load.ts'), ...args]);
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await new Promise((resolve) => child.on('exit', resolve));
  const { failures, ...done } = JSON.parse(text) as { requests: number; bytes: number; failures: number };
  if (failures > 0) throw new Error(`${failures} of ${done.requests} requests failed`);
  return done;
}

/** Microseconds a request, milliseconds a GB. */
async function measure(target: Target, kind: string): Promise<number> {
  const before = cpuSeconds(target.pid);
  const { requests, bytes } = await load(target, kind);
  const spent = cpuSeconds(target.pid) - before;
  // what came back went through the proxy twice
  return kind === 'stream' ? (spent / ((2 * bytes) / 1e9)) * 1e3 : (spent / requests) * 1e6;
}

async function weft(engine: keyof typeof VIPS): Promise<Target> {
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
  const flags = ['--proxy-mode=userspace', '--engine', engine, '--healthz-bind-address='];
  const args = [main, 'proxy', '--from', manifest(VIPS[engine]), '--metrics-bind-address=', ...flags];
  const child = start(process.execPath, args);
  await ready(child);
  return { name: engine, pid: child.pid ?? 0, address: VIPS[engine], port: SERVICE_PORT };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function compare(kind: string, targets: readonly Target[]): Promise<readonly number[]> {
  const taken = targets.map((): number[] => []);
  for (const target of targets) await load(target, kind); // once unmeasured: the compiler of V8 has to see it
  for (let round = 0; round < rounds; round++)
    for (const [i, target] of targets.entries()) taken[i]?.push(await measure(target, kind));
  return taken.map(median);
}

try {
  await ready(start(process.execPath, [script('userspace-echo.ts'), ECHO.address, String(ECHO.port)]));
  const haproxy = start('haproxy', ['-db', '-f', haproxyConfig()]);
  const targets: Target[] = [
    await weft('native'),
    await weft('portable'),
    { name: 'haproxy', pid: haproxy.pid ?? 0, ...HAPROXY },
  ];
  let missed = 0;
  for (const kind of KINDS) {
    const [native = 0, portable = 0, theirs = 0] = await compare(kind, targets);
    const ratios = { native: native / theirs, portable: portable / theirs };
    for (const [engine, ratio] of Object.entries(ratios))
      if (ratio > RATIO_LIMITS[engine as keyof typeof ratios]) missed++;
    const figures = [native, portable, theirs].map((value) => value.toFixed(1).padStart(8));
    const text = [ratios.native, ratios.portable].map((ratio) => ratio.toFixed(2)).join(' and ');
    const unit = kind === 'stream' ? 'ms/GB' : 'us/request';
    process.stdout.write(
      `${kind.padEnd(7)} native, portable, haproxy: ${figures.join('')} ${unit}; ratios ${text}\n`,
    );
  }
  if (missed > 0) process.exitCode = 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
