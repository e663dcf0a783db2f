const BUCKETS = 400;
/** Each bucket is so much wider than the one before: a quantile is right to 5 %. */
const GROWTH = 1.05;
const SMALLEST_MS = 0.02;

/** How long answers took, in memory that does not grow with their number. */
export class LatencyHistogram {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(tookMs: number): void {
    const bucket = Math.ceil(Math.log(Math.max(tookMs, SMALLEST_MS) / SMALLEST_MS) / Math.log(GROWTH));
    this.#buckets[Math.min(bucket, BUCKETS - 1)]!++;
    this.#count++;
  }

  /** Milliseconds that this share of the answers took at most; NaN before the first. */
  quantile(share: number): number {
    let left = Math.ceil(this.#count * share);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#buckets[bucket]!;
      if (this.#count > 0 && left <= 0) return SMALLEST_MS * GROWTH ** bucket;
    }
    return Number.NaN;
  }

  reset(): void {
    this.#buckets.fill(0);
    this.#count = 0;
  }
}
