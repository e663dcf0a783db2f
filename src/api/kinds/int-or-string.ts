import type { IntOrString } from './meta.ts';

/** The percentage of `25%`, undefined when the text is no percentage. */
export function percentOf(value: unknown): number | undefined {
  const match = typeof value === 'string' ? /^(\d{1,9})%$/.exec(value) : null;
  return match ? Number(match[1]) : undefined;
}

/**
 * The number an IntOrString means out of `total`: numbers as they are, `25%` of the total rounded as asked.
 * Undefined when it is neither.
 */
export function scaledValue(
  value: IntOrString | undefined,
  total: number,
  roundUp: boolean,
): number | undefined {
  if (typeof value === 'number') return value;
  const percent = percentOf(value);
  if (percent === undefined) return undefined;
  const exact = (total * percent) / 100;
  return roundUp ? Math.ceil(exact) : Math.floor(exact);
}
