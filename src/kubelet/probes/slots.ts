/** A bound on how many things happen at once; the rest wait in order. */
export class Slots {
  readonly #max: number;
  #used = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#used < this.#max) this.#used++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift(); // hands its slot over
      if (next) next();
      else this.#used--;
    }
  }
}
