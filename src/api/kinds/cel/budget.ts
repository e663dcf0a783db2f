import type { SourceError } from './source-errors.ts';

/** Why an expression has no value. Stays inside this folder: callers get a union. */
export class CelError extends Error {
  /** Where in the expression, as an offset; undefined at run time. */
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super(message);
    this.offset = offset;
  }
}

/** All that is wrong with how an expression is written; the message is the first. */
export class CelSyntaxError extends CelError {
  readonly errors: readonly SourceError[];

  constructor(errors: readonly SourceError[]) {
    super(errors[0]?.message ?? '', errors[0]?.at);
    this.errors = errors;
  }
}

/** What to tell of an expression that does not compile. */
export const sourceErrors = (error: CelError): readonly SourceError[] =>
  error instanceof CelSyntaxError ? error.errors : [{ at: error.offset ?? 0, message: error.message }];

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
