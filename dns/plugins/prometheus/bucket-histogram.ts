import type { Metric, Registry } from '../../../src/base/metrics.ts';
import type { BucketCounts } from '../../cluster/table/answer-counts.ts';

interface Series extends BucketCounts {
  readonly labels: Readonly<Record<string, string>>;
  readonly buckets: number[];
  sum: number;
}

/** A histogram that takes single values and whole sets of buckets that somebody else has counted. */
export class BucketHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor(
    registry: Registry,
    options: { readonly name: string; readonly help: string; readonly buckets: readonly number[] },
  ) {
    this.name = options.name;
    this.help = options.help;
    this.#bounds = options.buckets;
    registry.registerMetric(this as unknown as Metric);
  }

  observe(labels: Readonly<Record<string, string>>, value: number): void {
    const series = this.#seriesOf(labels);
    const at = this.#bounds.findIndex((bound) => value <= bound);
    series.buckets[at < 0 ? this.#bounds.length : at]! += 1;
    series.sum += value;
  }

  /** Counts of the same bounds, those beyond the last bound behind them. */
  add(labels: Readonly<Record<string, string>>, { buckets, sum }: BucketCounts): void {
    if (!buckets.some((count) => count > 0)) return;
    const series = this.#seriesOf(labels);
    buckets.forEach((count, i) => (series.buckets[i]! += count));
    series.sum += sum;
  }

  reset(): void {
    this.#series.clear();
  }

  /** As the registry wants it. */
  async get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    const values = [...this.#series.values()].flatMap((series) => this.#valuesOf(series));
    return await Promise.resolve({ name, help, type, aggregator, values });
  }

  #valuesOf({ labels, buckets, sum }: Series): object[] {
    let count = 0;
    const values = buckets.map((inBucket, i) => {
      count += inBucket;
      return {
        metricName: `${this.name}_bucket`,
        labels: { ...labels, le: this.#bounds[i] ?? '+Inf' },
        value: count,
      };
    });
    return [
      ...values,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }

  #seriesOf(labels: Readonly<Record<string, string>>): Series {
    const key = Object.values(labels).join('\0');
    const known = this.#series.get(key);
    if (known) return known;
    const series = { labels, buckets: Array<number>(this.#bounds.length + 1).fill(0), sum: 0 };
    this.#series.set(key, series);
    return series;
  }
}
