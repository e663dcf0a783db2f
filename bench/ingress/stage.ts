/** What the ingress benchmarks share: a backend, the three proxies in front of it, load and CPU time. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { childrenOf, cpuSeconds, ready } from '../processes.ts';

export const BACKEND = { address: '127.0.77.1', port: 19_800 };

export interface Proxy {
  readonly name: string;
  readonly address: string;
  readonly http: number;
  readonly https: number;
  /** Processes whose time counts. */
  pids(): number[];
}

/** Folders, processes, and the way to be rid of them. */
export class Stage implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'weft-bench-ingress-'));
  readonly #outputs = mkdtempSync(join(tmpdir(), 'weft-bench-ingress-'));
  readonly #children: ChildProcess[] = [];
  #count = 0;

  file(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  /**
   * Where a load generator may write: nothing is there yet, for h2load adds to what it finds, and it is not the folder whose
   * manifests weft follows.
   */
  output(): string {
    return join(this.#outputs, String(++this.#count));
  }

  start(program: string, args: readonly string[]): ChildProcess {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    return child;
  }

  /** A self-signed ECDSA P-256 pair: [certificate file, key file]. */
  async certificate(name: string): Promise<{ cert: string; key: string }> {
    const cert = join(this.folder, `${name}.crt`);
    const key = join(this.folder, `${name}.key`);
    await promisify(execFile)('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-addext',
      `subjectAltName=DNS:${name}`,
      '-keyout',
      key,
      '-out',
      cert,
    ]);
    return { cert, key };
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const folder of [this.folder, this.#outputs]) rmSync(folder, { recursive: true, force: true });
  }
}

/** nginx answers with `bytes` of body: fast enough never to be what is measured. */
export async function startBackend(stage: Stage, bytes: number): Promise<void> {
  stage.file('body', 'x'.repeat(bytes));
  const config = stage.file(
    'backend.conf',
    `daemon off; master_process off; pid ${stage.folder}/backend.pid; error_log stderr crit; worker_processes 1;
events { worker_connections 20000; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 600s; client_max_body_size 0;
  client_body_temp_path ${stage.folder}/b1; proxy_temp_path ${stage.folder}/b2; fastcgi_temp_path ${stage.folder}/b3;
  uwsgi_temp_path ${stage.folder}/b4; scgi_temp_path ${stage.folder}/b5;
  server { listen ${BACKEND.address}:${BACKEND.port} backlog=4096; 
    root ${stage.folder}; sendfile on; open_file_cache max=10; default_type text/plain;
    location / { rewrite ^ /body break; } } }
`,
  );
  stage.start('nginx', ['-c', config]);
  await listening(BACKEND.address, BACKEND.port);
}

export async function startNginx(stage: Stage): Promise<Proxy> {
  const proxy = { name: 'nginx', address: '127.0.77.2', http: 19_801, https: 19_802 };
  const { cert, key } = await stage.certificate('bench.test');
  const config = stage.file(
    'proxy.conf',
    `daemon off; master_process off; pid ${stage.folder}/proxy.pid; error_log stderr crit; worker_processes 1;
events { worker_connections 20000; }
http { access_log off; keepalive_requests 100000000; client_max_body_size 0; proxy_request_buffering off;
  client_body_temp_path ${stage.folder}/p1; proxy_temp_path ${stage.folder}/p2; fastcgi_temp_path ${stage.folder}/p3;
  uwsgi_temp_path ${stage.folder}/p4; scgi_temp_path ${stage.folder}/p5;
  ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:S:10m;
  upstream up { server ${BACKEND.address}:${BACKEND.port}; keepalive 320; keepalive_requests 100000000; }
  server { listen ${proxy.address}:${proxy.http} backlog=4096 default_server; server_name other.test; return 404; }
  server { listen ${proxy.address}:${proxy.http}; listen ${proxy.address}:${proxy.https} ssl http2 backlog=4096;
    server_name bench.test;
    location /api { proxy_pass http://up; } location / { proxy_pass http://up; }
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_set_header X-Request-ID $request_id;
      proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Scheme $scheme;
      proxy_set_header X-Scheme $scheme; proxy_buffering off; } }
`,
  );
  const master = stage.start('nginx', ['-c', config]);
  await listening(proxy.address, proxy.http);
  return { ...proxy, pids: () => [master.pid ?? 0, ...childrenOf(master.pid ?? 0)] };
}

export async function startHaproxy(stage: Stage): Promise<Proxy> {
  const proxy = { name: 'haproxy', address: '127.0.77.3', http: 19_803, https: 19_804 };
  const { cert, key } = await stage.certificate('bench.test');
  const pem = stage.file('haproxy.pem', readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
  const config = stage.file(
    'haproxy.cfg',
    `global
  nbthread 1
  maxconn 9000
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  http-reuse always
frontend web
  bind ${proxy.address}:${proxy.http} backlog 4096
  bind ${proxy.address}:${proxy.https} ssl crt ${pem} alpn h2,http/1.1 backlog 4096
  acl bench hdr(host) -i bench.test bench.test:${proxy.http} bench.test:${proxy.https}
  http-request deny deny_status 404 unless bench
  http-request set-header X-Request-ID %[uuid()]
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Scheme http
  http-request set-header X-Scheme http
  use_backend up
backend up
  server a ${BACKEND.address}:${BACKEND.port}
`,
  );
  const child = stage.start('haproxy', ['-db', '-f', config]);
  await listening(proxy.address, proxy.http);
  return { ...proxy, pids: () => [child.pid ?? 0, ...childrenOf(child.pid ?? 0)] };
}

/** \`weft ingress\` from manifests, access log off; \`more\` manifests may be added. */
export async function startWeft(
  stage: Stage,
  more: readonly object[] = [],
  nodeFlags: readonly string[] = [],
  engine: 'portable' | 'native' = 'portable',
  workers = 1,
): Promise<Proxy> {
  const proxy =
    engine === 'portable'
      ? { name: 'weft', address: '127.0.77.4', http: 19_805, https: 19_806 }
      : { name: 'weft native', address: `127.0.77.${4 + workers}`, http: 19_807, https: 19_808 };
  const { cert, key } = await stage.certificate('bench.test');
  const items = [
    ...routeManifests(),
    secret('bench', readFileSync(cert, 'utf8'), readFileSync(key, 'utf8')),
    ...more,
  ];
  const from = stage.file(`${engine}.json`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
  const listen = (port: number): string => `${proxy.address}:${port}`;
  const ports = ['--http', listen(proxy.http), '--https', listen(proxy.https)];
  const flags = ['--from', from, '--configmap', 'default/settings', ...ports];
  const child = stage.start(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    ...nodeFlags,
    main,
    'ingress',
    ...flags,
    '--engine',
    engine,
    '--workers',
    String(workers),
    '--healthz-port',
    '0',
  ]);
  await ready(child);
  return { ...proxy, pids: () => [child.pid ?? 0] };
}

/** So many rules for other hosts and paths, each with a backend of its own that has no endpoints. */
export function otherRules(count: number): object[] {
  const paths = (host: number): object[] =>
    Array.from({ length: 10 }, (_, path) => ({
      path: `/part-${path}`,
      pathType: path % 3 === 1 ? 'Exact' : 'Prefix',
      backend: { service: { name: `other-${host}`, port: { number: 80 } } },
    }));
  return Array.from({ length: count / 10 }, (_, host) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: `other-${host}` },
    spec: { rules: [{ host: `other-${host}.test`, http: { paths: paths(host) } }] },
  }));
}

