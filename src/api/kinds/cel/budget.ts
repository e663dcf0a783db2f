/** Why an expression has no value. Stays inside this folder: callers get a union. */
export class CelError extends Error {
  /** Where in the expression, as an offset; undefined at run time. */
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super(message);
    this.offset = offset;
  }
}

/** Not catchable by `||` and `&&`: evaluation ends here. */
export class CelBudgetError extends CelError {}

/** Steps left. Shared by the rules of one object, so that many cheap rules are bounded, too. */
export class CelBudget {
  #left: number;

  constructor(steps: number) {
    this.#left = steps;
  }

  get left(): number {
    return this.#left;
  }

  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new CelBudgetError('operation cancelled: actual cost limit exceeded');
  }
}
