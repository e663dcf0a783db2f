import type { HistogramSnapshot } from './store.ts';

/** Counts observations into buckets without allocating. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** @param bounds upper bounds, ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  get count(): number {
    return this.#count;
  }

  get sum(): number {
    return this.#sum;
  }

  observe(value: number): void {
    this.#sum += value;
    this.#count++;
    for (let at = this.#bounds.length - 1; at >= 0 && value <= this.#bounds[at]!; at--) this.#counts[at]!++;
  }

  snapshot(): HistogramSnapshot {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum, count: this.#count };
  }
}

export const COMMIT_SECONDS_BOUNDS = [
  0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.512, 2,
];
export const BATCH_WRITES_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