/** Paths of the measured host that the native worker composes, and that it hands over. */
export function annotatedRules(): object[] {
  const rule = (path: string, annotations: Readonly<Record<string, string>>): object => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: {
      name: path.slice(1),
      annotations: Object.fromEntries(
        Object.entries({ 'ssl-redirect': 'false', ...annotations }).map(([name, value]) => [
          `nginx.ingress.kubernetes.io/${name}`,
          value,
        ]),
      ),
    },
    spec: {
      rules: [
        {
          host: 'bench.test',
          http: {
            paths: [
              { path, pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } },
            ],
          },
        },
      ],
    },
  });
  return [
    rule('/composed', { 'enable-cors': 'true', 'rewrite-target': '/x' }),
    rule('/handed', { 'custom-http-errors': '418' }),
  ];
}

function routeManifests(): object[] {
  const backend = { service: { name: 'web', port: { number: 80 } } };
  const paths = ['/', '/api'].map((path) => ({ path, pathType: 'Prefix', backend }));
  const off = {
    'nginx.ingress.kubernetes.io/ssl-redirect': 'false',
    'nginx.ingress.kubernetes.io/proxy-body-size': '0',
  };
  return [
    // as the peers: or all clients would have to come anew after 1,000 requests each, at the same moment
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings' },
      data: { 'keep-alive-requests': '100000000', 'upstream-keepalive-requests': '100000000' },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { ports: [{ name: 'main', port: 80 }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [{ name: 'main', port: BACKEND.port, protocol: 'TCP' }],
      endpoints: [{ addresses: [BACKEND.address] }],
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'web', annotations: off },
      spec: {
        tls: [{ hosts: ['bench.test'], secretName: 'bench' }],
        rules: [{ host: 'bench.test', http: { paths } }],
      },
    },
  ];
}

function secret(name: string, cert: string, key: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name },
    stringData: { 'tls.crt': cert, 'tls.key': key },
  };
}

/** Resident memory in bytes. */
export function residentBytes(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids)
    kilobytes += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  return kilobytes * 1024;
}

async function listening(address: string, port: number): Promise<void> {
  const net = await import('node:net');
  for (let tries = 0; tries < 200; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect({ host: address, port }, () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nothing listens on ${address}:${port}`);
}

/** Runs a load generator; its standard output. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 1 << 24 });
  return stdout;
}

/** CPU microseconds per unit of work of one proxy while \`work\` runs; \`work\` gives the units done. */
export async function perUnit(
  proxy: Proxy,
  work: () => Promise<number>,
): Promise<{ microseconds: number; units: number }> {
  const pids = proxy.pids();
  const before = cpuSeconds(...pids);
  const units = await work();
  return { microseconds: Math.round(((cpuSeconds(...pids) - before) / units) * 1e7) / 10, units };
}
