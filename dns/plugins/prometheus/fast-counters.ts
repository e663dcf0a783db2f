import { zoneCounts } from '../../cluster/table/answer-counts.ts';
import type { FastSample, PluginDeps } from '../../plugin.ts';
import type { RequestMetrics } from './metrics.ts';

/** Those of all blocks: whichever of them is asked for its page tells for all. */
export class AllFastCounters implements AsyncDisposable {
  readonly #all = new Set<FastCounters>();

  /** Disposing takes the last counts over. */
  add(counters: FastCounters): Disposable {
    this.#all.add(counters);
    return {
      [Symbol.dispose]: () => {
        counters.collect();
        this.#all.delete(counters);
      },
    };
  }

  collect(): void {
    for (const counters of this.#all) counters.collect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#all.clear();
  }
}

/** Brings what readers of one block's table counted in plain numbers into the metrics, when they are read. */
export class FastCounters {
  readonly #deps: Pick<PluginDeps, 'block' | 'chain' | 'host'>;
  readonly #metrics: RequestMetrics;
  readonly #seen = new WeakMap<FastSample, Float64Array>();

  constructor(deps: Pick<PluginDeps, 'block' | 'chain' | 'host'>, metrics: RequestMetrics) {
    this.#deps = deps;
    this.#metrics = metrics;
  }

  collect(): void {
    const { block, chain, host } = this.#deps;
    for (const sample of host.fastCounts()) {
      if (sample.block !== block) continue;
      const now = sample.words();
      const before = this.#seen.get(sample);
      const since = before ? now.map((word, i) => word - before[i]!) : now;
      this.#seen.set(sample, now);
      const { listener, proto } = sample;
      for (const [i, zone] of sample.zones.entries()) {
        const counts = zoneCounts(since, i);
        const answered = counts.positive + counts.nodata + counts.nxdomain;
        this.#metrics.addFast({ server: listener, zone, view: '' }, proto, counts);
        for (const plugin of chain.plugins) plugin.answeredFromTable?.(answered, listener);
      }
    }
  }
}
