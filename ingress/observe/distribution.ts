/** A histogram of one label set in plain numbers: buckets, count and exact sum, in memory that may be shared. */
export class Distribution {
  readonly bounds: readonly number[];
  /** One bucket more than bounds (the last takes what is above all), then count and sum. */
  readonly #memory: Float64Array;

  constructor(bounds: readonly number[], memory: Float64Array = new Float64Array(wordsOf(bounds))) {
    this.bounds = bounds;
    this.#memory = memory;
  }

  get count(): number {
    return this.#memory[this.bounds.length + 1]!;
  }

  get sum(): number {
    return this.#memory[this.bounds.length + 2]!;
  }

  countAt(bucket: number): number {
    return this.#memory[bucket]!;
  }

  observe(value: number): void {
    const { bounds } = this;
    const memory = this.#memory;
    let at = 0;
    while (at < bounds.length && value > bounds[at]!) at++;
    memory[at]!++;
    memory[bounds.length + 1]!++;
    memory[bounds.length + 2]! += value;
  }
}

/** Numbers a distribution with these bounds keeps. */
export function wordsOf(bounds: readonly number[]): number {
  return bounds.length + 3;
}
