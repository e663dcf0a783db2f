import { readWord } from '../../corefile/options.ts';
import type { Token, Line } from '../../corefile/syntax.ts';
import type { Directive, Plugin, SetupContext } from '../../plugin.ts';
import { withRequest, type Outcome } from '../../query.ts';
import type { Message } from '../../wire/message.ts';

const FLAGS = { aa: 'authoritative', ra: 'recursionAvailable', rd: 'recursionDesired' } as const;
type Flag = keyof typeof FLAGS;

interface Rule {
  readonly selector: 'query' | 'response';
  readonly changes: Partial<Message>;
}

/** `header { [query|response] set|clear aa|ra|rd... }`. */
export const header: Directive = {
  name: 'header',
  setup(context) {
    for (const token of context.stanza.args) context.fault(token, 'header takes no arguments');
    const rules = (context.stanza.body ?? []).flatMap((line) => readRule(context, line) ?? []);
    if ((context.stanza.body ?? []).length === 0) context.fault(context.stanza.name, 'header has no rules');
    return () => openHeader(rules);
  },
};

function readRule(context: SetupContext, line: Line): Rule | undefined {
  const named = line.name.text === 'query' || line.name.text === 'response';
  const words: readonly Token[] = named ? line.args : [line.name, ...line.args];
  const [action, ...flags] = words;
  if (!action) {
    context.fault(line.name, `"${line.name.text}" needs set or clear and flags`);
    return undefined;
  }
  const verb = readWord(context, action, ['set', 'clear']);
  if (verb && flags.length === 0)
    context.fault(action, `"${verb}" needs flags: ${Object.keys(FLAGS).join(', ')}`);
  const read = flags.map((flag) => readWord(context, flag, Object.keys(FLAGS) as Flag[]));
  if (!verb) return undefined;
  const changes = Object.fromEntries(
    read.flatMap((flag) => (flag ? [[FLAGS[flag], verb === 'set'] as const] : [])),
  );
  return { selector: line.name.text === 'query' ? 'query' : 'response', changes };
}

function openHeader(rules: readonly Rule[]): Plugin {
  const changesOf = (selector: Rule['selector']): Partial<Message> =>
    Object.assign({}, ...rules.filter((rule) => rule.selector === selector).map((rule) => rule.changes));
  const ofQuery = changesOf('query');
  const ofResponse = changesOf('response');
  const { recursionDesired } = ofResponse;
  const changed = (outcome: Outcome): Outcome =>
    outcome.kind === 'reply'
      ? {
          ...outcome,
          message: { ...outcome.message, ...ofResponse },
          ...(recursionDesired !== undefined && { recursionDesired }),
        }
      : outcome;
  return {
    name: 'header',
    serve: (query, next) => {
      const asked = Object.keys(ofQuery).length > 0;
      const outcome = next(asked ? withRequest(query, { ...query.request, ...ofQuery }) : query);
      return outcome instanceof Promise ? outcome.then(changed) : changed(outcome);
    },
  };
}
