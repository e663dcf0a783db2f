/**
 * The API server as its users meet it: `weft server` on SQLite, driven over TLS by h2load.
 * Usage: node bench/api/server.ts [--weft LAUNCHER] [--folder DIR] [--only PART,...] [--pods N] [--services N]
 *   [--floods KIND,...]
 * Parts: start, writes, reads, fanout, fairness, size. Prints a table with what the project set itself as target.
 * Rates depend on the machine and on what else runs on it; the CPU column does less so.
 */
import { parseArgs } from 'node:util';
import { etcdInstalled } from '../../test/support/etcd.ts';
import { calmP99Ms, flood, type Flood } from './server/calm.ts';
import { EtcdProcess, putMessage } from './server/etcd.ts';
import { drive, type LoadResult } from './server/load.ts';
import { ServerProcess } from './server/process.ts';
import { fanOut } from './server/watchers.ts';

const { values: flags } = parseArgs({
  options: {
    weft: { type: 'string' },
    folder: { type: 'string' },
    only: { type: 'string', default: 'start,writes,reads,fanout,fairness,size' },
    pods: { type: 'string', default: '100000' },
    services: { type: 'string', default: '10000' },
    floods: { type: 'string', default: 'lists,creates,watches,events,connections' },
  },
});
const parts = new Set(flags.only.split(','));
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const WATCHED = '/api/v1/namespaces/bench-watch/configmaps';
const PODS = '/api/v1/namespaces/bench-pods/pods';
const SERVICES = '/api/v1/namespaces/bench-pods/services';

const rows: (readonly [what: string, measured: string, target: string])[] = [];
const row = (what: string, measured: string, target: string): void => {
  rows.push([what, measured, target]);
  process.stdout.write(`${what.padEnd(44)} ${measured.padEnd(46)} ${target}\n`);
};
const whole = (value: number): string => Math.round(value).toLocaleString('en');

function pod(name: object): unknown {
  const probe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 10 };
  const env = Array.from({ length: 8 }, (_, i) => ({ name: `SETTING_${i}`, value: `value of setting ${i}` }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...name, labels: { app: 'web', tier: 'front', release: 'bench' } },
    spec: {
      // Nobody places them: what is measured is holding them.
      schedulerName: 'none',
      containers: [
        {
          name: 'web',
          image: 'registry.example/web:1.2.3',
          ports: [{ containerPort: 8080, name: 'http' }],
          env,
          readinessProbe: probe,
          livenessProbe: probe,
          resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
        },
      ],
    },
  };
}

async function measureStart(server: ServerProcess, readyMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const { now } = server.memoryMiB();
  row('empty server', `ready in ${whole(readyMs)} ms, ${whole(now)} MiB`, '<= 800 ms, <= 110 MiB');
}

async function measureWrites(server: ServerProcess, token: string): Promise<void> {
  const body = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { generateName: 'bench-' },
    data: { filler: 'x'.repeat(1_700) },
  };
  await drive(server, { path: CONFIG_MAPS, token, clients: 64, body, requests: 5_000 });
  const made = await drive(server, { path: CONFIG_MAPS, token, clients: 64, body, requests: 30_000 });
  row('durable creates of 2 KB, 64 clients, TLS', writesText(made), '>= 4,000/s, p99 <= 40 ms');
  if (!etcdInstalled()) return;
  // What those objects are in the store, as bytes: without validation, defaults, owners of fields, watches.
  await using etcd = await EtcdProcess.start(server.folder);
  const put = { path: '/etcdserverpb.KV/Put', clients: 64, body: putMessage('/registry/bench', 2_048) };
  await drive(etcd, { ...put, requests: 5_000 });
  const stored = await drive(etcd, { ...put, requests: 30_000 });
  row('etcd on the same disk: puts of 2 KB, gRPC, TLS', writesText(stored), '');
}

const writesText = (result: LoadResult): string =>
  `${whole(result.perSecond)}/s, p50 ${result.p50Ms.toFixed(1)}, p99 ${result.p99Ms.toFixed(1)} ms, ${whole(result.cpuMicros)} us CPU, ${result.failed} failed`;

async function measureReads(server: ServerProcess, token: string): Promise<void> {
  const base = '/api/v1/namespaces/bench-reads';
  await server.call('POST', '/api/v1/namespaces', { metadata: { name: 'bench-reads' } });
  await drive(server, {
    path: `${base}/pods`,
    token,
    clients: 16,
    body: pod({ generateName: 'web-' }),
    requests: 499,
  });
  await server.call('POST', `${base}/pods`, pod({ name: 'one' }));
  const got = await drive(server, { path: `${base}/pods/one`, token, clients: 16, requests: 40_000 });
  row(
    'GET of a pod',
    `${whole(got.perSecond)}/s, p99 ${got.p99Ms.toFixed(1)} ms, ${whole(got.cpuMicros)} us CPU, ${got.failed} failed`,
    '>= 9,000/s on one core',
  );
  const listed = await drive(server, { path: `${base}/pods`, token, clients: 4, requests: 1_500 });
  row(
    'list of 500 pods',
    `${whole(listed.perSecond)}/s, p99 ${listed.p99Ms.toFixed(1)} ms, ${whole(listed.cpuMicros)} us CPU, ${listed.failed} failed`,
    '>= 300/s on one core',
  );
}

