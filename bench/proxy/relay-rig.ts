/** What the benchmarks of the userspace proxy share: processes, manifests, turns. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ready } from '../processes.ts';
import { median } from '../quantiles.ts';

const VIPS = { native: '127.96.99.1', portable: '127.96.99.2' } as const;

/** Who passes bytes on, and where clients meet it. */
export interface Target {
  readonly name: string;
  readonly pid: number;
  readonly address: string;
  readonly port: number;
}

export interface Backing {
  readonly protocol: 'TCP' | 'UDP';
  /** The endpoint. */
  readonly address: string;
  readonly port: number;
  readonly servicePort: number;
}

export function script(name: string): string {
  return new URL(`./${name}`, import.meta.url).pathname;
}

/** Processes of one run, and a folder for their files. */
export class Rig implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  readonly #children: ChildProcess[] = [];

  start(program: string, args: readonly string[]): ChildProcess {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    return child;
  }

  file(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** haproxy in mode tcp before one endpoint, on one thread. */
  haproxy(
    listen: { readonly address: string; readonly port: number },
    backing: Pick<Backing, 'address' | 'port'>,
  ): Target {
    const config = `global
  nbthread 1
  maxconn 4096
defaults
  mode tcp
  timeout connect 1s
  timeout client 60s
  timeout server 60s
listen web
  bind ${listen.address}:${listen.port}
  server a ${backing.address}:${backing.port}
`;
    const child = this.start('haproxy', ['-db', '-f', this.file('haproxy.cfg', config)]);
    return { name: 'haproxy', pid: child.pid ?? 0, ...listen };
  }

  /** `weft proxy` before one endpoint. */
  async weft(engine: keyof typeof VIPS, backing: Backing): Promise<Target> {
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    const vip = VIPS[engine];
    const from = this.file(`${vip}.json`, manifest(vip, backing));
    const flags = ['--proxy-mode=userspace', '--engine', engine, '--healthz-bind-address='];
    const child = this.start(process.execPath, [
      main,
      'proxy',
      '--from',
      from,
      '--metrics-bind-address=',
      ...flags,
    ]);
    await ready(child);
    return { name: engine, pid: child.pid ?? 0, address: vip, port: backing.servicePort };
  }

  /** Runs a script of this folder to its end and parses what it prints. */
  async run(name: string, args: readonly (string | number)[]): Promise<unknown> {
    const child = this.start(process.execPath, [script(name), ...args.map(String)]);
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await new Promise((resolve) => child.on('exit', resolve));
    return JSON.parse(text);
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true });
  }
}

/** Each target in turns, round after round; the median of each. Once unmeasured: the compiler of V8 has to see it. */
export async function compare(
  targets: readonly Target[],
  rounds: number,
  measure: (target: Target) => Promise<number>,
): Promise<readonly number[]> {
  const taken = targets.map((): number[] => []);
  for (const target of targets) await measure(target);
  for (let round = 0; round < rounds; round++)
    for (const [i, target] of targets.entries()) taken[i]?.push(await measure(target));
  return taken.map(median);
}

function manifest(vip: string, { protocol, address, port, servicePort }: Backing): string {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { clusterIP: vip, ports: [{ name: 'main', port: servicePort, protocol }] },
  };
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'main', port, protocol }],
    endpoints: [{ addresses: [address] }],
  };
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [service, slice] });
}
