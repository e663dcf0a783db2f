import { canonicalAddress, splitHostPort } from '../../src/net/ip.ts';
import { parseCidr } from '../../src/net/cidr.ts';

/** A value, or why it is none. */
export type Parsed<T> = { readonly value: T } | { readonly fault: string };

/** Reads one value as YAML or a flag gives it. Flags always give text. */
export type ValueParser<T> = (raw: unknown) => Parsed<T>;

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** What is not looked at. */
export const anything: ValueParser<unknown> = (raw) => ({ value: raw });

export const text: ValueParser<string> = (raw) =>
  typeof raw === 'string' ? { value: raw } : { fault: `must be a string, is ${show(raw)}` };

export const flag: ValueParser<boolean> = (raw) => {
  if (raw === true || raw === 'true') return { value: true };
  return raw === false || raw === 'false'
    ? { value: false }
    : { fault: `must be true or false, is ${show(raw)}` };
};

export function integer(min: number, max: number): ValueParser<number> {
  return (raw) => {
    const value = typeof raw === 'string' && /^[+-]?\d+$/.test(raw) ? Number(raw) : raw;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      return { fault: `must be a whole number from ${min} to ${max}, is ${show(raw)}` };
    return { value };
  };
}

export function number(min: number, max: number): ValueParser<number> {
  return (raw) => {
    const value = typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : raw;
    if (typeof value !== 'number' || !(value >= min && value <= max))
      return { fault: `must be a number from ${min} to ${max}, is ${show(raw)}` };
    return { value };
  };
}

/** A Go duration (`30s`, `1m30s`, `0`) in milliseconds, never negative. */
export const durationMs: ValueParser<number> = (raw) => {
  if (raw === 0 || raw === '0') return { value: 0 };
  const fault = { fault: `must be a duration such as 30s or 1m30s, is ${show(raw)}` };
  if (typeof raw !== 'string' || !/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(raw)) return fault;
  let totalMs = 0;
  for (const [, amount, unit] of raw.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    totalMs += Number(amount) * (DURATION_UNITS_MS[unit ?? ''] ?? 0);
  return { value: totalMs };
};

export function oneOf<const T extends string>(...choices: readonly T[]): ValueParser<T> {
  return (raw) =>
    choices.includes(raw as T)
      ? { value: raw as T }
      : { fault: `must be ${choices.map((choice) => choice || '""').join(', ')}, is ${show(raw)}` };
}

/** A list; a flag gives it with commas. Null is empty. */
export function list<T>(item: ValueParser<T>): ValueParser<readonly T[]> {
  return (raw) => {
    if (raw === null || raw === '') return { value: [] };
    const items: readonly unknown[] | undefined = Array.isArray(raw)
      ? raw
      : typeof raw === 'string'
        ? raw.split(',')
        : undefined;
    if (!items) return { fault: `must be a list, is ${show(raw)}` };
    const values: T[] = [];
    for (const each of items) {
      const parsed = item(each);
      if ('fault' in parsed) return { fault: `${show(each)}: ${parsed.fault}` };
      values.push(parsed.value);
    }
    return { value: values };
  };
}

export const cidr: ValueParser<string> = (raw) => {
  const trimmed = typeof raw === 'string' ? raw.trim() : '';
  return parseCidr(trimmed)
    ? { value: trimmed }
    : { fault: `must be a CIDR such as 10.0.0.0/8, is ${show(raw)}` };
};

export const cidrOrPrimary: ValueParser<string> = (raw) =>
  raw === 'primary' ? { value: 'primary' } : cidr(raw);

export const address: ValueParser<string> = (raw) => {
  const value = typeof raw === 'string' ? canonicalAddress(raw) : undefined;
  return value === undefined ? { fault: `must be an IP address, is ${show(raw)}` } : { value };
};

export interface BindAddress {
  /** Undefined = every address of both families. */
  readonly address: string | undefined;
  readonly port: number;
}

/** `ip:port`, `:port` or only an address with the default port; empty means not at all. */
export function bindAddress(defaultPort: number): ValueParser<BindAddress | undefined> {
  return (raw) => {
    if (raw === '') return { value: undefined };
    const fault = { fault: `must be IP:port, is ${show(raw)}` };
    if (typeof raw !== 'string') return fault;
    const bare = canonicalAddress(raw.replace(/^\[(.*)\]$/, '$1'));
    if (bare !== undefined) return { value: { address: bare, port: defaultPort } };
    const split = splitHostPort(raw);
    if (!split) return fault;
    const host = split.host === '' ? undefined : canonicalAddress(split.host);
    if (split.host !== '' && host === undefined) return fault;
    return { value: { address: host, port: split.port } };
  };
}

/** Feature gates: a map in YAML, `A=true,B=false` as a flag. */
export const gates: ValueParser<Readonly<Record<string, boolean>>> = (raw) => {
  if (raw === null || raw === '') return { value: {} };
  const entries =
    typeof raw === 'string'
      ? raw.split(',').map((pair) => pair.split('=', 2) as [string, string?])
      : typeof raw === 'object' && !Array.isArray(raw)
        ? Object.entries(raw)
        : undefined;
  if (!entries) return { fault: `must be a map of gates, is ${show(raw)}` };
  const value: Record<string, boolean> = {};
  for (const [name, on] of entries) {
    const parsed = flag(on);
    if ('fault' in parsed) return { fault: `${name} ${parsed.fault}` };
    value[name] = parsed.value;
  }
  return { value };
};

function show(raw: unknown): string {
  return JSON.stringify(raw) ?? 'missing';
}