async function measureFanOut(server: ServerProcess, token: string): Promise<void> {
  await server.call('POST', '/api/v1/namespaces', { metadata: { name: 'bench-watch' } });
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'watched' }, data: {} };
  await server.call('POST', WATCHED, object);
  const [cpuMs, ownCpu] = [server.cpuMs(), process.cpuUsage()];
  const delays = await fanOut(server, { token, watchers: 1_000, changes: 20, path: WATCHED });
  const at = (share: number): string => (delays[Math.floor(delays.length * share)] ?? 0).toFixed(1);
  const serverMicros = ((server.cpuMs() - cpuMs) * 1000) / delays.length;
  const { user, system } = process.cpuUsage(ownCpu);
  const measured = `p50 ${at(0.5)}, p99 ${at(0.99)} ms from the request; CPU an event: ${whole(serverMicros)} us, of the watchers' process ${whole((user + system) / delays.length)}`;
  row('one change to 1,000 watchers', measured, 'p99 <= 50 ms');
}

async function measureFairness(server: ServerProcess, token: string): Promise<void> {
  const base = '/api/v1/namespaces/bench-calm';
  await server.call('POST', '/api/v1/namespaces', { metadata: { name: 'bench-calm' } });
  const body = pod({ generateName: 'web-' });
  await drive(server, { path: `${base}/pods`, token, clients: 16, body, requests: 500 });
  await server.call('POST', `${base}/configmaps`, { metadata: { name: 'one' } });
  const calm = {
    token: await server.token('calm'),
    object: `${base}/configmaps/one`,
    collection: `${base}/configmaps`,
  };
  await calmP99Ms(server, calm); // warms up
  for (const kind of flags.floods.split(',') as Flood[]) {
    const aloneMs = await calmP99Ms(server, calm);
    let besideMs: number;
    {
      await using _flood = flood(server, kind, token, `${base}/pods`);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      besideMs = await calmP99Ms(server, calm);
    }
    await settled(server);
    const measured = `p99 ${besideMs.toFixed(1)} ms, alone ${aloneMs.toFixed(1)}: ${(besideMs / aloneMs).toFixed(1)} x`;
    row(`a calm client beside a flood of ${kind}`, measured, '< 2 x');
  }
}

/** Waits until the server has had nothing to do for a while. */
async function settled(server: ServerProcess): Promise<void> {
  for (let quiet = 0, before = server.cpuMs(); quiet < 5; before = server.cpuMs()) {
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    quiet = server.cpuMs() - before < 200 ? quiet + 1 : 0;
  }
}

async function measureSize(server: ServerProcess, token: string): Promise<void> {
  const [podCount, serviceCount] = [Number(flags.pods), Number(flags.services)];
  await server.call('POST', '/api/v1/namespaces', { metadata: { name: 'bench-pods' } });
  const body = pod({ generateName: 'web-' });
  const pods = await drive(server, { path: PODS, token, clients: 64, body, requests: podCount });
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { generateName: 'svc-' },
    spec: { selector: { app: 'nobody' }, ports: [{ port: 80, targetPort: 'http' }] },
  };
  await drive(server, { path: SERVICES, token, clients: 64, body: service, requests: serviceCount });
  await settled(server);
  const held = server.memoryMiB();
  row(
    `${whole(podCount)} pods, ${whole(serviceCount)} services held`,
    `${whole(held.now)} MiB (${whole(pods.perSecond)} pods/s made, ${pods.failed} failed)`,
    '<= 900 MiB',
  );
  const listed = await server.download(PODS);
  const peak = server.memoryMiB();
  row(
    `list of ${whole(podCount)} pods`,
    `${whole(listed.bytes / 2 ** 20)} MiB in ${whole(listed.ms)} ms, ${whole(peak.now)} MiB after, peak ${whole(peak.peak)}`,
    'not twice the memory',
  );
  await server.stop('SIGKILL');
  const readyMs = await server.start();
  const started = `ready in ${whole(readyMs)} ms, ${whole(server.cpuMs())} ms CPU`;
  row('restart after SIGKILL with all of it', started, '<= 8,000 ms');
  // the controllers begin when the lease of the killed server has ended
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  await settled(server);
  row('after the restart, controllers included', `${whole(server.memoryMiB().now)} MiB`, '<= 900 MiB');
}

await using server = new ServerProcess(flags.weft, flags.folder);
const readyMs = await server.start();
if (parts.has('start')) await measureStart(server, readyMs);
const token = await server.token();
if (parts.has('writes')) await measureWrites(server, token);
if (parts.has('reads')) await measureReads(server, token);
if (parts.has('fanout')) await measureFanOut(server, token);
if (parts.has('fairness')) await measureFairness(server, token);
if (parts.has('size')) {
  // On a server of its own: what the parts before have made is no part of it.
  await using large = new ServerProcess(flags.weft, flags.folder);
  await large.start();
  await measureSize(large, await large.token());
}
