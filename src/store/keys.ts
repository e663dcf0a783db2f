import { Fault } from '../base/fault.ts';
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from './limits.ts';
import { STORE_INVALID } from './store.ts';

/** @throws Fault STORE_INVALID for an empty, too long or ill-formed (lone surrogate) key. */
export function checkKey(key: string): void {
  if (key === '') throw new Fault(STORE_INVALID, 'the key is empty');
  if (!key.isWellFormed()) throw new Fault(STORE_INVALID, 'the key is not well-formed Unicode');
  // A UTF-16 unit takes at most 3 bytes of UTF-8, so short keys need no count.
  if (key.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX) {
    throw new Fault(STORE_INVALID, `the key is longer than ${KEY_BYTES_MAX} bytes`);
  }
}

/** @throws Fault STORE_INVALID */
export function checkValue(key: string, value: Uint8Array): void {
  if (value.byteLength <= VALUE_BYTES_MAX) return;
  const text = `the value of ${key} has ${value.byteLength} bytes, more than ${VALUE_BYTES_MAX}`;
  throw new Fault(STORE_INVALID, text);
}

/**
 * Order of UTF-8 bytes, which is the order of code points. It differs from the order of UTF-16 units only
 * where a surrogate meets a unit from U+E000 up.
 */
export function compareKeys(left: string, right: string): number {
  if (left === right) return 0;
  const byUnits = left < right ? -1 : 1;
  return SURROGATE.test(left) || SURROGATE.test(right) ? compareCodePoints(left, right) : byUnits;
}

export const SURROGATE = /[\ud800-\udfff]/;

function compareCodePoints(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

/** Moves surrogates above all other units: they stand for code points from U+10000 up. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
