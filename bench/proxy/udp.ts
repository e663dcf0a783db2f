/**
 * CPU of the userspace proxy for UDP beside nginx's stream module, in one run, of both engines: datagrams of 100 bytes there and
 * back, a flow for each of the client's sockets. Microseconds a datagram and its answer, medians of the rounds. Where nginx
 * has no such module the engines are compared with each other.
 * Run: node bench/proxy/udp.ts [seconds] [sockets] [rounds] [path of ngx_stream_module.so]
 */
import { existsSync } from 'node:fs';
import { cpuSeconds, ready } from '../processes.ts';
import { compare, Rig, script, type Target } from './relay-rig.ts';

const ECHO = { address: '127.244.99.3', port: 19_711 };
const SERVICE_PORT = 19_712;
const NGINX = { address: '127.0.99.4', port: 19_713 };

const seconds = Number(process.argv[2] ?? 5);
const sockets = Number(process.argv[3] ?? 64);
const rounds = Number(process.argv[4] ?? 3);
const module = process.argv[5] ?? '/usr/lib/nginx/modules/ngx_stream_module.so';

const NGINX_CONFIG = `load_module ${module};
daemon off;
master_process off;
worker_processes 1;
pid /dev/null;
error_log stderr error;
events { worker_connections 4096; }
stream {
  server {
    listen ${NGINX.address}:${NGINX.port} udp;
    proxy_pass ${ECHO.address}:${ECHO.port};
    proxy_timeout 60s;
  }
}
`;

interface Done {
  readonly requests: number;
  readonly losses: number;
}

async function measure(rig: Rig, { pid, address, port }: Target): Promise<number> {
  const before = cpuSeconds(pid);
  const { requests } = (await rig.run('udp-load.ts', [address, port, sockets, seconds])) as Done;
  return ((cpuSeconds(pid) - before) / requests) * 1e6;
}

using rig = new Rig();
await ready(rig.start(process.execPath, [script('udp-echo.ts'), ECHO.address, String(ECHO.port)]));
const backing = { protocol: 'UDP', ...ECHO, servicePort: SERVICE_PORT } as const;
const targets: Target[] = [await rig.weft('native', backing), await rig.weft('portable', backing)];
if (existsSync(module)) {
  const nginx = rig.start('nginx', ['-c', rig.file('nginx.conf', NGINX_CONFIG)]);
  targets.push({ name: 'nginx', pid: nginx.pid ?? 0, ...NGINX });
} else process.stdout.write(`no nginx to compare with: ${module} is not there\n`);
const taken = await compare(targets, rounds, (target) => measure(rig, target));
const last = taken.at(-1) ?? Number.NaN;
for (const [i, { name }] of targets.entries()) {
  const figure = taken[i] ?? Number.NaN;
  const ratio = `${(figure / last).toFixed(2)} of ${targets.at(-1)?.name}`;
  process.stdout.write(`${name.padEnd(9)} ${figure.toFixed(1).padStart(6)} us/datagram; ${ratio}\n`);
}
