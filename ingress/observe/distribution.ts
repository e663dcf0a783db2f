/** A histogram of one label set in plain numbers: buckets, count and exact sum. */
export class Distribution {
  readonly bounds: readonly number[];
  /** One more than bounds: the last takes what is above all. */
  readonly counts: number[];
  count = 0;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.bounds.length && value > this.bounds[at]!) at++;
    this.counts[at]!++;
    this.count++;
    this.sum += value;
  }
}
