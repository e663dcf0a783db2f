import type { Token } from '../../corefile/syntax.ts';
import type { SetupContext } from '../../plugin.ts';
import type { Query } from '../../query.ts';
import type { RegexMatch } from '../../user-regex.ts';
import {
  compileExpression,
  ExpressionError,
  type Evaluate,
  type ExpressionFunction,
  type ExpressionVariable,
} from '../view/expression.ts';
import { expressionText } from '../view/expression-text.ts';
import { VIEW_FUNCTIONS } from '../view/functions.ts';

/** What `var` and `expr` are evaluated in. */
export interface MatchEnv {
  readonly query: Query;
  readonly match: RegexMatch;
  readonly variables: Readonly<Record<string, unknown>>;
}

export type MatchNames = Record<string, ExpressionFunction<MatchEnv> | ExpressionVariable<MatchEnv>>;

/** The functions of `view`, and `group(name or index)`; variables are added as they are read. */
export function expressionNames(): MatchNames {
  const functions = Object.entries(VIEW_FUNCTIONS).map(([name, { args, call }]) => {
    const ofQuery: ExpressionFunction<MatchEnv> = { args, call: ({ query }, values) => call(query, values) };
    return [name, ofQuery] as const;
  });
  const group: ExpressionFunction<MatchEnv> = {
    args: 1,
    call: ({ match }, [which]) => {
      if (typeof which === 'number') return match.groups[which] ?? '';
      const name = String(which);
      return Object.hasOwn(match.named, name) ? match.named[name] : '';
    },
  };
  return { ...Object.fromEntries(functions), group };
}

/** Reports a fault at the first word and returns undefined when it is no expression. */
export function readExpression(
  context: SetupContext,
  words: readonly Token[],
  names: MatchNames,
): Evaluate<MatchEnv> | undefined {
  try {
    return compileExpression(expressionText(words), { ...names });
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    context.fault(words[0]!, `the expression cannot be read: ${error.message}`);
    return undefined;
  }
}
