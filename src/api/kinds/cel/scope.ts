import type { Schema } from '../schema/schema.ts';
import { type CelBudget, CelError } from './budget.ts';
import { RESERVED } from './tokens.ts';
import { type CelKey, type CelMap, CelOptional, type CelValue, typeName } from './values.ts';

/** One evaluation: variables by name, slots for those of macros. */
export interface Frame {
  readonly variables: Readonly<Record<string, CelValue | undefined>>;
  readonly slots: CelValue[];
  readonly budget: CelBudget;
}

export type Step = (frame: Frame) => CelValue;

/** A node made executable; `schema` is what is known of its value, for finding misspelt fields. */
export interface Compiled {
  readonly run: Step;
  readonly schema: Schema | undefined;
}

export interface Scope {
  readonly declared: ReadonlyMap<string, Schema | undefined>;
  /** Variables of macros around this place. */
  readonly locals: ReadonlyMap<string, { readonly slot: number; readonly schema: Schema | undefined }>;
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

/** The schema of a field; throws when the type is known and has no such field. */
export function fieldSchema(target: Schema | undefined, field: string, at: number): Schema | undefined {
  if (!target || target.type === 'any' || target.preserveUnknown || target.embedded) return undefined;
  if (target.type !== 'object' && target.type !== 'map') {
    if (target.type === 'int-or-string' || target.type === 'quantity') return undefined;
    throw new CelError(`type '${target.type}' does not support field selection`, at);
  }
  // Of a declared object such fields are written escaped.
  const plain = target.type === 'object' && RESERVED.has(field) ? undefined : target.field(field);
  const found = plain ?? target.field(unescapedField(field));
  if (!found) throw new CelError(`undefined field '${field}'`, at);
  return found;
}
