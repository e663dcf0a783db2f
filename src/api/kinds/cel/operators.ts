import { CelError, type CelBudget } from './budget.ts';
import { CEL_VALUE_MAX_LENGTH } from './limits.ts';
import { celCompare, celEqual } from './compare.ts';
import { CelDuration, CelTimestamp, type CelMap, type CelValue, sizeOf, typeName } from './values.ts';

type Binary = (left: CelValue, right: CelValue, budget: CelBudget) => CelValue;

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;

export function checkedInt(value: bigint): bigint {
  if (value < INT_MIN || value > INT_MAX) throw new CelError('integer overflow');
  return value;
}

function noOverload(operator: string, left: CelValue, right: CelValue): CelError {
  return new CelError(`no such overload: ${typeName(left)} ${operator} ${typeName(right)}`);
}

/** Both as ints, or both as doubles when one is; undefined when one is no number. */
function arithmetic(
  operator: string,
  left: CelValue,
  right: CelValue,
  ints: (a: bigint, b: bigint) => bigint,
  doubles: (a: number, b: number) => number,
): CelValue {
  if (typeof left === 'bigint' && typeof right === 'bigint') return checkedInt(ints(left, right));
  const numbers = (one: CelValue): one is bigint | number =>
    typeof one === 'bigint' || typeof one === 'number';
  // JSON does not tell 2 from 2.0: a double field that holds a whole number meets doubles as one.
  if (numbers(left) && numbers(right)) return doubles(Number(left), Number(right));
  throw noOverload(operator, left, right);
}

function add(left: CelValue, right: CelValue, budget: CelBudget): CelValue {
  if (typeof left === 'string' && typeof right === 'string') {
    budget.spend((left.length + right.length) / 10);
    return bounded(left + right);
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    budget.spend(left.length + right.length);
    return bounded([...(left as CelValue[]), ...(right as CelValue[])]);
  }
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    budget.spend((left.length + right.length) / 10);
    return bounded(Buffer.concat([left, right]));
  }
  if (left instanceof CelTimestamp && right instanceof CelDuration)
    return new CelTimestamp(left.ms + right.ms);
  if (left instanceof CelDuration && right instanceof CelTimestamp)
    return new CelTimestamp(left.ms + right.ms);
  if (left instanceof CelDuration && right instanceof CelDuration) return new CelDuration(left.ms + right.ms);
  return arithmetic(
    '+',
    left,
    right,
    (a, b) => a + b,
    (a, b) => a + b,
  );
}

export function bounded<T extends { readonly length: number }>(value: T): T {
  if (value.length > CEL_VALUE_MAX_LENGTH) throw new CelError('the value is too long');
  return value;
}

function subtract(left: CelValue, right: CelValue): CelValue {
  if (left instanceof CelTimestamp) {
    if (right instanceof CelTimestamp) return new CelDuration(left.ms - right.ms);
    if (right instanceof CelDuration) return new CelTimestamp(left.ms - right.ms);
  }
  if (left instanceof CelDuration && right instanceof CelDuration) return new CelDuration(left.ms - right.ms);
  return arithmetic(
    '-',
    left,
    right,
    (a, b) => a - b,
    (a, b) => a - b,
  );
}

function nonZero(value: bigint, what: string): bigint {
  if (value === 0n) throw new CelError(what);
  return value;
}

export function contains(container: CelValue, item: CelValue, budget: CelBudget): boolean {
  if (Array.isArray(container)) {
    budget.spend(container.length);
    return (container as readonly CelValue[]).some((one) => celEqual(one, item));
  }
  if (container instanceof Map) {
    return typeof item !== 'object' && mapGet(container as CelMap, item) !== undefined;
  }
  throw noOverload('in', item, container);
}

/** Number keys are found by value: 1 and 1.0 are one key. */
export function mapGet(map: CelMap, key: CelValue): CelValue | undefined {
  if (typeof key === 'number' && Number.isInteger(key)) return map.get(key) ?? map.get(BigInt(key));
  if (typeof key === 'string' || typeof key === 'bigint' || typeof key === 'boolean') return map.get(key);
  return undefined;
}

const compared =
  (test: (order: number) => boolean): Binary =>
  (left, right, budget) => {
    if (typeof left === 'string') budget.spend(left.length / 10);
    return test(celCompare(left, right));
  };

function equal(left: CelValue, right: CelValue, budget: CelBudget): boolean {
  if (typeof left === 'object') budget.spend(Math.min(sizeOf(left), sizeOf(right)));
  else if (typeof left === 'string') budget.spend(left.length / 10);
  return celEqual(left, right);
}

export const BINARY: ReadonlyMap<string, Binary> = new Map<string, Binary>([
  ['==', equal],
  ['!=', (left, right, budget) => !equal(left, right, budget)],
  ['<', compared((order) => order < 0)],
  ['<=', compared((order) => order <= 0)],
  ['>', compared((order) => order > 0)],
  ['>=', compared((order) => order >= 0)],
  ['in', (left, right, budget) => contains(right, left, budget)],
  ['+', add],
  ['-', subtract],
  [
    '*',
    (left, right) =>
      arithmetic(
        '*',
        left,
        right,
        (a, b) => a * b,
        (a, b) => a * b,
      ),
  ],
  [
    '/',
    (left, right) =>
      arithmetic(
        '/',
        left,
        right,
        (a, b) => a / nonZero(b, 'division by zero'),
        (a, b) => a / b,
      ),
  ],
  [
    '%',
    (left, right) => {
      if (typeof left !== 'bigint' || typeof right !== 'bigint') throw noOverload('%', left, right);
      return left % nonZero(right, 'modulus by zero');
    },
  ],
]);
