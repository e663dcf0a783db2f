import type { FastCounts } from '../../cluster/table/packed-reader.ts';
import type { FastSample } from '../../plugin.ts';
import type { RequestMetrics } from './metrics.ts';

/** Brings what the fast path counted in plain numbers into the metrics, when they are read. */
export class FastCounters {
  readonly #metrics: RequestMetrics;
  readonly #seen = new Map<FastSample, FastCounts>();

  constructor(metrics: RequestMetrics) {
    this.#metrics = metrics;
  }

  collect(samples: readonly FastSample[]): void {
    for (const sample of samples) {
      const now = { ...sample.counts };
      const before = this.#seen.get(sample);
      const since = (name: keyof FastCounts): number => now[name] - (before?.[name] ?? 0);
      this.#seen.set(sample, now);
      this.#metrics.addFast(sample.listener, sample.zone, {
        types: { A: since('a'), AAAA: since('aaaa'), other: since('other') },
        rcodes: { NOERROR: since('positive') + since('nodata'), NXDOMAIN: since('nxdomain') },
      });
    }
  }
}
