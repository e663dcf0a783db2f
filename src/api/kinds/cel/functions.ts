import { type CelBudget, CelError } from './budget.ts';
import { AUTHORIZER_FUNCTIONS } from './functions-authorizer.ts';
import { FORMAT_FUNCTIONS } from './functions-format.ts';
import { LIST_FUNCTIONS } from './functions-lists.ts';
import { NET_FUNCTIONS } from './functions-net.ts';
import { SEMVER_FUNCTIONS } from './functions-semver.ts';
import { STRING_FUNCTIONS } from './functions-strings.ts';
import { TIME_FUNCTIONS } from './functions-time.ts';
import { checkedInt } from './operators.ts';
import {
  CelDuration,
  CelOpaque,
  CelOptional,
  CelTimestamp,
  CelType,
  type CelValue,
  jsonFromCel,
  typeName,
} from './values.ts';

/** A function or method: the receiver is the first argument. */
export interface CelFunction {
  readonly least: number;
  readonly most: number;
  readonly apply: (args: readonly CelValue[], budget: CelBudget) => CelValue;
}

export type FunctionTable = Readonly<
  Record<string, readonly [least: number, most: number, CelFunction['apply']]>
>;

/** `sets.contains(a, b)` is one name, not a method of a variable. */
export const NAMESPACES: ReadonlySet<string> = new Set([
  'sets',
  'optional',
  'lists',
  'strings',
  'ip',
  'format',
]);

function fail(what: string, value: CelValue | undefined): never {
  throw new CelError(`no such overload: ${what}(${value === undefined ? '' : typeName(value)})`);
}

function toInt(value: CelValue | undefined): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new CelError('integer overflow');
    return checkedInt(BigInt(Math.trunc(value)));
  }
  if (typeof value === 'string' && /^[+-]?\d{1,20}$/.test(value))
    return checkedInt(BigInt(value.replace(/^\+/, '')));
  if (value instanceof CelTimestamp) return BigInt(Math.floor(value.ms / 1000));
  if (typeof value === 'string') throw new CelError(`cannot convert string ${JSON.stringify(value)} to int`);
  return fail('int', value);
}

function toDouble(value: CelValue | undefined): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value))) return Number(value);
  return fail('double', value);
}

function toText(value: CelValue | undefined): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (value instanceof CelTimestamp) return new Date(value.ms).toISOString().replace('.000Z', 'Z');
  if (value instanceof CelDuration) return `${value.ms / 1000}s`;
  if (value instanceof CelOpaque) return value.text;
  return fail('string', value);
}

function toBool(value: CelValue | undefined): boolean {
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'True' || value === 'TRUE' || value === 't' || value === '1') return true;
  if (value === 'false' || value === 'False' || value === 'FALSE' || value === 'f' || value === '0')
    return false;
  return fail('bool', value);
}

function size(value: CelValue | undefined, budget: CelBudget): bigint {
  if (typeof value === 'string') {
    budget.spend(value.length / 10);
    let count = 0;
    for (const _ of value) count++;
    return BigInt(count);
  }
  if (value instanceof Map) return BigInt(value.size);
  if (value instanceof Uint8Array || Array.isArray(value)) return BigInt(value.length);
  return fail('size', value);
}

function optional(value: CelValue | undefined): CelOptional {
  return value instanceof CelOptional ? value : fail('optional', value);
}

const CORE: FunctionTable = {
  size: [1, 1, ([value], budget) => size(value, budget)],
  int: [1, 1, ([value]) => toInt(value)],
  uint: [1, 1, ([value]) => toInt(value)],
  double: [1, 1, ([value]) => toDouble(value)],
  string: [1, 1, ([value]) => toText(value)],
  bool: [1, 1, ([value]) => toBool(value)],
  bytes: [1, 1, ([value]) => (typeof value === 'string' ? Buffer.from(value) : fail('bytes', value))],
  dyn: [1, 1, ([value]) => value ?? null],
  type: [1, 1, ([value]) => new CelType(typeName(value ?? null))],
  'optional.of': [1, 1, ([value]) => new CelOptional(value)],
  'optional.none': [0, 0, () => new CelOptional(undefined)],
  'optional.ofNonZeroValue': [1, 1, ([value]) => new CelOptional(isZero(value ?? null) ? undefined : value)],
  hasValue: [1, 1, ([value]) => optional(value).value !== undefined],
  orValue: [2, 2, ([value, other]) => optional(value).value ?? other ?? null],
  or: [2, 2, ([value, other]) => (optional(value).value === undefined ? optional(other) : optional(value))],
  value: [
    1,
    1,
    ([given]) => {
      const { value } = optional(given);
      if (value === undefined) throw new CelError('optional.none() dereference');
      return value;
    },
  ],
};

function isZero(value: CelValue): boolean {
  const json = jsonFromCel(value);
  if (Array.isArray(json)) return json.length === 0;
  if (typeof json === 'object' && json !== null) return Object.keys(json).length === 0;
  return json === null || json === '' || json === 0 || json === false;
}

export const FUNCTIONS: ReadonlyMap<string, CelFunction> = new Map(
  [
    CORE,
    STRING_FUNCTIONS,
    LIST_FUNCTIONS,
    NET_FUNCTIONS,
    TIME_FUNCTIONS,
    SEMVER_FUNCTIONS,
    FORMAT_FUNCTIONS,
    AUTHORIZER_FUNCTIONS,
  ].flatMap((table) =>
    Object.entries(table).map(([name, [least, most, apply]]) => [name, { least, most, apply }] as const),
  ),
);
