import { expectArgs, expectNoBody } from '../../corefile/options.ts';
import type { Directive, Plugin } from '../../plugin.ts';
import type { Outcome } from '../../query.ts';
import type { Message } from '../../wire/message.ts';

/** `minimal`: positive answers go out without authority and additional section. */
export const minimal: Directive = {
  name: 'minimal',
  setup(context) {
    expectArgs(context, context.stanza, 0, 0);
    expectNoBody(context);
    return () => plugin;
  },
};

const plugin: Plugin = {
  name: 'minimal',
  serve: (query, next) => {
    const outcome = next(query);
    return outcome instanceof Promise ? outcome.then(shortened) : shortened(outcome);
  },
};

function shortened(outcome: Outcome): Outcome {
  if (outcome.kind !== 'reply' || !isPositive(outcome.message)) return outcome;
  return { ...outcome, message: { ...outcome.message, authorities: [], additionals: [] } };
}

/** Denials need their SOA, delegations their NS and glue. */
function isPositive({ rcode, answers }: Message): boolean {
  return rcode === 'NOERROR' && answers.length > 0;
}
