import { RE2JS } from 're2js';
import { messageOf } from '../../../base/fault.ts';
import { type CelBudget, CelError } from './budget.ts';
import type { FunctionTable } from './functions.ts';
import { CEL_PATTERN_MAX_LENGTH } from './limits.ts';
import { bounded } from './operators.ts';
import { celEqual } from './compare.ts';
import { type CelValue, jsonFromCel, typeName } from './values.ts';

function text(value: CelValue | undefined): string {
  if (typeof value === 'string') return value;
  throw new CelError(`no such overload: expected string, got ${typeName(value ?? null)}`);
}

function integer(value: CelValue | undefined): number {
  if (typeof value === 'bigint') return Number(value);
  throw new CelError(`no such overload: expected int, got ${typeName(value ?? null)}`);
}

const PATTERNS_KEPT_MAX = 256;
const patterns = new Map<string, RE2JS>();

/** RE2 syntax, linear time; compiled patterns are kept. */
function patternOf(value: CelValue | undefined, budget: CelBudget): RE2JS {
  const source = text(value);
  if (source.length > CEL_PATTERN_MAX_LENGTH) throw new CelError('the pattern is too long');
  const known = patterns.get(source);
  if (known) return known;
  budget.spend(source.length * 10);
  try {
    const compiled = RE2JS.compile(source);
    if (patterns.size >= PATTERNS_KEPT_MAX) patterns.clear();
    patterns.set(source, compiled);
    return compiled;
  } catch (error) {
    throw new CelError(`error parsing regexp: ${messageOf(error)}`);
  }
}

function spendMatch(subject: string, pattern: CelValue | undefined, budget: CelBudget): void {
  budget.spend(1 + (subject.length * Math.max(1, text(pattern).length)) / 40);
}

function findAll(args: readonly CelValue[], budget: CelBudget): CelValue {
  const [subject, pattern, limit] = args;
  spendMatch(text(subject), pattern, budget);
  const most = limit === undefined ? Number.POSITIVE_INFINITY : integer(limit);
  const matcher = patternOf(pattern, budget).matcher(text(subject));
  const found: string[] = [];
  while (matcher.find()) {
    if (found.length === most) break;
    found.push(matcher.group() ?? '');
  }
  return found;
}

/** By code point, as CEL counts characters. */
function substring(args: readonly CelValue[]): string {
  const characters = Array.from(text(args[0]));
  const start = integer(args[1]);
  const end = args[2] === undefined ? characters.length : integer(args[2]);
  if (start < 0 || end > characters.length || start > end) throw new CelError('index out of range');
  return characters.slice(start, end).join('');
}

function charAt(args: readonly CelValue[]): string {
  const characters = Array.from(text(args[0]));
  const at = integer(args[1]);
  if (at < 0 || at > characters.length) throw new CelError('index out of range');
  return characters[at] ?? '';
}

/** Strings and lists both have it. */
function indexOf(args: readonly CelValue[], budget: CelBudget, last: boolean): bigint {
  const [container, item] = args;
  if (Array.isArray(container)) {
    const items = container as readonly CelValue[];
    budget.spend(items.length);
    const same = (one: CelValue): boolean => celEqual(one, item ?? null);
    return BigInt(last ? items.findLastIndex(same) : items.findIndex(same));
  }
  const subject = text(container);
  budget.spend(subject.length / 10);
  const from = args[2] === undefined ? undefined : integer(args[2]);
  const at = last ? subject.lastIndexOf(text(item), from) : subject.indexOf(text(item), from);
  return BigInt(at < 0 ? -1 : Array.from(subject.slice(0, at)).length);
}

function replace(args: readonly CelValue[], budget: CelBudget): string {
  const [subject, from, to] = [text(args[0]), text(args[1]), text(args[2])];
  budget.spend(subject.length / 10);
  const limit = args[3] === undefined ? -1 : integer(args[3]);
  const parts = subject.split(from);
  const count = limit < 0 ? parts.length - 1 : Math.min(limit, parts.length - 1);
  budget.spend((count * to.length) / 10);
  return bounded([parts.slice(0, count + 1).join(to), ...parts.slice(count + 1)].join(from));
}

