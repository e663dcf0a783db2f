import { type CelBudget, CelError } from './budget.ts';
import { type CelKey, type CelMap, CelOptional, type CelValue, typeName } from './values.ts';

/** One evaluation: variables by name, slots for those of macros. */
export interface Frame {
  readonly variables: Readonly<Record<string, CelValue | undefined>>;
  readonly slots: CelValue[];
  readonly budget: CelBudget;
}

/** A node made executable. */
export type Step = (frame: Frame) => CelValue;

export interface Scope {
  readonly declared: ReadonlySet<string>;
  /** Slots of the variables of macros around this place. */
  readonly locals: ReadonlyMap<string, number>;
  readonly slots: { count: number };
}

export function truth(value: CelValue): boolean {
  if (typeof value !== 'boolean') throw new CelError(`no such overload: ${typeName(value)} is not bool`);
  return value;
}

export function mapKey(key: CelValue): CelKey {
  if (typeof key === 'string' || typeof key === 'bigint' || typeof key === 'boolean') return key;
  throw new CelError(`unsupported key type: ${typeName(key)}`);
}

const ESCAPES: readonly (readonly [escape: string, text: string])[] = [
  ['__dot__', '.'],
  ['__dash__', '-'],
  ['__slash__', '/'],
  ['__underscores__', '__'],
];

/** Field names that are no identifiers are written escaped: `x__dash__y`, `__namespace__`. */
function unescapedField(field: string): string {
  const word = /^__([a-z]+)__$/.exec(field);
  if (word && !ESCAPES.some(([escape]) => escape === field)) return word[1] ?? field;
  let text = field;
  for (const [escape, plain] of ESCAPES) text = text.replaceAll(escape, plain);
  return text;
}

export function fieldOf(target: CelValue, field: string): CelValue | undefined {
  if (target instanceof CelOptional) {
    return target.value === undefined ? undefined : fieldOf(target.value, field);
  }
  if (!(target instanceof Map))
    throw new CelError(`type '${typeName(target)}' does not support field selection`);
  const map = target as CelMap;
  return map.get(field) ?? map.get(unescapedField(field));
}
