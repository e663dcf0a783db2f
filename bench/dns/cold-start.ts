/**
 * A start while the API server cannot be reached: from exec of `weft dns` to the first answer out of the table of the last
 * run, in CPU and in wall time, beside `node -e 0`. Build first: npm run build. Run: node bench/dns/cold-start.ts [runs]
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeMessage } from '../../dns/wire/encode.ts';
import { queryMessage } from '../../dns/wire/message.ts';
import { serviceName, serviceObject } from './cluster.ts';
import { median } from '../quantiles.ts';

const CPU_LIMIT_MS = 100;
const SERVICES = 1000;
const PORT = 19_056;
/** The start is asked this often until it answers. */
const ASK_MS = 2;
const GIVE_UP_MS = 20_000;

const runs = Number(process.argv[2] ?? 9);
const folder = mkdtempSync(join(tmpdir(), 'weft-cold-'));
const main = new URL('../../dist/src/cli/main.js', import.meta.url).pathname;
const { namespace, name } = serviceName(0);
const question = encodeMessage(
  queryMessage({ name: `${name}.${namespace}.svc.cluster.local.`, type: 'A', class: 'IN' }),
);

/** CPU time of a process and its threads, in nanoseconds as the scheduler counts. */
function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const spent = threads.map((id) =>
    Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]),
  );
  return spent.reduce((sum, one) => sum + one, 0) / 1e6;
}

function startWeft(args: readonly string[]): ChildProcess {
  return spawn(
    process.execPath,
    [main, 'dns', '--conf', join(folder, 'Corefile'), '--dns.port', String(PORT), ...args],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') },
    },
  );
}

async function stopped(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

/** Leaves a table behind, and V8's compiled code. */
async function firstRun(): Promise<void> {
  const objects = Array.from({ length: SERVICES }, (_, i) => JSON.stringify(serviceObject(i)));
  writeFileSync(join(folder, 'services.yaml'), objects.join('\n---\n'));
  const child = startWeft(['--from', join(folder, 'services.yaml')]);
  for (let i = 0; i < 200 && !existsSync(join(folder, 'table')); i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await stopped(child, 'SIGTERM');
}

async function coldStart(engine: string): Promise<{ readonly cpu: number; readonly wall: number }> {
  const startedMs = performance.now();
  const child = startWeft(['--engine', engine, '--kubeconfig', join(folder, 'kubeconfig')]);
  const socket = createSocket('udp4');
  socket.on('error', () => {}); // nobody listens yet
  const asking = setInterval(() => socket.send(question, PORT, '127.0.0.1', () => {}), ASK_MS);
  const answered = await new Promise<boolean>((resolve) => {
    socket.once('message', () => resolve(true));
    setTimeout(() => resolve(false), GIVE_UP_MS).unref();
  });
  if (!answered) throw new Error('no answer');
  const measured = { cpu: cpuMs(child.pid!), wall: performance.now() - startedMs };
  clearInterval(asking);
  socket.close();
  await stopped(child, 'SIGTERM'); // not SIGKILL: it keeps the compiled code when it ends
  return measured;
}

/** Of a process that does nothing, as it says itself. */
function bareCpuMs(): number {
  const script = 'const { user, system } = process.cpuUsage(); console.log((user + system) / 1000)';
  return Number(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }));
}

try {
  writeFileSync(
    join(folder, 'Corefile'),
    `. {\n kubernetes cluster.local in-addr.arpa ip6.arpa {\n  snapshot ${folder}/table\n }\n cache 30\n loadbalance\n}\n`,
  );
  const cluster = { name: 'gone', cluster: { server: 'https://127.0.0.1:9' } };
  const context = { name: 'gone', context: { cluster: 'gone', user: 'gone' } };
  const user = { name: 'gone', user: { token: 'none' } };
  const kubeconfig = { apiVersion: 'v1', kind: 'Config', 'current-context': 'gone' };
  writeFileSync(
    join(folder, 'kubeconfig'),
    JSON.stringify({ ...kubeconfig, clusters: [cluster], contexts: [context], users: [user] }),
  );
  await firstRun();
  process.stdout.write('| start | CPU ms | wall ms |\n| --- | --- | --- |\n');
  process.stdout.write(`| node -e 0 | ${median(Array.from({ length: runs }, bareCpuMs)).toFixed(0)} | |\n`);
  for (const engine of ['portable', 'native']) {
    await coldStart(engine); // V8's code of what this engine loads
    const all = [];
    for (let i = 0; i < runs; i++) all.push(await coldStart(engine));
    const cpu = median(all.map((one) => one.cpu));
    const wall = median(all.map((one) => one.wall));
    process.stdout.write(`| weft dns, ${engine} | ${cpu.toFixed(0)} | ${wall.toFixed(0)} |\n`);
    if (cpu > CPU_LIMIT_MS) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
