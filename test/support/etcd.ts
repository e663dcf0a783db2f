import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OwnNetwork } from './own-network.ts';
import { waitFor } from './wait-for.ts';

export function etcdInstalled(): boolean {
  return spawnSync('etcd', ['--version']).status === 0;
}

/** PEM files. */
interface EtcdTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Where a member runs: a host of its own with this address. */
export interface EtcdHost {
  readonly network: OwnNetwork;
  readonly address: string;
}

/** A real etcd cluster on loopback ports, or on hosts of their own; its data in a folder of its own. */
export class EtcdCluster implements AsyncDisposable {
  readonly endpoints: readonly string[];
  readonly #peers: readonly string[];
  readonly #folder = mkdtempSync(join(tmpdir(), 'weft-etcd-'));
  readonly #children: (ChildProcess | undefined)[] = [];
  readonly #tls: EtcdTls | undefined;
  readonly #hosts: readonly EtcdHost[];

  private constructor(options: {
    readonly endpoints: readonly string[];
    readonly peers: readonly string[];
    readonly tls?: EtcdTls | undefined;
    readonly hosts?: readonly EtcdHost[];
  }) {
    this.endpoints = options.endpoints;
    this.#peers = options.peers;
    this.#tls = options.tls;
    this.#hosts = options.hosts ?? [];
  }

  /** A member on each host, so that networks can be cut between them. */
  static async startOn(hosts: readonly EtcdHost[]): Promise<EtcdCluster> {
    const at = (port: number): string[] => hosts.map(({ address }) => `http://${address}:${port}`);
    const cluster = new EtcdCluster({ endpoints: at(2379), peers: at(2380), hosts });
    for (const member of hosts.keys()) cluster.startMember(member);
    await Promise.all(cluster.endpoints.map((_, member) => cluster.healthy(member)));
    return cluster;
  }

  /** @param tls clients must show a certificate; nobody waits then until the members are healthy */
  static async start(memberCount: number, tls?: EtcdTls): Promise<EtcdCluster> {
    const ports = await freePorts(memberCount * 2);
    const endpoints = ports
      .slice(0, memberCount)
      .map((port) => `${tls ? 'https' : 'http'}://127.0.0.1:${port}`);
    const peers = ports.slice(memberCount).map((port) => `http://127.0.0.1:${port}`);
    const cluster = new EtcdCluster({ endpoints, peers, tls });
    for (let member = 0; member < memberCount; member++) cluster.startMember(member);
    if (tls) return cluster;
    await Promise.all(cluster.endpoints.map((_, member) => cluster.healthy(member)));
    return cluster;
  }

  /** Starts a member, or starts it again on what it had. */
  startMember(member: number): void {
    const initial = this.#peers.map((peer, i) => `m${i}=${peer}`).join(',');
    const args = [
      ['--name', `m${member}`],
      ['--data-dir', join(this.#folder, `m${member}`)],
      ['--listen-client-urls', this.endpoints[member]!],
      ['--advertise-client-urls', this.endpoints[member]!],
      ['--listen-peer-urls', this.#peers[member]!],
      ['--initial-advertise-peer-urls', this.#peers[member]!],
      ['--initial-cluster', initial],
      ['--heartbeat-interval', '50'],
      ['--election-timeout', '500'],
      ['--experimental-watch-progress-notify-interval', '500ms'],
      ['--log-level', 'error'],
      ...(this.#tls
        ? [
            ['--client-cert-auth', '--trusted-ca-file', this.#tls.ca],
            ['--cert-file', this.#tls.cert, '--key-file', this.#tls.key],
          ]
        : []),
    ].flat();
    const network = this.#hosts[member]?.network;
    const command = network ? ['ip', 'netns', 'exec', network.name, 'etcd'] : ['etcd'];
    this.#children[member] = spawn(command[0]!, [...command.slice(1), ...args], { stdio: 'ignore' });
  }

  async healthy(member: number): Promise<void> {
    const network = this.#hosts[member]?.network;
    const health = async (): Promise<boolean> => {
      if (network) {
        const { stdout } = network.run('curl', ['-s', '-m', '2', `${this.endpoints[member]!}/health`]);
        return stdout.includes('"true"');
      }
      const response = await fetch(`${this.endpoints[member]!}/health`);
      return ((await response.json()) as { health: string }).health === 'true';
    };
    await waitFor(`etcd member ${member}`, health);
  }

  /** SIGKILL, SIGSTOP or SIGCONT. */
  signal(member: number, signal: NodeJS.Signals): void {
    this.#children[member]?.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (!child || child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#folder, { recursive: true });
  }
}

/** Ports nobody listens on now; all are held while the last is found, so they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
