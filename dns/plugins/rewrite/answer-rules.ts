import { expectArgs } from '../../corefile/options.ts';
import type { Token } from '../../corefile/syntax.ts';
import type { SetupContext } from '../../plugin.ts';
import { absoluteName, foldName, parseName } from '../../wire/name.ts';
import { parseRcode } from '../../wire/numbers.ts';
import { mapRecords } from './answer-names.ts';
import { fillGroups, readTest, type MatchKind, type NameTest } from './match.ts';
import { takeKind } from './name-rule.ts';
import type { Respond, RewriteRule } from './rule.ts';

/** `ttl [KIND] NAME SECONDS|MIN-MAX|MIN-|-MAX`: for every record of answers to names that fit. */
export function readTtlRule(
  context: SetupContext,
  words: readonly Token[],
  stop: boolean,
  field: Token,
): RewriteRule | undefined {
  const { kind, rest } = takeKind(words);
  if (!hasArgs(context, field, rest, 2)) return undefined;
  const [name, range] = [rest[0]!, rest[1]!];
  const test = readTest(context, kind, name);
  const limits = ttlRange(range.text);
  if (!limits) context.fault(range, `"${range.text}" is not a ttl, MIN-MAX, MIN- or -MAX in seconds`);
  if (!test || !limits) return undefined;
  const { min, max } = limits;
  return onAnswer(test, stop, (message) =>
    mapRecords(message, (record) => ({ ...record, ttl: Math.min(max, Math.max(min, record.ttl)) })),
  );
}

const TTL_MAX = 2 ** 31 - 1;

function ttlRange(text: string): { min: number; max: number } | undefined {
  const [, low = '', dash, high = ''] = /^(\d{0,10})(-?)(\d{0,10})$/.exec(text) ?? [];
  if (low === '' && high === '') return undefined;
  const min = low === '' ? 0 : Number(low);
  const max = dash === '-' ? (high === '' ? TTL_MAX : Number(high)) : min;
  return min <= max && max <= TTL_MAX ? { min, max } : undefined;
}

/** `rcode [KIND] NAME FROM TO`. */
export function readRcodeRule(
  context: SetupContext,
  words: readonly Token[],
  stop: boolean,
  field: Token,
): RewriteRule | undefined {
  const { kind, rest } = takeKind(words);
  if (!hasArgs(context, field, rest, 3)) return undefined;
  const test = readTest(context, kind, rest[0]!);
  const [from, to] = rest.slice(1).map((token) => {
    const rcode = parseRcode(token.text);
    if (!rcode) context.fault(token, `"${token.text}" is not a response code such as NXDOMAIN`);
    return rcode;
  });
  if (!test || !from || !to) return undefined;
  return onAnswer(test, stop, (message) => (message.rcode === from ? { ...message, rcode: to } : message));
}

/** `cname [KIND] FROM TO`: an alias to FROM becomes one to TO, and TO is looked up in its place. */
export function readCnameRule(
  context: SetupContext,
  words: readonly Token[],
  stop: boolean,
  field: Token,
): RewriteRule | undefined {
  const { kind, rest } = takeKind(words);
  if (!hasArgs(context, field, rest, 2)) return undefined;
  const [from, to] = [rest[0]!, rest[1]!];
  const test = readTest(context, kind, from);
  if (!test) return undefined;
  const targetOf = cnameTarget(kind, test, from, to);
  const respond: Respond = async (message, { query, deps }) => {
    const at = message.answers.findIndex(
      (record) => record.type === 'CNAME' && targetOf(foldName(record.data.target)) !== undefined,
    );
    const alias = message.answers[at];
    if (alias?.type !== 'CNAME') return message;
    const target = parseName(targetOf(foldName(alias.data.target))!);
    if (target === undefined) return message;
    const { type, class: asked } = query.question;
    const found =
      type === 'CNAME' ? undefined : await deps.host.resolve(query, { name: target, type, class: asked });
    const answers = [
      ...message.answers.slice(0, at),
      { ...alias, data: { target } },
      ...(found?.answers ?? []),
    ];
    return {
      ...message,
      rcode: found?.rcode ?? message.rcode,
      answers,
      authorities: found?.authorities ?? [],
    };
  };
  return onAnswer(() => [], stop, respond);
}

function cnameTarget(
  kind: MatchKind,
  test: NameTest,
  from: Token,
  to: Token,
): (name: string) => string | undefined {
  const [a, b] = [foldName(from.text), foldName(to.text)];
  return (name) => {
    const groups = test(name);
    if (!groups) return undefined;
    switch (kind) {
      case 'exact':
        return absoluteName(b);
      case 'prefix':
        return b + name.slice(a.length);
      case 'suffix':
        return name.slice(0, -absoluteName(a).length) + absoluteName(b);
      case 'substring':
        return name.replaceAll(a, b);
      case 'regex':
        return absoluteName(fillGroups(to.text, groups));
    }
  };
}

function onAnswer(test: NameTest, stop: boolean, respond: Respond): RewriteRule {
  return { stop, apply: (query) => (test(query.name) ? { query, respond } : undefined) };
}

function hasArgs(context: SetupContext, field: Token, args: readonly Token[], count: number): boolean {
  return expectArgs(context, { name: field, args, body: undefined }, count, count);
}
