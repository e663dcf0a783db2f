import { expectArgs, readWord } from '../../corefile/options.ts';
import { gathering } from '../../corefile/gather.ts';
import type { Token } from '../../corefile/syntax.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import { withQuestion } from '../../query.ts';
import { parseClass, parseType } from '../../wire/numbers.ts';
import { readCnameRule, readRcodeRule, readTtlRule } from './answer-rules.ts';
import { readEdnsRule } from './edns-rule.ts';
import { readNameRule } from './name-rule.ts';
import type { RewriteRule } from './rule.ts';
import { openRewrite } from './serve.ts';

type ReadRule = (
  context: SetupContext,
  words: readonly Token[],
  stop: boolean,
  field: Token,
) => RewriteRule | undefined;

const FIELDS: Readonly<Record<string, ReadRule>> = {
  name: readNameRule,
  type: readTypeRule,
  class: readClassRule,
  ttl: readTtlRule,
  edns0: readEdnsRule,
  cname: readCnameRule,
  rcode: readRcodeRule,
};

const gather = gathering<RewriteRule>();

/** `rewrite [continue|stop] FIELD ARGS...`, or the same words spread over the lines of a block. */
export const rewrite: Directive = {
  name: 'rewrite',
  repeatable: true,
  setup(context) {
    const { stanza } = context;
    const lines = (stanza.body ?? []).flatMap((line) => [line.name, ...line.args]);
    const words = [...stanza.args, ...lines];
    const first = words[0]?.text;
    const rest = first === 'continue' || first === 'stop' ? words.slice(1) : words;
    const [field, ...args] = rest;
    if (!field) {
      context.fault(stanza.name, `rewrite needs one of ${Object.keys(FIELDS).join(', ')}`);
      return undefined;
    }
    const name = readWord(context, field, Object.keys(FIELDS));
    const rule = name && FIELDS[name]!(context, args, first !== 'continue', field);
    const { list, first: opens } = gather(context.block, rule ? [rule] : []);
    return opens ? (deps) => openRewrite(deps, list) : undefined;
  },
};

function readTypeRule(
  context: SetupContext,
  words: readonly Token[],
  stop: boolean,
  field: Token,
): RewriteRule | undefined {
  const pair = readPair(context, words, field, parseType, 'a record type');
  if (!pair) return undefined;
  const [from, to] = pair;
  return {
    stop,
    apply: (query) =>
      query.question.type === from
        ? { query: withQuestion(query, { ...query.question, type: to }) }
        : undefined,
  };
}

function readClassRule(
  context: SetupContext,
  words: readonly Token[],
  stop: boolean,
  field: Token,
): RewriteRule | undefined {
  const pair = readPair(context, words, field, parseClass, 'a class');
  if (!pair) return undefined;
  const [from, to] = pair;
  return {
    stop,
    takesClass: from,
    apply: (query) =>
      query.question.class === from
        ? { query: withQuestion(query, { ...query.question, class: to }) }
        : undefined,
  };
}

function readPair<T>(
  context: SetupContext,
  words: readonly Token[],
  field: Token,
  parse: (text: string) => T | undefined,
  what: string,
): readonly [T, T] | undefined {
  if (!expectArgs(context, { name: field, args: words, body: undefined }, 2, 2)) return undefined;
  const [from, to] = words.map((token) => {
    const value = parse(token.text);
    if (value === undefined) context.fault(token, `"${token.text}" is not ${what}`);
    return value;
  });
  return from === undefined || to === undefined ? undefined : [from, to];
}
