import type { Plugin, PluginDeps } from '../../plugin.ts';
import { failure, type Handler, type Outcome, type Query } from '../../query.ts';
import { messageOf } from '../../server/reply.ts';
import type { Message } from '../../wire/message.ts';
import { EDE } from '../../wire/numbers.ts';
import type { Respond, RewriteRule, Unwritable } from './rule.ts';

/** Applies the rules to the question, in order, until one that stops has fitted; and their ways back to the answer. */
export function openRewrite(deps: PluginDeps, rules: readonly RewriteRule[]): Plugin {
  return {
    name: 'rewrite',
    classes: rules.flatMap(({ takesClass }) => takesClass ?? []),
    serve: (query, next) => {
      const made = rewritten(query, rules);
      if ('reason' in made) {
        return failure('SERVFAIL', made.reason, { code: EDE.OTHER, text: made.reason });
      }
      const { asked, responds } = made;
      if (responds.length === 0) return next(asked);
      return answered(deps, asked, query, responds, next);
    },
  };
}

interface Answering {
  readonly respond: Respond;
  /** The question as the rule found it. */
  readonly query: Query;
}

function rewritten(
  query: Query,
  rules: readonly RewriteRule[],
): { readonly asked: Query; readonly responds: readonly Answering[] } | Unwritable {
  let asked = query;
  const responds: Answering[] = [];
  for (const rule of rules) {
    const result = rule.apply(asked);
    if (!result) continue;
    if ('reason' in result) return result;
    if (result.respond) responds.unshift({ respond: result.respond, query: asked });
    asked = result.query;
    if (rule.stop) break;
  }
  return { asked, responds };
}

async function answered(
  deps: PluginDeps,
  asked: Query,
  original: Query,
  responds: readonly Answering[],
  next: Handler,
): Promise<Outcome> {
  const outcome = await next(asked);
  const made = messageOf(asked.request, outcome);
  if (!made) return outcome;
  let message: Message = made;
  for (const { respond, query } of responds) message = await respond(message, { query, deps });
  if (outcome.kind === 'failure' && message.rcode === made.rcode) return outcome;
  const reply = { ...message, questions: original.request.questions };
  return outcome.kind === 'reply'
    ? { ...outcome, message: reply }
    : { kind: 'reply', message: reply, ...(outcome.plugin !== undefined && { plugin: outcome.plugin }) };
}
