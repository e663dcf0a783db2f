import { zoneCounts } from '../../cluster/table/answer-counts.ts';
import type { FastSample } from '../../plugin.ts';
import type { RequestMetrics } from './metrics.ts';

/** Brings what readers of the table counted in plain numbers into the metrics, when they are read. */
export class FastCounters {
  readonly #metrics: RequestMetrics;
  readonly #seen = new WeakMap<FastSample, Float64Array>();

  constructor(metrics: RequestMetrics) {
    this.#metrics = metrics;
  }

  collect(samples: readonly FastSample[]): void {
    for (const sample of samples) {
      const now = sample.words();
      const before = this.#seen.get(sample);
      const since = before ? now.map((word, i) => word - before[i]!) : now;
      this.#seen.set(sample, now);
      const { listener, proto } = sample;
      sample.zones.forEach((zone, i) => {
        this.#metrics.addFast({ server: listener, zone, view: '' }, proto, zoneCounts(since, i));
      });
    }
  }
}
