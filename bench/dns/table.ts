/**
 * The compiled table: bytes a service and an endpoint, a change of a big headless service, change-to-visible time
 * under a stream of changes, memory over a relist. Run: node --expose-gc bench/dns/table.ts [services]
 */
import { LiveView } from '../../dns/cluster/live-view.ts';
import { DEFAULT_CLUSTER_OPTIONS, type ClusterOptions } from '../../dns/cluster/options.ts';
import { PackedReader } from '../../dns/cluster/table/packed-reader.ts';
import { readerOptions } from '../../dns/cluster/table/reader-options.ts';
import { encodeMessage } from '../../dns/wire/encode.ts';
import { queryMessage } from '../../dns/wire/message.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import {
  clusterOf,
  namespaceObjects,
  serviceName,
  serviceObject,
  sliceObject,
  sliceObjects,
} from './cluster.ts';
import { quantile } from '../quantiles.ts';

const BIG = 5000;
const CHANGES = 500;
const LIMITS = {
  serviceBytes: 400,
  endpointBytes: 150,
  bigChangeMs: 2,
  visibleP99Ms: 10,
  relistPeakRatio: 1.3,
};

const services = Number(process.argv[2] ?? 10_000);
const options: ClusterOptions = {
  ...DEFAULT_CLUSTER_OPTIONS,
  zones: ['cluster.local.'],
  primaryZone: 'cluster.local.',
  strict: false,
};
const results: { what: string; value: number; limit: number }[] = [];

function report(what: string, value: number, limit: number): void {
  results.push({ what, value, limit });
  process.stdout.write(`| ${what} | ${value.toFixed(2)} | ${limit} |\n`);
}

function viewOf(tracker: Tracker): LiveView {
  return new LiveView({ snapshots: tracker, clock: systemClock }, options);
}

function memoryMb(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1e6;
}

function bytesPer(): void {
  const empty = viewOf(clusterOf(0, 0)).table.sizes.usedBytes;
  const alone = viewOf(clusterOf(services, 0)).table.sizes.usedBytes;
  report('table bytes a ClusterIP service', (alone - empty) / services, LIMITS.serviceBytes);
  const tracker = clusterOf(0, 0);
  const headless = 100;
  for (let i = 0; i < headless; i++) {
    tracker.upsert(serviceObject(i, true));
    for (const slice of sliceObjects(i, 1000)) tracker.upsert(slice);
  }
  tracker.flush();
  const held = viewOf(tracker).table.sizes.usedBytes - empty;
  report('table bytes a headless endpoint', held / (headless * 1000), LIMITS.endpointBytes);
}

/** From the changed slice in the tracker to the new bytes in the table. */
function bigChange(): void {
  const tracker = clusterOf(1000, 1);
  tracker.upsert(serviceObject(1, true));
  for (const slice of sliceObjects(1, BIG)) tracker.upsert(slice);
  tracker.flush();
  viewOf(tracker);
  for (let i = 1; i <= 50; i++) change(tracker, i); // the compiler of V8 has to see it
  const started = process.cpuUsage();
  for (let i = 51; i <= 50 + CHANGES; i++) change(tracker, i);
  const { user, system } = process.cpuUsage(started);
  const milliseconds = (user + system) / 1000 / CHANGES;
  report(`CPU ms for a change of a headless service of ${BIG}`, milliseconds, LIMITS.bigChangeMs);
}

/** Another address in one of the slices, through model and table. */
function change(tracker: Tracker, i: number): void {
  tracker.upsert(sliceObject(1, i % 50, 100, i));
  tracker.flush();
}

/** Each change is looked for by asking the table until it is there. */
async function changeToVisible(): Promise<void> {
  const tracker = clusterOf(services, 2);
  const view = viewOf(tracker);
  const around = { ownsZone: () => true, foreignZones: [], rotate: true };
  const reader = new PackedReader(view.table.buffers, readerOptions(options, around));
  view.table.onBuffers((buffers) => reader.useBuffers(buffers));
  const out = new Uint8Array(1232);
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const { namespace } = serviceName(i);
    const name = `new-${i}.${namespace}.svc.cluster.local.`;
    const question = encodeMessage(queryMessage({ name, type: 'A', class: 'IN' }));
    const object = serviceObject(i);
    const started = performance.now();
    tracker.upsert({ ...object, metadata: { namespace, name: `new-${i}` } });
    await Promise.resolve();
    while (reader.answer(question, question.length, out) === 0 || out[7] !== 1) await Promise.resolve();
    times.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  report(
    `ms from change to visible, ${services} services, 100 changes/s, p50`,
    quantile(times, 0.5),
    LIMITS.visibleP99Ms,
  );
  report(
    `ms from change to visible, ${services} services, 100 changes/s, p99`,
    quantile(times, 0.99),
    LIMITS.visibleP99Ms,
  );
}

/** Everything listed again, as after a restart of the API server. */
function relist(): void {
  const tracker = new Tracker({ log: silentLogger });
  const view = viewOf(tracker);
  const list = (): void => {
    for (const object of namespaceObjects()) tracker.upsert(object);
    for (let i = 0; i < services; i++) {
      tracker.upsert(serviceObject(i));
      for (const slice of sliceObjects(i, 10)) tracker.upsert(slice);
      if (i % 500 === 0) tracker.flush();
    }
    tracker.flush();
  };
  list();
  const steady = memoryMb();
  let peak = steady;
  for (let round = 0; round < 3; round++) {
    list();
    peak = Math.max(peak, process.memoryUsage.rss() / 1e6);
  }
  report('RSS after a relist / before', peak / steady, LIMITS.relistPeakRatio);
  process.stdout.write(`steady ${steady.toFixed(0)} MB with ${services} services, 10 endpoints each; `);
  process.stdout.write(`table ${(view.table.sizes.heldBytes / 1e6).toFixed(1)} MB\n`);
}

process.stdout.write('| what | value | limit |\n| --- | --- | --- |\n');
bytesPer();
bigChange();
await changeToVisible();
relist();
if (results.some(({ value, limit }) => value > limit)) process.exitCode = 1;
