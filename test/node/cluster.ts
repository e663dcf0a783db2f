import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OwnNetwork } from '../support/own-network.ts';
import { Lan } from '../support/lan.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';

const API = '192.0.2.10:6443';

/** Hosts 192.0.2.0/24 on one link, the first of them with a `weft server`. */
export class TestCluster implements AsyncDisposable {
  readonly lan: Lan;
  readonly server: OwnNetwork;
  readonly folder: string;
  readonly #args: readonly string[];
  #process: WeftProcess;

  private constructor(purpose: string, args: readonly string[]) {
    this.lan = new Lan(purpose);
    this.server = this.lan.host('server', '192.0.2.10/24', 'fd00::10/64');
    this.folder = mkdtempSync(join(tmpdir(), 'weft-node-'));
    this.#args = args;
    this.#process = this.#start();
  }

  static async open(purpose: string, ...args: readonly string[]): Promise<TestCluster> {
    const cluster = new TestCluster(purpose, args);
    try {
      await cluster.#process.ready();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  get kubeconfig(): string {
    return join(this.folder, 'kubeconfig');
  }

  host(name: string, last: number): OwnNetwork {
    return this.lan.host(name, `192.0.2.${last}/24`, `fd00::${last}/64`);
  }

  /** A `weft node` on this host, with what it writes kept in a folder of its name. */
  startNode(host: OwnNetwork, name: string, ...flags: readonly string[]): WeftProcess {
    const own = ['--hostname-override', name, '--data-dir', join(this.folder, name)];
    const args = ['node', '--kubeconfig', this.kubeconfig, ...own, ...flags];
    return new WeftProcess(host, args, { ...process.env, WEFT_LOG_LEVEL: 'info' });
  }

  async killServer(): Promise<void> {
    await this.#process.stop('SIGKILL');
  }

  async restartServer(): Promise<void> {
    this.#process = this.#start();
    await this.#process.ready();
  }

  /** Applies objects as a user would; returns what was printed. */
  apply(...objects: readonly unknown[]): string {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    return this.weft(['apply', '-f', '-'], input);
  }

  weft(args: readonly string[], input = ''): string {
    const program = new URL('../../bin/weft', import.meta.url).pathname;
    const { status, stdout, stderr } = this.server.run(program, [...args, '--kubeconfig', this.kubeconfig], {
      input,
    });
    if (status !== 0) throw new Error(`weft ${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    this.lan[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #start(): WeftProcess {
    const where = ['--data-dir', join(this.folder, 'server'), '--api-listen', API];
    return new WeftProcess(this.server, [
      'server',
      ...where,
      '--kubeconfig-out',
      this.kubeconfig,
      ...this.#args,
    ]);
  }
}

/** An HTTP server that answers with its own name. */
export function startWeb(host: OwnNetwork, address: string, name: string): void {
  const code = `require('http').createServer((q, s) => s.end('${name}')).listen(8080, '${address}')`;
  host.start(process.execPath, ['-e', code]);
}

/** A Service and its slice over given addresses, port 80 to 8080. */
export function web(
  name: string,
  clusterIP: string,
  addresses: readonly string[],
  spec: Readonly<Record<string, unknown>> = {},
): readonly unknown[] {
  const metadata = { name, namespace: 'default' };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { clusterIP, ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }], ...spec },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    },
  ];
}

/** What curl got, or its exit code in brackets. */
export function get(host: OwnNetwork, url: string): string {
  const { status, stdout } = host.run('curl', ['-s', '-g', '-m', '3', url]);
  return status === 0 ? stdout : `(${status})`;
}

export async function untilGot(host: OwnNetwork, url: string, wanted: string): Promise<void> {
  await waitFor(`${wanted} from ${url}`, () => get(host, url) === wanted, 120_000);
}

/** The hardware address that a host has learned for an address; undefined when it knows none. */
export function learned(host: OwnNetwork, address: string): string | undefined {
  const { stdout } = host.run('ip', ['neigh', 'show', address]);
  return /lladdr (\S+)/.exec(stdout)?.[1];
}

/** The hardware address of a host's eth0. */
export function macOf(host: OwnNetwork): string {
  return /link\/ether (\S+)/.exec(host.run('ip', ['link', 'show', 'eth0']).stdout)?.[1] ?? '';
}