function split(args: readonly CelValue[], budget: CelBudget): string[] {
  const [subject, separator] = [text(args[0]), text(args[1])];
  budget.spend(subject.length / 10);
  const limit = args[2] === undefined ? -1 : integer(args[2]);
  const parts = separator === '' ? Array.from(subject) : subject.split(separator);
  if (limit < 0 || parts.length <= limit) return parts;
  return limit === 0 ? [] : [...parts.slice(0, limit - 1), parts.slice(limit - 1).join(separator)];
}

function join(args: readonly CelValue[], budget: CelBudget): string {
  const items = Array.isArray(args[0]) ? (args[0] as readonly CelValue[]) : [];
  const separator = args[1] === undefined ? '' : text(args[1]);
  const parts = items.map(text);
  for (const part of parts) budget.spend(1 + (part.length + separator.length) / 10);
  return bounded(parts.join(separator));
}

/** `"%s of %d".format([a, b])`. */
function format(args: readonly CelValue[], budget: CelBudget): string {
  const values = Array.isArray(args[1]) ? (args[1] as readonly CelValue[]) : [];
  let next = 0;
  const made = text(args[0]).replace(
    /%(?:\.(\d{1,2}))?([sdfexXob%])/g,
    (_whole, digits: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      const value = values[next++];
      if (value === undefined) throw new CelError(`index ${next - 1} out of range`);
      return formatted(value, verb, digits);
    },
  );
  budget.spend(made.length / 10);
  return bounded(made);
}

function formatted(value: CelValue, verb: string, digits: string | undefined): string {
  const radix = { x: 16, X: 16, o: 8, b: 2 }[verb];
  if (radix !== undefined) {
    const shown = Number(jsonFromCel(value)).toString(radix);
    return verb === 'X' ? shown.toUpperCase() : shown;
  }
  if (verb === 'f') return Number(jsonFromCel(value)).toFixed(digits === undefined ? 6 : Number(digits));
  if (verb === 'e')
    return Number(jsonFromCel(value)).toExponential(digits === undefined ? 6 : Number(digits));
  const json = jsonFromCel(value);
  return typeof json === 'string' ? json : JSON.stringify(json);
}

const cased = (change: (ascii: string) => string, pattern: RegExp) => (args: readonly CelValue[]) =>
  text(args[0]).replace(pattern, change);

export const STRING_FUNCTIONS: FunctionTable = {
  contains: [2, 2, ([a, b], budget) => (budget.spend(text(a).length / 10), text(a).includes(text(b)))],
  startsWith: [2, 2, ([a, b]) => text(a).startsWith(text(b))],
  endsWith: [2, 2, ([a, b]) => text(a).endsWith(text(b))],
  matches: [
    2,
    2,
    ([subject, pattern], budget) => {
      spendMatch(text(subject), pattern, budget);
      return patternOf(pattern, budget).matcher(text(subject)).find();
    },
  ],
  find: [2, 2, (args, budget) => (findAll([...args, 1n], budget) as readonly string[])[0] ?? ''],
  findAll: [2, 3, findAll],
  charAt: [2, 2, charAt],
  indexOf: [2, 3, (args, budget) => indexOf(args, budget, false)],
  lastIndexOf: [2, 3, (args, budget) => indexOf(args, budget, true)],
  lowerAscii: [1, 1, cased((one) => one.toLowerCase(), /[A-Z]+/g)],
  upperAscii: [1, 1, cased((one) => one.toUpperCase(), /[a-z]+/g)],
  replace: [3, 4, replace],
  split: [2, 3, split],
  join: [1, 2, join],
  substring: [2, 3, substring],
  trim: [1, 1, ([value]) => text(value).trim()],
  format: [2, 2, format],
  'strings.quote': [1, 1, ([value]) => JSON.stringify(text(value))],
};
