/** Bounds of a size (characters, bytes, items, entries) or of a cost (steps). Never above `UNBOUNDED`. */
export interface Estimate {
  readonly min: number;
  readonly max: number;
}

export const UNBOUNDED = 2 ** 64;
export const UNKNOWN: Estimate = { min: 0, max: UNBOUNDED };
export const NOTHING: Estimate = { min: 0, max: 0 };

const capped = (value: number): number => Math.min(value, UNBOUNDED);

export const fixed = (value: number): Estimate => ({ min: value, max: value });

export const sum = (...all: readonly Estimate[]): Estimate => ({
  min: capped(all.reduce((total, one) => total + one.min, 0)),
  max: capped(all.reduce((total, one) => total + one.max, 0)),
});

export const product = (a: Estimate, b: Estimate): Estimate => ({
  min: capped(a.min * b.min),
  max: capped(a.max * b.max),
});

/** Rounded up. */
export const scaled = (a: Estimate, factor: number): Estimate => ({
  min: capped(Math.ceil(a.min * factor)),
  max: capped(Math.ceil(a.max * factor)),
});

export const union = (a: Estimate, b: Estimate): Estimate => ({
  min: Math.min(a.min, b.min),
  max: Math.max(a.max, b.max),
});
