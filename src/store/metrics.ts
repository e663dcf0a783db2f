import { Gauge, type Registry } from '../base/metrics.ts';
import type { HistogramSnapshot, Store, StoreStats } from './store.ts';

type Values = readonly (readonly [labels: Record<string, string>, value: number])[];

const NUMBERS: readonly (readonly [
  name: string,
  help: string,
  read: (stats: StoreStats) => number | undefined,
])[] = [
  ['revision', 'Newest revision', (stats) => stats.revision],
  ['compacted_revision', 'Revisions up to this one are forgotten', (stats) => stats.compactedRevision],
  ['keys', 'Keys held', (stats) => stats.keys],
  ['value_bytes', 'Bytes of the newest values', (stats) => stats.valueBytes],
  ['history_events', 'Revisions kept for watches and reads in the past', (stats) => stats.historyEvents],
  ['history_bytes', 'Bytes only those hold', (stats) => stats.historyBytes],
  ['watchers', 'Open watches', (stats) => stats.watchers],
  ['leases', 'Leases that live', (stats) => stats.leases],
  ['writes_queued', 'Writes that wait for their commit', (stats) => stats.writesQueued],
  ['writes_total', 'Writes made durable', (stats) => stats.writes],
  ['commits_total', 'Commits that carried them', (stats) => stats.commits],
  ['failed_commits_total', 'Commits that failed', (stats) => stats.failedCommits],
  ['file_bytes', 'Size of the store on disk', (stats) => stats.fileBytes],
];

/** Exports what the store counts as weft_store_*; a number this kind of store cannot know is left out. */
export function registerStoreMetrics(registry: Registry, store: Pick<Store, 'stats'>): void {
  const gauge = (
    name: string,
    help: string,
    read: (stats: StoreStats) => Values,
    labels: string[] = [],
  ): void => {
    void new Gauge({
      name: `weft_store_${name}`,
      help,
      labelNames: labels,
      registers: [registry],
      collect() {
        this.reset();
        for (const [labelsOf, value] of read(store.stats())) this.set(labelsOf, value);
      },
    });
  };
  for (const [name, help, read] of NUMBERS) {
    if (read(store.stats()) !== undefined) gauge(name, help, (stats) => [[{}, read(stats) ?? 0]]);
  }
  const histogram = (name: string, help: string, of: (stats: StoreStats) => HistogramSnapshot): void => {
    gauge(`${name}_bucket`, `${help}: up to le`, (stats) => buckets(of(stats)), ['le']);
    gauge(`${name}_sum`, `${help}: sum`, (stats) => [[{}, of(stats).sum]]);
    gauge(`${name}_count`, `${help}: count`, (stats) => [[{}, of(stats).count]]);
  };
  histogram('commit_seconds', 'Time of a durable commit', (stats) => stats.commitSeconds);
  histogram('commit_writes', 'Writes in a commit', (stats) => stats.batchWrites);
}

function buckets(snapshot: HistogramSnapshot): Values {
  const upTo = snapshot.bounds.map((bound, at) => [{ le: String(bound) }, snapshot.counts[at] ?? 0] as const);
  return [...upTo, [{ le: '+Inf' }, snapshot.count]];
}
