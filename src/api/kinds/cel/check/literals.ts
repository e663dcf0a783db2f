import { RE2JS } from 're2js';
import { timeMs } from '../../decode/time.ts';
import { parseDurationMs } from '../durations.ts';
import type { SourceError } from '../source-errors.ts';
import type { TypedExpression } from './checker.ts';
import { allParts, type Expression, type ExpressionOf } from './expression.ts';
import { type CelType, formatType, sameType } from './type.ts';

const fitsPattern = (text: string): boolean => {
  try {
    RE2JS.compile(text);
    return true;
  } catch {
    return false;
  }
};

/** Functions whose first argument, when it is a literal, must be of a form. */
const FORMS: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ['duration', (text) => parseDurationMs(text) !== undefined],
  ['timestamp', (text) => timeMs(text) !== undefined],
  ['matches', fitsPattern],
]);

/** What is wrong with the literals of an expression whose types fit: patterns, times, mixed lists and maps. */
export function literalErrors({ expression, typeOf }: TypedExpression): SourceError[] {
  // `'%d %s'.format([1, 'a'])` takes values of all types.
  const mixable = new Set<Expression>();
  const parts = allParts(expression);
  for (const node of parts)
    if (node.type === 'call' && node.name === 'format') for (const one of allParts(node)) mixable.add(one);
  return Array.from(parts).flatMap((node) => [
    ...(node.type === 'call' ? formErrors(node) : []),
    ...(mixable.has(node) ? [] : mixedErrors(node, typeOf)),
  ]);
}

function formErrors({ name, args }: ExpressionOf<'call'>): SourceError[] {
  const fits = FORMS.get(name);
  const [first] = args;
  if (!fits || first?.type !== 'literal' || typeof first.value !== 'string' || fits(first.value)) return [];
  return [{ at: first.at, message: `invalid ${name} argument` }];
}

type TypeOf = (item: Expression) => CelType;

/** Items of a list, keys and values of a map that are not all of one type. */
function mixedErrors(node: Expression, typeOf: TypeOf): SourceError[] {
  if (node.type === 'list') return oddOne(node.items, typeOf);
  if (node.type !== 'map') return [];
  const keys = node.entries.map(([key]) => key);
  const values = node.entries.map(([, value]) => value);
  return [...oddOne(keys, typeOf), ...oddOne(values, typeOf)];
}

function oddOne([first, ...rest]: readonly Expression[], typeOf: TypeOf): SourceError[] {
  if (!first) return [];
  const wanted = typeOf(first);
  const odd = rest.find((item) => !sameType(wanted, typeOf(item)));
  if (!odd) return [];
  const message = `expected type '${formatType(wanted)}' but found '${formatType(typeOf(odd))}'`;
  return [{ at: odd.at, message }];
}
