/**
 * One row of bench/proxy/kernel.ts: prints it as JSON.
 * Run as root: node bench/proxy/kernel-row.ts MODE SERVICES ENDPOINTS CHANGES
 */
import { connect, createServer } from 'node:net';
import { Tracker } from '../../endpoints/tracker.ts';
import { NodeViewTracker } from '../../endpoints/node-view-tracker.ts';
import type { NodeSettings } from '../../endpoints/node-view.ts';
import type { ProxyMode } from '../../proxy/backend.ts';
import { openBackend, renderMode } from '../../proxy/backends.ts';
import { KERNEL_DEFAULT } from '../../proxy/config/kernel-options.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { exec } from '../../src/net/exec.ts';
import { openNetlink } from '../../src/net/netlink/socket.ts';
import { NetworkNamespace } from '../../test/support/network-namespace.ts';
import { benchService, benchSlice, clusterIPOf } from './kernel-objects.ts';
import { quantile } from '../quantiles.ts';

const BACKEND = '10.127.255.1';
const CONNECTIONS = 3_000;
/** Before the rules are there nobody answers. */
const TRY_MS = 50;
const PATIENCE_MS = 10_000;

const SETTINGS: NodeSettings = {
  name: 'node-1',
  zone: 'zone-1',
  family: 'IPv4',
  addresses: ['172.20.0.11'],
  primaryAddresses: ['172.20.0.11'],
  nodePortAddresses: [],
  detectLocal: { mode: 'ClusterCIDR', cidrs: ['10.0.0.0/9'] },
  masqueradeAll: false,
  localhostNodePorts: true,
  serviceCIDRs: ['10.128.0.0/10'],
  allowExternalIPs: false,
};

const [name = 'nftables', services = '10', endpoints = '4', changes = '200'] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await row(Number(services), Number(endpoints), Number(changes)))}\n`);

async function row(count: number, each: number, changeCount: number): Promise<Record<string, unknown>> {
  using node = new NetworkNamespace();
  node.ip([
    'link set lo up',
    `addr add 172.20.0.11/32 dev lo`,
    `addr add ${BACKEND}/32 dev lo`,
    'route add default dev lo',
  ]);
  using _inside = node.enter();
  const mode = (name.startsWith('iptables') ? 'iptables' : name) as ProxyMode;
  const kernel = {
    ...KERNEL_DEFAULT,
    iptablesVariant: name === 'iptables-nft' ? ('nft' as const) : ('legacy' as const),
  };
  const tracker = filled(count, each);
  const views = new NodeViewTracker(tracker, SETTINGS);
  const { view } = views.refresh();
  const compileFrom = performance.now();
  renderMode(mode, view, { family: 'IPv4', kernel });
  const compileMs = performance.now() - compileFrom;
  const deps = { clock: systemClock, log: silentLogger, exec, openNetlink };
  const backend = await openBackend(mode, deps, { family: 'IPv4', kernel });
  const signal = AbortSignal.timeout(1_200_000);
  const server = createServer((socket) => socket.on('error', () => {}).destroy());
  await new Promise<void>((resolve) => server.listen(8080, BACKEND, resolve));
  const syncFrom = performance.now();
  const firstAnswer = untilAnswered(clusterIPOf(0)).then(() => performance.now() - syncFrom);
  await backend.apply(view, { complete: false, ports: new Set() }, new Map(), signal);
  const firstSyncMs = performance.now() - syncFrom;
  const firstServiceMs = await firstAnswer;
  const times: number[] = [];
  for (let n = 0; n < changeCount; n++) {
    // the first and the last service answer the connections
    const round = Math.floor(n / (count - 2));
    tracker.upsert(benchSlice(1 + ((n * 37) % (count - 2)), each, 1 + (round & 1)));
    tracker.flush();
    const from = performance.now();
    const delta = views.refresh();
    await backend.apply(delta.view, delta.changes, delta.previous, signal);
    times.push(performance.now() - from);
  }
  const rssMib = Math.round(process.memoryUsage().rss / 1_048_576);
  const from = performance.now();
  for (let i = 0; i < CONNECTIONS; i++) await dial(clusterIPOf(count - 1), PATIENCE_MS);
  const connectionUs = ((performance.now() - from) / CONNECTIONS) * 1000;
  await backend.cleanup(signal);
  server.close();
  return {
    mode: name,
    services: count,
    endpointsEach: each,
    compileMs: Math.round(compileMs),
    firstServiceMs: Math.round(firstServiceMs),
    firstSyncMs: Math.round(firstSyncMs),
    changeP50Ms: tenth(quantile(times, 0.5)),
    changeP99Ms: tenth(quantile(times, 0.99)),
    rssMib,
    connectionUs: Math.round(connectionUs),
  };
}

function filled(count: number, each: number): Tracker {
  const tracker = new Tracker({ log: silentLogger });
  for (let i = 0; i < count; i++) {
    tracker.upsert(benchService(i));
    const answers = i === 0 || i === count - 1;
    tracker.upsert(benchSlice(i, each, 0, answers ? BACKEND : undefined));
  }
  tracker.flush();
  return tracker;
}

async function untilAnswered(address: string): Promise<void> {
  while (
    !(await dial(address, TRY_MS).then(
      () => true,
      () => false,
    ))
  ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** One connection that the server closes at once. */
function dial(address: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: 80 });
    let connected = false;
    socket.on('connect', () => (connected = true));
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer')));
    socket.on('error', () => {});
    socket.on('close', () => (connected ? resolve() : reject(new Error('not connected'))));
    socket.resume();
  });
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
