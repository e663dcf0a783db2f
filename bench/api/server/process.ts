import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

const ROOT = new URL('../../../', import.meta.url).pathname;

interface Kubeconfig {
  readonly clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  readonly users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

/** A `weft server` on a SQLite file, as an operator starts it. */
export class ServerProcess implements AsyncDisposable {
  readonly folder: string;
  readonly #weft: string;
  #child: ChildProcess | undefined;
  #output = '';
  url = '';
  #tls: { ca: Buffer; cert: Buffer; key: Buffer } | undefined;

  /** @param weft the launcher; absent = this checkout's */
  constructor(weft = `${ROOT}bin/weft`, folder = tmpdir()) {
    this.#weft = weft;
    this.folder = mkdtempSync(join(folder, 'weft-bench-'));
  }

  /** Starts it and resolves with the ms until it said `ready`. */
  async start(): Promise<number> {
    const startAt = performance.now();
    this.#output = '';
    const kubeconfig = join(this.folder, 'admin.conf');
    const child = spawn(
      this.#weft,
      ['server', '--data-dir', this.folder, '--api-listen', '127.0.0.1:0', '--kubeconfig-out', kubeconfig],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`weft server ended with ${code}:\n${this.#output}`)));
      child.stdout.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
        if (/^ready$/m.test(this.#output)) resolve();
      });
    });
    const tookMs = performance.now() - startAt;
    const config = parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig;
    const cluster = config.clusters[0]?.cluster;
    const user = config.users[0]?.user;
    if (!cluster || !user) throw new Error('the kubeconfig names no cluster');
    this.url = cluster.server;
    this.#tls = {
      ca: Buffer.from(cluster['certificate-authority-data'], 'base64'),
      cert: Buffer.from(user['client-certificate-data'], 'base64'),
      key: Buffer.from(user['client-key-data'], 'base64'),
    };
    return tookMs;
  }

  get ca(): Buffer {
    if (!this.#tls) throw new Error('not started');
    return this.#tls.ca;
  }

  /** The CA's certificate, for programs that read it from a file. */
  caFile(): string {
    const path = join(this.folder, 'bench-ca.pem');
    writeFileSync(path, this.ca);
    return path;
  }

  /** One request as the administrator; fails unless the reply is 2xx. */
  call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const sent = request(`${this.url}${path}`, { method, headers, ...this.#tls }, (reply) => {
        const chunks: Buffer[] = [];
        reply.on('data', (chunk: Buffer) => chunks.push(chunk));
        reply.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if ((reply.statusCode ?? 500) >= 300) reject(new Error(`${method} ${path}: ${text}`));
          else resolve(JSON.parse(text) as Record<string, unknown>);
        });
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Bytes received and how long that took; nothing of the reply is kept. */
  download(path: string): Promise<{ bytes: number; ms: number }> {
    return new Promise((resolve, reject) => {
      const startAt = performance.now();
      const sent = request(`${this.url}${path}`, { ...this.#tls }, (reply) => {
        let bytes = 0;
        reply.on('data', (chunk: Buffer) => (bytes += chunk.length));
        reply.on('end', () => resolve({ bytes, ms: performance.now() - startAt }));
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  /** A token that may do everything, for load generators that have no client certificates. */
  async token(name = 'bench'): Promise<string> {
    const base = '/api/v1/namespaces/default/serviceaccounts';
    await this.call('POST', base, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
    await this.call('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
    });
    const reply = await this.call('POST', `${base}/${name}/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 7200 },
    });
    return (reply['status'] as { token: string }).token;
  }

  /** Memory now and at its highest since the last reset, MiB. */
  memoryMiB(): { now: number; peak: number } {
    const text = readFileSync(`/proc/${this.#pid}/status`, 'utf8');
    const value = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1]) / 1024;
    return { now: value('VmRSS'), peak: value('VmHWM') };
  }

  /** CPU time of the process so far, ms. */
  cpuMs(): number {
    const fields = readFileSync(`/proc/${this.#pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  get #pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('not started');
    return pid;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
