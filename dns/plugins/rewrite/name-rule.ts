import { expectArgs, readWord } from '../../corefile/options.ts';
import type { Token } from '../../corefile/syntax.ts';
import type { SetupContext } from '../../plugin.ts';
import { withQuestion } from '../../query.ts';
import { readRegex } from '../../user-regex.ts';
import type { Message } from '../../wire/message.ts';
import { absoluteName, foldName, parseName } from '../../wire/name.ts';
import { changeOwners, changeValues, type NameChange } from './answer-names.ts';
import { fillGroups, MATCH_KINDS, readMapping, type MatchKind, type NameMapping } from './match.ts';
import type { RewriteRule } from './rule.ts';

/** What `answer ...` clauses ask for. */
interface AnswerRules {
  readonly auto: boolean;
  readonly names: readonly NameChange[];
  readonly values: readonly NameChange[];
}

/** `name [exact|prefix|suffix|substring|regex] FROM TO [answer auto | answer name|value FROM TO]...`. */
export function readNameRule(
  context: SetupContext,
  words: readonly Token[],
  stop: boolean,
  field: Token,
): RewriteRule | undefined {
  const { kind, rest } = takeKind(words);
  const [from, to, ...more] = rest;
  if (!from || !to) {
    expectArgs(context, { name: field, args: rest, body: undefined }, 2, Infinity);
    return undefined;
  }
  const mapping = readMapping(context, kind, from, to);
  const answers = readAnswers(context, more);
  if (answers.auto && answers.names.length > 0) {
    context.fault(more[0]!, '"answer auto" and "answer name" both say what owners become: keep one');
  }
  // CoreDNS takes exact names back without being told.
  const auto = answers.auto || kind === 'exact';
  return mapping && nameRule(mapping, { ...answers, auto }, { stop, strict: context.strict });
}

/** The kind of comparison in front of the arguments, `exact` if none is named. */
export function takeKind(words: readonly Token[]): { kind: MatchKind; rest: readonly Token[] } {
  const kind = MATCH_KINDS.find((each) => each === words[0]?.text);
  return kind ? { kind, rest: words.slice(1) } : { kind: 'exact', rest: words };
}

function readAnswers(context: SetupContext, words: readonly Token[]): AnswerRules {
  const names: NameChange[] = [];
  const values: NameChange[] = [];
  let auto = false;
  for (let at = 0; at < words.length;) {
    const keyword = words[at]!;
    // Behind the first clause the keyword may be left out.
    if (at > 0 && keyword.text !== 'answer') at--;
    else if (!readWord(context, keyword, ['answer'])) return { auto, names, values };
    const what = words[at + 1] && readWord(context, words[at + 1]!, ['auto', 'name', 'value']);
    if (what === 'auto') {
      auto = true;
      at += 2;
      continue;
    }
    const [from, to] = [words[at + 2], words[at + 3]];
    if (!what || !from || !to) {
      context.fault(keyword, 'answer needs "auto", or "name" or "value" with FROM and TO');
      return { auto, names, values };
    }
    const change = readAnswerChange(context, from, to);
    if (change) (what === 'name' ? names : values).push(change);
    at += 4;
  }
  return { auto, names, values };
}

function readAnswerChange(context: SetupContext, from: Token, to: Token): NameChange | undefined {
  const regex = readRegex(context, from);
  if (!regex) return undefined;
  return (name) => {
    const groups = regex.match(name)?.groups;
    return groups && absoluteName(fillGroups(to.text, groups));
  };
}

function nameRule(
  { there, back }: NameMapping,
  { auto, names, values }: AnswerRules,
  { stop, strict }: { readonly stop: boolean; readonly strict: boolean },
): RewriteRule {
  const respond = (message: Message, asked: string, target: string): Message => {
    let changed = message;
    const askedAgain: NameChange = (name) => (name === target ? asked : undefined);
    if (auto) {
      const owners: NameChange = (name) => askedAgain(name) ?? back?.(name);
      changed = changeValues(changeOwners(changed, owners), back ?? askedAgain);
    } else if (names.length === 0 && !strict) {
      // A stub resolver passes over records of a name it did not ask for.
      changed = changeOwners(changed, askedAgain);
    }
    for (const change of names) changed = changeOwners(changed, change);
    for (const change of values) changed = changeValues(changed, change);
    return changed;
  };
  return {
    stop,
    apply: (query) => {
      const next = there(query.name);
      if (next === undefined) return undefined;
      const name = parseName(next);
      if (name === undefined) return { reason: `rewrite: "${next}" is not a name` };
      const target = foldName(name);
      return {
        query: withQuestion(query, { ...query.question, name }),
        respond: (message) => respond(message, query.question.name, target),
      };
    },
  };
}
