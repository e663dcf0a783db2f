import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OwnNetwork } from '../../support/own-network.ts';
import { WeftProcess } from '../../support/weft-process.ts';

/** Answers with its name and what it saw of the request. */
const BACKEND = `
const http = require('node:http');
for (const spec of process.argv.slice(1)) {
  const [name, address, port] = spec.split(',');
  http.createServer((request, response) => {
    let body = '';
    request.on('data', (bytes) => (body += bytes));
    request.on('end', () => {
      response.setHeader('x-backend', name);
      response.end(JSON.stringify({ backend: name, url: request.url, headers: request.headers, bytes: body.length }));
    });
  }).listen(Number(port), address);
}
console.log('listening');
`;

/** A host of its own with backends, files, and the real \`weft\` program: what the tests of the commands stand on. */
export class Edge implements AsyncDisposable {
  readonly network: OwnNetwork;
  readonly folder: string;
  readonly #running: WeftProcess[] = [];
  readonly #children: ChildProcess[] = [];

  constructor(purpose: string) {
    this.network = new OwnNetwork(purpose);
    this.folder = mkdtempSync(join(tmpdir(), `weft-${purpose}-`));
  }

  /** `name,address,port` each; resolves when all listen. */
  async backends(...specs: readonly string[]): Promise<void> {
    const child = this.network.start(process.execPath, ['-e', BACKEND, ...specs]);
    this.#children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('exit', () => reject(new Error('the backends did not start')));
    });
  }

  /** Runs a program until the end; what it says is thrown away. */
  run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
    const child = this.network.start(program, args, { ...process.env, ...env });
    child.stdout?.resume();
    child.stderr?.resume();
    this.#children.push(child);
  }

  file(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  async weft(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<WeftProcess> {
    const started = new WeftProcess(this.network, args, { ...process.env, HOME: this.folder, ...env });
    this.#running.push(started);
    await started.ready();
    return started;
  }

  /** curl's output, the status code after the last line. */
  curl(...args: readonly string[]): { body: string; status: number } {
    const { stdout } = this.network.run('curl', ['-sk', '--max-time', '20', '-w', '\n%{http_code}', ...args]);
    const cut = stdout.lastIndexOf('\n');
    return { body: stdout.slice(0, cut), status: Number(stdout.slice(cut + 1)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const weft of this.#running) await weft[Symbol.asyncDispose]();
    for (const child of this.#children) child.kill('SIGKILL');
    this.network[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A Service with its slice, ready for `--from`. */
export function serviceYaml(
  name: string,
  endpoints: readonly (readonly [string, number])[],
  options: { namespace?: string; port?: number } = {},
): string {
  const { namespace = 'default', port = 80 } = options;
  const slice = (address: string, at: number, index: number): string => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}-${index}, namespace: ${namespace}, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: http, port: ${at}, protocol: TCP}]
endpoints: [{addresses: [${address}], conditions: {ready: true}}]
`;
  return `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}}
spec: {ports: [{name: http, port: ${port}, protocol: TCP}]}
${endpoints.map(([address, at], index) => slice(address, at, index)).join('')}`;
}

/** An Ingress of one path. */
export function ingressYaml(
  name: string,
  host: string,
  service: string,
  options: {
    namespace?: string;
    path?: string;
    annotations?: Readonly<Record<string, string>>;
    tls?: string;
  } = {},
): string {
  const { namespace = 'default', path = '/', annotations = {}, tls } = options;
  const metadata = JSON.stringify({
    name,
    namespace,
    annotations: Object.fromEntries(
      Object.entries(annotations).map(([key, value]) => [`nginx.ingress.kubernetes.io/${key}`, value]),
    ),
  });
  const backend = { service: { name: service, port: { number: 80 } } };
  const spec = {
    ingressClassName: 'nginx',
    ...(tls !== undefined && { tls: [{ hosts: [host], secretName: tls }] }),
    rules: [{ host, http: { paths: [{ path, pathType: 'Prefix', backend }] } }],
  };
  return `---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: ${metadata}\nspec: ${JSON.stringify(spec)}\n`;
}

export const classYaml = `---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
`;
