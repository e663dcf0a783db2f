import { sameValue } from '../base/same-value.ts';

/** Equal but for zeros and empty lists, which may be left out on the wire. */
export function sameStatus(a: object | undefined, b: object | undefined): boolean {
  return sameValue(withoutZeros(a), withoutZeros(b));
}

/** What stays of a status without what may be left out on the wire. */
export function withoutZeros(status: object | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(status ?? {}).filter(
      ([, value]) => value !== 0 && value !== undefined && !(Array.isArray(value) && value.length === 0),
    ),
  );
}
