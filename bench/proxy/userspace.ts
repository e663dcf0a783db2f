/**
 * CPU per request of the userspace proxy beside haproxy in mode tcp, in one run: 1 KB echoed on kept connections
 * and on a new connection per request. Run: node bench/proxy/userspace.ts [seconds] [connections]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RATIO_LIMIT = 1.5;
const TICKS_PER_SECOND = 100; // USER_HZ, fixed on Linux
const ECHO = { address: '127.244.99.1', port: 19_701 };
const WEFT = { address: '127.96.99.1', port: 19_702 };
const HAPROXY = { address: '127.0.99.2', port: 19_703 };

const seconds = Number(process.argv[2] ?? 5);
const connections = Number(process.argv[3] ?? 64);
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

function manifest(): string {
  const path = join(folder, 'web.json');
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { clusterIP: WEFT.address, ports: [{ name: 'main', port: WEFT.port }] },
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

async function load(target: { address: string; port: number }, kind: string): Promise<number> {
  const args = [target.address, target.port, connections, seconds, kind].map(String);
  const child = start(process.execPath, [script('userspace-load.ts'), ...args]);
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await new Promise((resolve) => child.on('exit', resolve));
  const { requests, failures } = JSON.parse(text) as { requests: number; failures: number };
  if (failures > 0) throw new Error(`${failures} of ${requests} requests failed`);
  return requests;
}

async function measure(pid: number, target: { address: string; port: number }, kind: string) {
  const before = cpuSeconds(pid);
  const requests = await load(target, kind);
  const microseconds = ((cpuSeconds(pid) - before) / requests) * 1e6;
  return {
    cpuMicrosecondsPerRequest: Math.round(microseconds * 10) / 10,
    requestsPerSecond: Math.round(requests / seconds),
  };
}

try {
  await ready(start(process.execPath, [script('userspace-echo.ts'), ECHO.address, String(ECHO.port)]));
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
  const flags = ['--proxy-mode=userspace', '--healthz-bind-address=', '--metrics-bind-address='];
  const weft = start(process.execPath, [main, 'proxy', '--from', manifest(), ...flags]);
  await ready(weft);
  const haproxy = start('haproxy', ['-db', '-f', haproxyConfig()]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  let worst = 0;
  for (const kind of ['keep', 'new']) {
    await load(WEFT, kind); // once unmeasured: the compiler of V8 has to see it
    const ours = await measure(weft.pid ?? 0, WEFT, kind);
    const theirs = await measure(haproxy.pid ?? 0, HAPROXY, kind);
    const ratio = ours.cpuMicrosecondsPerRequest / theirs.cpuMicrosecondsPerRequest;
    worst = Math.max(worst, ratio);
    const line = { kind, weft: ours, haproxy: theirs, ratio: Math.round(ratio * 100) / 100 };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
  process.stdout.write(`worst ratio ${worst.toFixed(2)}, limit ${RATIO_LIMIT}\n`);
  if (worst > RATIO_LIMIT) process.exitCode = 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
