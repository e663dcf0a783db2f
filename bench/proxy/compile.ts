/**
 * How long the model takes: objects to Snapshot, Snapshot to node view, and one changed slice.
 * Run: node bench/proxy/compile.ts [services] [endpoints]
 */
import { NodeViewTracker } from '../../endpoints/node-view-tracker.ts';
import type { NodeSettings } from '../../endpoints/node-view.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import { silentLogger } from '../../src/base/log.ts';
import { quantile } from '../quantiles.ts';
import { benchService, benchSlice } from './kernel-objects.ts';

const COMPILE_LIMIT_MS = 1_000;
const CHANGE_LIMIT_MS = 1;
const CHANGES = 2_000;

const serviceCount = Number(process.argv[2] ?? 10_000);
const endpointCount = Number(process.argv[3] ?? 10);

const node: NodeSettings = {
  name: 'node-1',
  zone: 'zone-1',
  family: 'IPv4',
  addresses: ['172.20.0.11'],
  primaryAddresses: ['172.20.0.11'],
  nodePortAddresses: [],
  detectLocal: { mode: 'ClusterCIDR', cidrs: ['10.0.0.0/8'] },
  masqueradeAll: false,
  localhostNodePorts: true,
  serviceCIDRs: ['10.96.0.0/12'],
  allowExternalIPs: false,
};

function timed(work: () => void): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}

const objects = Array.from({ length: serviceCount }, (_, i) => [
  benchService(i),
  benchSlice(i, endpointCount, 0),
]).flat();
const tracker = new Tracker({ log: silentLogger });
const views = new NodeViewTracker(tracker, node);
const loadMs = timed(() => {
  for (const object of objects) tracker.upsert(object);
  tracker.flush();
});
const compileMs = timed(() => void views.refresh());
const changesMs: number[] = [];
for (let n = 0; n < CHANGES; n++) {
  const round = Math.floor(n / serviceCount);
  const changed = benchSlice(n % serviceCount, endpointCount, 1 + (round & 1));
  changesMs.push(
    timed(() => {
      tracker.upsert(changed);
      tracker.flush();
      const { changes } = views.refresh();
      if (changes.ports.size !== 1) throw new Error(`expected one changed port, got ${changes.ports.size}`);
    }),
  );
}

const report = {
  services: serviceCount,
  endpointsEach: endpointCount,
  objectsToSnapshotMs: Math.round(loadMs),
  snapshotToViewMs: Math.round(compileMs),
  oneChangeP50Ms: Math.round(quantile(changesMs, 0.5) * 1000) / 1000,
  oneChangeP99Ms: Math.round(quantile(changesMs, 0.99) * 1000) / 1000,
  limits: { compileMs: COMPILE_LIMIT_MS, oneChangeMs: CHANGE_LIMIT_MS },
};
process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
if (compileMs > COMPILE_LIMIT_MS || report.oneChangeP99Ms > CHANGE_LIMIT_MS) process.exitCode = 1;
