import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostLacks } from '../support/host-lacks.ts';
import type { OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { waitFor } from '../support/wait-for.ts';
import type { WeftProcess } from '../support/weft-process.ts';
import { get, learned, macOf, TestCluster, untilGot, web } from './cluster.ts';

/** Of each of two phases: before an address moves, and after. `WEFT_CHURN_SECONDS=30 vitest run test/node/churn.test.ts` is the long run. */
const PHASE_SECONDS = Number(process.env['WEFT_CHURN_SECONDS'] ?? 4);
const DEADLINE_MS = 300_000 + 6_000 * PHASE_SECONDS;
const CHANGES_PER_SECOND = 50;
const LB_CLIENTS = 4;
const LB_URL = 'http://192.0.2.100/';
const PODS = ['192.0.2.31', '192.0.2.32', '192.0.2.33', '192.0.2.34'];
const NODE_PORT = { http: 30_080, echo: 30_081, sink: 30_082 } as const;

const MODES = [
  { mode: 'nftables', tools: ['nft'], module: undefined },
  { mode: 'iptables', tools: ['iptables'], module: undefined },
  { mode: 'ipvs', tools: ['ipvsadm', 'ipset'], module: 'ip_vs' },
] as const;

/** What the writer did in `seconds`. */
interface Written {
  readonly changes: number;
  readonly refused: readonly string[];
  readonly seconds: number;
}

/** What a UDP client asked, and what it streamed beside. */
interface Heard {
  readonly asked: number;
  readonly repeated: number;
  readonly lost: number;
  readonly sent: number;
}

/** A program that works until it is told to end, and then says what it did. */
class Load {
  readonly #child: ChildProcess;
  readonly #text: Promise<string>;

  constructor(host: OwnNetwork, program: string, ...args: readonly (string | number)[]) {
    this.#child = host.start(program, args.map(String));
    let text = '';
    this.#child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    this.#child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    this.#text = new Promise((resolve) => this.#child.on('close', () => resolve(text)));
  }

  static script(host: OwnNetwork, name: string, ...args: readonly (string | number)[]): Load {
    return new Load(host, process.execPath, join(ROOT, 'test/node/support', name), ...args);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
    this.#child.kill(signal);
    return await this.#text;
  }

  async report<T>(): Promise<T> {
    const text = await this.end();
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new Error(`no report in: ${text}`, { cause });
    }
  }
}

/** wrk and UDP through the node ports of one node. */
class NodeLoad {
  readonly #wrk: Load;
  readonly #udp: Load;

  constructor(client: OwnNetwork, address: string) {
    const paced = join(ROOT, 'test/node/support/paced.lua');
    const load = ['-t', 1, '-c', 8, '-d', '1h', '--timeout', '20s', '-H', 'Connection: close', '-s', paced];
    this.#wrk = new Load(client, 'wrk', ...load, `http://${address}:${NODE_PORT.http}/`);
    this.#udp = Load.script(client, 'udp-client.ts', address, NODE_PORT.echo, NODE_PORT.sink);
  }

  /** Ends it; nothing may have failed. Resolves with the datagrams streamed and a line of figures. */
  async end(): Promise<{ readonly sent: number; readonly figures: string }> {
    const wrk = await this.#wrk.end('SIGINT');
    expect(wrk).toMatch(/\d+ requests in/);
    expect(wrk).not.toMatch(/Socket errors|Non-2xx/);
    const { asked, repeated, lost, sent } = await this.#udp.report<Heard>();
    expect(asked).toBeGreaterThan(0);
    expect(lost).toBe(0);
    return {
      sent,
      figures: `${/\d+ requests in \S+/.exec(wrk)?.[0]}, ${asked} questions, ${repeated} repeated, ${sent} streamed`,
    };
  }
}

/** Services over the same four servers: node ports for TCP and UDP, and an address of the pool. */
function services(): readonly unknown[] {
  const port = (name: string, number: number, nodePort: number, protocol = 'TCP') => ({
    name,
    port: number,
    targetPort: number,
    nodePort,
    protocol,
  });
  const udp = [port('echo', 8081, NODE_PORT.echo, 'UDP'), port('sink', 8082, NODE_PORT.sink, 'UDP')];
  const [udpService, udpSlice] = web('udp', '10.96.7.8', PODS, { type: 'NodePort', ports: udp });
  const slicePorts = udp.map(({ name, targetPort, protocol }) => ({ name, port: targetPort, protocol }));
  return [
    ...web('web', '10.96.7.7', PODS, { type: 'NodePort', ports: [port('http', 80, NODE_PORT.http)] }),
    udpService,
    { ...(udpSlice as object), ports: slicePorts },
    ...web('lb', '10.96.7.9', PODS, { type: 'LoadBalancer' }),
  ];
}

