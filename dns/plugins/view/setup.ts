import { messageOf } from '../../../src/base/fault.ts';
import { expectArgs, readOptions } from '../../corefile/options.ts';
import type { Line } from '../../corefile/syntax.ts';
import type { Directive, Plugin, PluginDeps, SetupContext } from '../../plugin.ts';
import type { Query } from '../../query.ts';
import { sharedCounter } from '../../plugin-metrics.ts';
import { compileExpression, ExpressionError, truth, type Evaluate } from './expression.ts';
import { expressionText } from './expression-text.ts';
import { VIEW_FUNCTIONS } from './functions.ts';

/** `view NAME { expr EXPRESSION... }`: the block answers only questions for which every expression is true. */
export const view: Directive = {
  name: 'view',
  setup(context) {
    const [name] = context.stanza.args;
    if (!expectArgs(context, context.stanza, 1, 1) || !name) return undefined;
    const expressions: Evaluate<Query>[] = [];
    readOptions(context, {
      expr: (line) => {
        const compiled = expectArgs(context, line, 1, Infinity) ? compile(context, line) : undefined;
        if (compiled) expressions.push(compiled);
      },
    });
    const watch: Watch = { plugins: [], failed: () => {} };
    context.block.filters.push({ name: name.text, test: (query) => agrees(expressions, query, watch) });
    return (deps) => openView(deps, name.text, watch);
  },
};

function compile(context: SetupContext, line: Line): Evaluate<Query> | undefined {
  try {
    return compileExpression(expressionText(line.args), VIEW_FUNCTIONS);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    context.fault(line.args[0]!, `the expression cannot be read: ${error.message}`);
    return undefined;
  }
}

/** What the filter needs of the block once that is open. */
interface Watch {
  plugins: readonly Plugin[];
  failed: (error: unknown) => void;
}

/** An expression that cannot be evaluated for a question does not let it in. */
function agrees(expressions: readonly Evaluate<Query>[], query: Query, watch: Watch): boolean {
  for (const plugin of watch.plugins) plugin.facts?.(query);
  try {
    return expressions.every((expression) => truth(expression(query)));
  } catch (error) {
    watch.failed(error);
    return false;
  }
}

function openView(deps: PluginDeps, name: string, watch: Watch): Plugin {
  const failures = sharedCounter(deps, {
    name: 'weft_dns_view_expression_failures_total',
    help: 'Questions that a view turned away because its expression could not be evaluated.',
    labelNames: ['view'],
  });
  watch.failed = (error) => {
    failures.inc({ view: name });
    deps.log.debug('view expression failed', { view: name, reason: messageOf(error) });
  };
  return {
    name: 'view',
    serve: (query, next) => next(query),
    facts: (query) => void query.metadata.set('view/name', () => name),
    opened: () => {
      if (deps.chain.plugin('metadata')) watch.plugins = deps.chain.plugins;
    },
  };
}
