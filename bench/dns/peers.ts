/** NSD, Knot and CoreDNS with the same names in a zone, each on one worker. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reverseName, serviceAddress, serviceName } from './cluster.ts';
import type { CertificateFiles } from './rig.ts';

export interface Peer {
  readonly name: string;
  readonly port: number;
  /** Where it speaks TLS, if it was given files for that and can. */
  readonly tlsPort: number;
  readonly start: (folder: string) => ChildProcess;
}

/** What weft answers of as many services: their A and SRV records, and the names of their addresses. */
export function writeZones(folder: string, services: number): void {
  const soa = '@ 30 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30';
  const head = [soa, '@ 30 IN NS ns.dns.cluster.local.'];
  const forward = ['$ORIGIN cluster.local.', ...head, 'ns.dns 30 IN A 127.0.0.1'];
  const reverse = ['$ORIGIN in-addr.arpa.', ...head];
  for (let i = 0; i < services; i++) {
    const { namespace, name } = serviceName(i);
    const path = `${name}.${namespace}.svc`;
    const srv = `30 IN SRV 0 100 80 ${path}`;
    forward.push(`${path} 30 IN A ${serviceAddress(i)}`, `${path} ${srv}`, `_http._tcp.${path} ${srv}`);
    reverse.push(`${reverseName(i)} 30 IN PTR ${path}.cluster.local.`);
  }
  writeFileSync(join(folder, 'zone'), `${forward.join('\n')}\n`);
  writeFileSync(join(folder, 'reverse'), `${reverse.join('\n')}\n`);
}

function found(program: string): boolean {
  return spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]).status === 0;
}

function pinned(program: string, args: readonly string[], cores = '0'): ChildProcess {
  const path = `${process.env['PATH']}:/usr/sbin`;
  return spawn('taskset', ['-c', cores, program, ...args], {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { ...process.env, PATH: path },
  });
}

/** Several servers have a socket and a core each. */
function serversOf(servers: number): string {
  const cores = Array.from({ length: servers }, (_server, i) => i);
  const bound = cores.map((core) => `  server-${core + 1}-cpu-affinity: ${core}`);
  const shared = [`  reuseport: yes`, `  cpu-affinity: ${cores.join(' ')}`, ...bound];
  return [`  server-count: ${servers}`, ...(servers > 1 ? shared : [])].join('\n');
}

function nsdConfig(
  folder: string,
  { port, tlsPort }: Ports,
  { tls, servers = 1 }: { readonly tls?: CertificateFiles | undefined; readonly servers?: number },
): string {
  const secure = tls
    ? `  ip-address: 127.0.0.1@${tlsPort}
  tls-port: ${tlsPort}
  tls-service-pem: "${tls.cert}"
  tls-service-key: "${tls.key}"
`
    : '';
  const name = `nsd-${port}`;
  const path = join(folder, `${name}.conf`);
  writeFileSync(
    path,
    `server:
${serversOf(servers)}
  ip-address: 127.0.0.1@${port}
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  database: ""
  pidfile: "${folder}/${name}.pid"
  xfrdfile: "${folder}/${name}.xfrd"
  zonelistfile: "${folder}/${name}.list"
  xfrdir: "${folder}"
  rrl-ratelimit: 0
${secure}remote-control:
  control-enable: no
zone:
  name: cluster.local
  zonefile: ${folder}/zone
zone:
  name: in-addr.arpa
  zonefile: ${folder}/reverse
`,
  );
  return path;
}

function knotConfig(folder: string, port: number): string {
  const path = join(folder, 'knot.conf');
  mkdirSync(join(folder, 'knot'), { recursive: true });
  writeFileSync(
    path,
    `server:
  listen: 127.0.0.1@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  rundir: ${folder}/knot
database:
  storage: ${folder}/knot
zone:
  - domain: cluster.local
    file: ${folder}/zone
    zonefile-load: whole
    zonefile-sync: -1
  - domain: in-addr.arpa
    file: ${folder}/reverse
    zonefile-load: whole
    zonefile-sync: -1
`,
  );
  return path;
}

function corednsConfig(folder: string, port: number): string {
  const path = join(folder, 'Corefile');
  const block = (zone: string, file: string): string =>
    `${zone}:${port} {\n  bind 127.0.0.1\n  file ${folder}/${file}\n}\n`;
  writeFileSync(path, block('cluster.local', 'zone') + block('in-addr.arpa', 'reverse'));
  return path;
}

type Ports = Pick<Peer, 'port' | 'tlsPort'>;

/** NSD with so many servers on as many cores; undefined when it is not installed. */
export function nsdServers(servers: number): Peer | undefined {
  const ports: Ports = { port: 19_056, tlsPort: 0 };
  const cores = `0-${servers - 1}`;
  const start = (folder: string): ChildProcess =>
    pinned('nsd', ['-d', '-c', nsdConfig(folder, ports, { servers })], cores);
  return found('nsd') ? { name: `nsd, ${servers} servers`, ...ports, start } : undefined;
}

/** Those that are installed. */
export function peers(tls?: CertificateFiles): Peer[] {
  const nsd: Ports = { port: 19_053, tlsPort: 19_853 };
  const all: Peer[] = [
    { name: 'nsd', ...nsd, start: (folder) => pinned('nsd', ['-d', '-c', nsdConfig(folder, nsd, { tls })]) },
    {
      name: 'knotd',
      port: 19_054,
      tlsPort: 0,
      start: (folder) => pinned('knotd', ['-c', knotConfig(folder, 19_054)]),
    },
    {
      name: 'coredns',
      port: 19_055,
      tlsPort: 0,
      start: (folder) => pinned('coredns', ['-conf', corednsConfig(folder, 19_055)]),
    },
  ];
  return all.filter(({ name }) => found(name));
}