/** Counts datagrams to the sink before a busy process could lose them. */
function countSink(pods: OwnNetwork): () => number {
  const rules = `add table ip sink
    add chain ip sink input { type filter hook input priority 0; }
    add rule ip sink input udp dport 8082 counter`;
  expect(pods.run('nft', ['-f', '-'], { input: rules }).status).toBe(0);
  const counted = /packets (\d+)/;
  return () => Number(counted.exec(pods.run('nft', ['list', 'table', 'ip', 'sink']).stdout)?.[1]);
}

/** What a mode needs of the kernel. */
function kernelLacks({ mode, module }: (typeof MODES)[number], host: OwnNetwork): string | undefined {
  if (module !== undefined && host.run('ipvsadm', ['-Ln']).status !== 0)
    return `mode ${mode} needs ${module}, which this kernel lacks`;
  return undefined;
}

test.for(MODES)(
  'mode $mode: endpoints come and go, a daemon is killed, an address moves: no connection fails',
  { timeout: DEADLINE_MS },
  async (row, context) => {
    const reason = hostLacks('ip', 'curl', 'nft', 'wrk', ...row.tools);
    if (reason !== undefined) context.skip(reason);
    const pool = ['--lb-pool', '192.0.2.100-192.0.2.100'];
    await using cluster = await TestCluster.open(`nd-churn-${row.mode.slice(0, 2)}`, ...pool);
    const without = kernelLacks(row, cluster.server);
    if (without !== undefined) context.skip(without);
    const hosts = { alpha: cluster.host('alpha', 11), beta: cluster.host('beta', 12) };
    const addresses = { alpha: '192.0.2.11', beta: '192.0.2.12' };
    const client = cluster.host('client', 20);
    const pods = cluster.lan.host('pods', ...PODS.map((address) => `${address}/24`));
    const sunk = countSink(pods);
    const servers = Load.script(pods, 'churn-servers.ts', ...PODS);
    const start = (name: 'alpha' | 'beta'): WeftProcess => {
      const how = ['--proxy-mode', row.mode, '--announce-interface', 'eth0'];
      const pace = ['iptables', 'ipvs'].map((mode) => [`--${mode}-min-sync-period`, '10ms']).flat();
      return cluster.startNode(hosts[name], name, ...how, ...pace);
    };
    await using a = start('alpha');
    await using b = start('beta');
    await Promise.all([a.ready(DEADLINE_MS), b.ready(DEADLINE_MS)]);
    cluster.apply(...services());
    const urls = Object.values(addresses).map((address) => `http://${address}:${NODE_PORT.http}/`);
    for (const url of [...urls, LB_URL]) await waitFor(url, () => PODS.includes(get(client, url)), 60_000);
    const holder = learned(client, '192.0.2.100') === macOf(hosts.alpha) ? 'alpha' : 'beta';
    const heir = holder === 'alpha' ? 'beta' : 'alpha';
    const phase = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, PHASE_SECONDS * 1_000));

    const slices = 'web-1,udp-1,lb-1';
    const writer = Load.script(
      cluster.server,
      'churn-writer.ts',
      cluster.kubeconfig,
      slices,
      CHANGES_PER_SECOND,
      ...PODS,
    );
    const lb = Load.script(client, 'http-client.ts', LB_URL, LB_CLIENTS);
    const throughHeir = new NodeLoad(client, addresses[heir]);
    const throughHolder = new NodeLoad(client, addresses[holder]);
    await phase();
    // the kernel serves on, what the new daemon finds is repaired in one sync
    await (heir === 'alpha' ? a : b).stop('SIGKILL');
    await using again = start(heir);
    await again.ready(DEADLINE_MS);
    const first = await throughHolder.end();
    // the host dies with all that is on it
    await (holder === 'alpha' ? a : b).stop('SIGKILL');
    hosts[holder].run('ip', ['link', 'set', 'eth0', 'down']);
    await untilGot(client, LB_URL, PODS[0] ?? '');
    await phase();
    const second = await throughHeir.end();
    const { changes, refused, seconds } = await writer.report<Written>();
    const { asked, failed } = await lb.report<{ asked: number; failed: readonly string[] }>();

    await context.annotate(
      [
        `${changes} changes in ${seconds.toFixed(1)} s (${(changes / seconds).toFixed(1)} a second), refused: ${refused.join(', ') || 'none'}`,
        `holder: ${first.figures}`,
        `heir: ${second.figures}`,
        `load balancer: ${asked} asked, ${failed.length} cut by the move (${failed.join(', ')})`,
      ].join('; '),
    );
    expect(changes).toBeGreaterThan(seconds); // a loaded machine may not manage them all
    expect(learned(client, '192.0.2.100')).toBe(macOf(hosts[heir]));
    expect(asked).toBeGreaterThan(LB_CLIENTS);
    // what is open when the address moves is cut: no other host knows the connection. On a starved machine a lease may
    // lapse, and the address move, more than once
    const moves = [a, b, again].flatMap(({ output }) => output.match(/address announced/g) ?? []).length;
    expect(failed.length).toBeLessThanOrEqual(LB_CLIENTS * moves);
    expect(sunk()).toBe(first.sent + second.sent);
    expect(await servers.end()).toBe(''); // they served to the end
  },
);
