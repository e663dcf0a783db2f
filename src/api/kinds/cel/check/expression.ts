import type { CelType } from './type.ts';

/**
 * An expression with its macros expanded and its operators turned into calls (cel-spec syntax.proto): what types and
 * costs are defined on. `at` is the offset in the source; what a macro made stands where the macro is called.
 */
export type Expression = { readonly at: number } & (
  | { readonly type: 'literal'; readonly of: CelType; readonly value: unknown }
  | { readonly type: 'ident'; readonly name: string }
  | {
      readonly type: 'select';
      readonly operand: Expression;
      readonly field: string;
      /** `has()`: asks whether the field is there. */
      readonly test: boolean;
    }
  | {
      readonly type: 'call';
      readonly name: string;
      readonly target: Expression | undefined;
      readonly args: readonly Expression[];
    }
  | { readonly type: 'list'; readonly items: readonly Expression[] }
  | { readonly type: 'map'; readonly entries: readonly (readonly [key: Expression, value: Expression])[] }
  | Comprehension
);

export interface Comprehension {
  readonly type: 'comprehension';
  readonly range: Expression;
  /** Item of a list or key of a map; with two, index or key, and value. */
  readonly variables: readonly string[];
  readonly accumulator: string;
  readonly init: Expression;
  readonly condition: Expression;
  readonly step: Expression;
  readonly result: Expression;
}

export type ExpressionOf<T extends Expression['type']> = Expression & { readonly type: T };

/** No name of an expression, so nothing a user writes collides with it. */
export const ACCUMULATOR = '@result';

/** An expression and all its parts, each once. */
export function allParts(root: Expression): ReadonlySet<Expression> {
  const found = new Set([root]);
  for (const node of found) for (const part of partsOf(node)) found.add(part);
  return found;
}

/** The parts of an expression, in the order of evaluation. */
function partsOf(node: Expression): readonly Expression[] {
  switch (node.type) {
    case 'select':
      return [node.operand];
    case 'call':
      return node.target ? [node.target, ...node.args] : node.args;
    case 'list':
      return node.items;
    case 'map':
      return node.entries.flat();
    case 'comprehension':
      return [node.range, node.init, node.condition, node.step, node.result];
    case 'literal':
    case 'ident':
      return [];
  }
}
