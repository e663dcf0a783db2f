import { type Estimate, fixed, product, scaled, sum, UNKNOWN } from './estimate.ts';
import type { Expression } from './expression.ts';
import type { CelType } from './type.ts';

/** Steps for one character of a text that is looked through, and for one of a pattern. */
export const CHARACTER_STEPS = 0.1;
export const PATTERN_CHARACTER_STEPS = 0.25;

/** Receiver or argument of a call. */
export interface CostNode {
  readonly expression: Expression;
  readonly type: CelType;
  readonly size: Estimate | undefined;
  /** Where the value lies: a variable, then fields, `@items`, `@values`; undefined for values made on the way. */
  readonly path: readonly string[] | undefined;
}

export interface CallSite {
  readonly name: string;
  readonly overload: string;
  readonly target: CostNode | undefined;
  readonly args: readonly CostNode[];
  /** Of the arguments. */
  readonly costs: readonly Estimate[];
  /** What the schema says of the size at a path. */
  readonly sizeAt: (path: readonly string[]) => Estimate | undefined;
}

export interface CallEstimate {
  readonly cost: Estimate;
  /** Size of the result, when more is known than its type says. */
  readonly size?: Estimate | undefined;
}

export const sizeOf = (node: CostNode | undefined): Estimate => node?.size ?? UNKNOWN;

/** Looking through a text. */
export const traversal = (size: Estimate): Estimate => scaled(size, CHARACTER_STEPS);

/** Looking for a pattern. One more character, so that no pattern is free over the empty text. */
export const patternCost = (text: Estimate, pattern: Estimate): Estimate =>
  product(traversal(sum(text, fixed(1))), scaled(pattern, PATTERN_CHARACTER_STEPS));
