/** Notation a quantity was written in and is printed in again. */
type QuantityFormat = 'decimal' | 'binary' | 'exponent';

/** A resource.Quantity: `nano` is the value times 10^9, exact. */
export interface Quantity {
  readonly nano: bigint;
  readonly format: QuantityFormat;
}

const NANO_PER_UNIT = 1_000_000_000n;
/** Larger magnitudes are capped, as upstream does: 2^63 - 1 units. */
const MAX_NANO = (2n ** 63n - 1n) * NANO_PER_UNIT;
/** Longer texts are no quantities: bounds the work of parsing. */
const MAX_QUANTITY_LENGTH = 64;

const DECIMAL_EXPONENTS: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const;
const DECIMAL_SUFFIXES = Object.entries(DECIMAL_EXPONENTS).map(([suffix, exponent]) => ({
  suffix,
  exponent,
}));

/** The message of a value that is none, as upstream words it. */
export const QUANTITY_ERROR =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/** Parses `100m`, `1.5Gi`, `1e3`, or a JSON number. Undefined when it is no quantity. Below a nano is rounded up. */
export function parseQuantity(value: unknown): Quantity | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? parseQuantity(String(value)) : undefined;
  if (typeof value !== 'string' || value.length > MAX_QUANTITY_LENGTH) return undefined;
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|[eE]([+-]?\d+)|([numkMGTPE]?))$/.exec(value.trim());
  if (!match) return undefined;
  const [, sign, whole = '', fraction = '', binary, exponent, decimal] = match;
  if (whole === '' && fraction === '') return undefined;
  const digits = BigInt(`${whole}${fraction}`);
  const nano = binary
    ? scaled(digits << BigInt(10 * BINARY_SUFFIXES.indexOf(binary as 'Ki')), 9 - fraction.length)
    : scaled(digits, decimalExponent(exponent, decimal) + 9 - fraction.length);
  const capped = nano > MAX_NANO ? MAX_NANO : nano;
  return {
    nano: sign === '-' ? -capped : capped,
    format: binary ? 'binary' : exponent !== undefined ? 'exponent' : 'decimal',
  };
}

function decimalExponent(exponent: string | undefined, suffix: string | undefined): number {
  if (exponent !== undefined) return Math.max(-40, Math.min(40, Number(exponent)));
  return DECIMAL_EXPONENTS[suffix ?? ''] ?? 0;
}

/** digits * 10^power, rounded up. */
function scaled(digits: bigint, power: number): bigint {
  if (power >= 0) return digits * 10n ** BigInt(power);
  const divisor = 10n ** BigInt(-power);
  return (digits + divisor - 1n) / divisor;
}

/** Canonical text: no fraction, the largest suffix that keeps the number whole. */
export function formatQuantity({ nano, format }: Quantity): string {
  if (nano === 0n) return '0';
  const sign = nano < 0n ? '-' : '';
  const size = nano < 0n ? -nano : nano;
  if (format === 'binary' && size >= 1024n * NANO_PER_UNIT) return sign + formatBinary(size);
  let power = -9;
  let digits = size;
  while (power < 18 && digits % 1000n === 0n) {
    digits /= 1000n;
    power += 3;
  }
  if (format === 'exponent') return `${sign}${digits}${power === 0 ? '' : `e${power}`}`;
  return `${sign}${digits}${DECIMAL_SUFFIXES.find((one) => one.exponent === power)?.suffix ?? ''}`;
}

function formatBinary(nano: bigint): string {
  let digits = (nano + NANO_PER_UNIT - 1n) / NANO_PER_UNIT;
  let step = 0;
  while (step < BINARY_SUFFIXES.length - 1 && digits % 1024n === 0n) {
    digits /= 1024n;
    step += 1;
  }
  return `${digits}${BINARY_SUFFIXES[step]}`;
}

/** Canonical text of a quantity, undefined when it is none. */
export function canonicalQuantity(value: unknown): string | undefined {
  const quantity = parseQuantity(value);
  return quantity && formatQuantity(quantity);
}

/** Negative, zero or positive like a sort callback; undefined when either is no quantity. */
export function compareQuantities(a: unknown, b: unknown): number | undefined {
  const [left, right] = [parseQuantity(a), parseQuantity(b)];
  if (!left || !right) return undefined;
  return left.nano < right.nano ? -1 : left.nano > right.nano ? 1 : 0;
}

/** Whole units, rounded up: 100m cpu is 1. */
export function quantityUnits(quantity: Quantity): number {
  return Number((quantity.nano + NANO_PER_UNIT - 1n) / NANO_PER_UNIT);
}

/** Thousandths, rounded up: 1.5 cpu is 1500. */
export function quantityMillis(quantity: Quantity): number {
  return Number((quantity.nano + 999_999n) / 1_000_000n);
}
