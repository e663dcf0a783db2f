import { type CelBudget, CelError } from './budget.ts';
import type { FunctionTable } from './functions.ts';
import { BINARY } from './operators.ts';
import { celCompare, celEqual } from './compare.ts';
import { CEL_VALUE_MAX_LENGTH } from './limits.ts';
import { CelOptional, type CelValue, typeName } from './values.ts';

function list(value: CelValue | undefined, budget: CelBudget): readonly CelValue[] {
  if (!Array.isArray(value))
    throw new CelError(`no such overload: expected list, got ${typeName(value ?? null)}`);
  budget.spend(value.length);
  return value as readonly CelValue[];
}

function has(items: readonly CelValue[], item: CelValue, budget: CelBudget): boolean {
  budget.spend(items.length);
  return items.some((one) => celEqual(one, item));
}

function extreme(args: readonly CelValue[], budget: CelBudget, sign: 1 | -1): CelValue {
  const items = list(args[0], budget);
  const [first] = items;
  if (first === undefined) throw new CelError('min/max called on empty list');
  return items.reduce((best, one) => (celCompare(one, best) * sign > 0 ? one : best), first);
}

function sum(args: readonly CelValue[], budget: CelBudget): CelValue {
  const items = list(args[0], budget);
  const add = BINARY.get('+');
  const [first, ...rest] = items;
  if (first === undefined || !add) return 0n;
  return rest.reduce<CelValue>((total, one) => add(total, one, budget), first);
}

function isSorted(args: readonly CelValue[], budget: CelBudget): boolean {
  const items = list(args[0], budget);
  return items.every((one, index) => index === 0 || celCompare(items[index - 1] ?? one, one) <= 0);
}

function distinct(args: readonly CelValue[], budget: CelBudget): CelValue {
  const kept: CelValue[] = [];
  for (const one of list(args[0], budget)) if (!has(kept, one, budget)) kept.push(one);
  return kept;
}

function slice(args: readonly CelValue[], budget: CelBudget): CelValue {
  const [start, end] = [Number(args[1]), Number(args[2])];
  const items = list(args[0], budget);
  if (!(start >= 0 && start <= end && end <= items.length)) throw new CelError('index out of range');
  return items.slice(start, end);
}

function flatten([value, depth]: readonly CelValue[], budget: CelBudget): CelValue {
  const levels = depth === undefined ? 1 : Number(depth);
  if (!(levels >= 0)) throw new CelError('level must be non-negative');
  const items = list(value, budget);
  if (levels === 0) return items;
  return items.flatMap((one) => (Array.isArray(one) ? flatten([one, BigInt(levels - 1)], budget) : one));
}

function unwrapped([value]: readonly CelValue[], budget: CelBudget): CelValue {
  return list(value, budget).flatMap((one) => {
    if (!(one instanceof CelOptional)) throw new CelError(`value ${typeName(one)} is not optional`);
    return one.value === undefined ? [] : [one.value];
  });
}

function range([count]: readonly CelValue[], budget: CelBudget): CelValue {
  const length = Number(count);
  if (!(length <= CEL_VALUE_MAX_LENGTH)) throw new CelError('the value is too long');
  budget.spend(Math.max(0, length));
  return Array.from({ length: Math.max(0, length) }, (_, index) => BigInt(index));
}

/** Methods of lists and the `sets` extension; both sides of a set operation are plain lists. */
export const LIST_FUNCTIONS: FunctionTable = {
  isSorted: [1, 1, isSorted],
  sum: [1, 1, sum],
  min: [1, 1, (args, budget) => extreme(args, budget, -1)],
  max: [1, 1, (args, budget) => extreme(args, budget, 1)],
  distinct: [1, 1, distinct],
  slice: [3, 3, slice],
  reverse: [
    1,
    1,
    ([value], budget) =>
      typeof value === 'string' ? Array.from(value).reverse().join('') : list(value, budget).toReversed(),
  ],
  sort: [1, 1, ([value], budget) => list(value, budget).toSorted(celCompare)],
  flatten: [1, 2, flatten],
  first: [1, 1, ([value], budget) => new CelOptional(list(value, budget)[0])],
  last: [1, 1, ([value], budget) => new CelOptional(list(value, budget).at(-1))],
  unwrapOpt: [1, 1, unwrapped],
  'optional.unwrap': [1, 1, unwrapped],
  'lists.range': [1, 1, range],
  'sets.contains': [
    2,
    2,
    ([a, b], budget) => list(b, budget).every((one) => has(list(a, budget), one, budget)),
  ],
  'sets.intersects': [
    2,
    2,
    ([a, b], budget) => list(b, budget).some((one) => has(list(a, budget), one, budget)),
  ],
  'sets.equivalent': [
    2,
    2,
    ([a, b], budget) =>
      list(b, budget).every((one) => has(list(a, budget), one, budget)) &&
      list(a, budget).every((one) => has(list(b, budget), one, budget)),
  ],
};
