import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../support/source-files.ts';
import { waitFor } from '../support/wait-for.ts';

const POD = '127.244.88.1';
/** Of this process alone: others may run the same at the same time. */
const VIP = `127.96.${64 + (process.pid & 127)}.${1 + ((process.pid >> 7) % 250)}`;
const DNS = '127.0.88.1';
const INGRESS = '127.0.88.2';
const METRICS = '127.0.88.3';
const SERVICE_PORT = 4400;
const START_MS = 120_000;
/** Of an HTTP answer. */
export const BODY = 'x'.repeat(512);

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** DNS, ingress and userspace proxy as processes of their own on native engines, and what stands behind them. */
export class SoakWorld implements AsyncDisposable {
  readonly processes: readonly WeftCommand[];
  readonly dns: Address;
  readonly http: Address;
  readonly tcp: Address = { host: VIP, port: SERVICE_PORT };
  readonly #manifests: Manifests;
  readonly #servers: readonly { close(): unknown }[];

  private constructor(
    manifests: Manifests,
    servers: readonly { close(): unknown }[],
    [dns, ingress, proxy]: readonly [WeftCommand, WeftCommand, WeftCommand],
  ) {
    this.#manifests = manifests;
    this.#servers = servers;
    this.processes = [dns, ingress, proxy];
    this.dns = dns.listens(/^dns udp (.*):(\d+)$/m);
    this.http = ingress.listens(/^http (.*):(\d+)$/m);
  }

  static async open(): Promise<SoakWorld> {
    const echo = await listening(createServer({ noDelay: true }, echoing));
    const web = await listening(createHttpServer((_request, response) => response.end(BODY)));
    const pages = [await freePort(), await freePort(), await freePort()] as const;
    const udp = await echoingDatagrams();
    const servers = [echo, web, udp];
    const ports = { echo: portOf(echo), udp: udp.address().port, web: portOf(web), metrics: pages[0] };
    const manifests = new Manifests(ports);
    const from = ['--from', manifests.objects];
    const commands = [
      new WeftCommand('dns', ['dns', ...from, '--engine=native', '--conf', manifests.corefile], pages[0]),
      new WeftCommand(
        'ingress',
        [
          'ingress',
          ...from,
          '--engine=native',
          `--http=${INGRESS}:0`,
          '--https-port=0',
          `--healthz-host=${METRICS}`,
          `--healthz-port=${pages[1]}`,
        ],
        pages[1],
      ),
      new WeftCommand(
        'proxy',
        [
          'proxy',
          ...from,
          '--proxy-mode=userspace',
          '--engine=native',
          `--metrics-bind-address=${METRICS}:${pages[2]}`,
          '--healthz-bind-address=',
        ],
        pages[2],
      ),
    ] as const;
    try {
      for (const command of commands) await command.ready();
      return new SoakWorld(manifests, servers, commands);
    } catch (error) {
      for (const command of commands) command.kill();
      for (const server of servers) server.close();
      manifests[Symbol.dispose]();
      throw error;
    }
  }

  /** Other services come and go; those that are asked stay. */
  change(round: number): void {
    this.#manifests.write(round);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.processes) await each.stop();
    for (const server of this.#servers) server.close();
    this.#manifests[Symbol.dispose]();
  }
}

/** A weft command, its output and what it holds. */
export class WeftCommand {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #metricsPort: number;
  #output = '';

  constructor(name: string, args: readonly string[], metricsPort: number) {
    this.name = name;
    this.#metricsPort = metricsPort;
    this.#child = spawn(`${ROOT}bin/weft`, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get output(): string {
    return this.#output;
  }

  get residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }

  get descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** What `/metrics` says of a series, 0 when it is not there. */
  async counted(series: string): Promise<number> {
    const page = await fetch(`http://${METRICS}:${this.#metricsPort}/metrics`);
    const line = (await page.text()).split('\n').find((each) => each.startsWith(`${series} `));
    return Number(line?.slice(series.length) ?? 0);
  }

  async ready(): Promise<void> {
    await waitFor(`weft ${this.name}`, () => /^ready$/m.test(this.#output) || this.#ended(), START_MS);
    if (this.#ended()) throw new Error(`weft ${this.name} ended:\n${this.#output}`);
  }

  listens(line: RegExp): Address {
    const [, host, port] = line.exec(this.#output) ?? [];
    if (host === undefined) throw new Error(`weft ${this.name} said no address:\n${this.#output}`);
    return { host, port: Number(port) };
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    if (this.#ended()) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await gone;
  }

  #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

class Manifests implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'weft-soak-'));
  readonly #ports: { readonly echo: number; readonly udp: number; readonly web: number };
  readonly objects = join(this.#folder, 'objects.json');
  readonly corefile = join(this.#folder, 'Corefile');

  constructor(ports: {
    readonly echo: number;
    readonly udp: number;
    readonly web: number;
    readonly metrics: number;
  }) {
    this.#ports = ports;
    writeFileSync(
      this.corefile,
      `.:0 {\n  bind ${DNS}\n  kubernetes cluster.local\n  cache 30\n  prometheus ${METRICS}:${ports.metrics}\n}\n`,
    );
    this.write(0);
  }

  write(round: number): void {
    const { echo, udp, web } = this.#ports;
    const backend = { service: { name: 'web', port: { number: 80 } } };
    const others = Array.from({ length: 20 }, (_, i) =>
      service(`other-${round % 5}-${i}`, { clusterIP: `10.97.${round % 5}.${i + 1}`, ports: [{ port: 80 }] }),
    );
    const items = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
      service('echo', {
        clusterIP: VIP,
        ports: [
          { name: 'main', port: SERVICE_PORT },
          { name: 'udp', port: SERVICE_PORT, protocol: 'UDP' },
        ],
      }),
      slice('echo', echo, { name: 'udp', port: udp, protocol: 'UDP' }),
      service('web', { clusterIP: 'None', ports: [{ name: 'main', port: 80 }] }),
      slice('web', web),
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata: { name: 'web', namespace: 'shop' },
        spec: {
          rules: [{ host: 'soak.test', http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }],
        },
      },
      ...others,
    ];
    // whole or not at all: an empty file is a cluster without objects
    const next = `${this.objects}.next`;
    writeFileSync(next, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    renameSync(next, this.objects);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function service(name: string, spec: object): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec };
}

function slice(name: string, port: number, ...more: readonly object[]): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'main', port, protocol: 'TCP' }, ...more],
    endpoints: [{ addresses: [POD] }],
  };
}

function echoing(socket: Socket): void {
  socket.on('data', (chunk) => socket.write(chunk));
  socket.on('error', () => socket.destroy());
}

async function echoingDatagrams(): Promise<Datagrams> {
  const socket = createSocket('udp4', (bytes, { address, port }) => socket.send(bytes, port, address));
  await new Promise<void>((resolve) => socket.bind(0, POD, resolve));
  return socket;
}

async function listening(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, POD, resolve));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** One that nobody has at this moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, METRICS, resolve));
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
