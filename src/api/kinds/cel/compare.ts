import { CelError } from './budget.ts';
import {
  CelDuration,
  type CelMap,
  CelOpaque,
  CelOptional,
  CelTimestamp,
  CelType,
  type CelValue,
  typeName,
} from './values.ts';

/** Equality over types: numbers by value, everything else only with its like. */
export function celEqual(a: CelValue, b: CelValue): boolean {
  if (a === b) return true;
  if (typeof a === 'bigint' || typeof a === 'number') {
    // Loose on purpose: 1 == 1.0.
    return (typeof b === 'bigint' || typeof b === 'number') && compareNumbers(a, b) === 0;
  }
  if (Array.isArray(a)) return Array.isArray(b) && equalLists(a, b);
  if (a instanceof Map) return b instanceof Map && equalMaps(a, b);
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  return equalBoxes(a, b);
}

function equalLists(a: readonly CelValue[], b: readonly CelValue[]): boolean {
  return a.length === b.length && a.every((one, index) => celEqual(one, b[index] ?? null));
}

function equalMaps(a: CelMap, b: CelMap): boolean {
  if (a.size !== b.size) return false;
  for (const [key, item] of a) {
    const other = b.get(key);
    if (other === undefined || !celEqual(item, other)) return false;
  }
  return true;
}

function equalBoxes(a: CelValue, b: CelValue): boolean {
  if (a instanceof CelTimestamp) return b instanceof CelTimestamp && a.ms === b.ms;
  if (a instanceof CelDuration) return b instanceof CelDuration && a.ms === b.ms;
  if (a instanceof CelType) return b instanceof CelType && a.name === b.name;
  if (a instanceof CelOpaque) return b instanceof CelOpaque && a.type === b.type && a.text === b.text;
  if (!(a instanceof CelOptional) || !(b instanceof CelOptional)) return false;
  if (a.value === undefined || b.value === undefined) return a.value === b.value;
  return celEqual(a.value, b.value);
}

function compareNumbers(a: bigint | number, b: bigint | number): number {
  // bigint and number compare exactly with < and >; NaN is unordered.
  return a < b ? -1 : a > b ? 1 : Number(a) === Number(b) ? 0 : Number.NaN;
}

export function celCompare(a: CelValue, b: CelValue): number {
  const numbers = (one: CelValue): one is bigint | number =>
    typeof one === 'bigint' || typeof one === 'number';
  if (numbers(a) && numbers(b)) return compareNumbers(a, b);
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if (a instanceof CelTimestamp && b instanceof CelTimestamp) return a.ms - b.ms;
  if (a instanceof CelDuration && b instanceof CelDuration) return a.ms - b.ms;
  throw new CelError(`no such overload: ${typeName(a)} and ${typeName(b)} cannot be ordered`);
}
