import { timeMs } from '../decode/time.ts';
import { CelError } from './budget.ts';
import { parseDurationMs } from './durations.ts';
import type { FunctionTable } from './functions.ts';
import { CelDuration, CelTimestamp, type CelValue, typeName } from './values.ts';

function timestamp(value: CelValue | undefined): CelTimestamp {
  if (value instanceof CelTimestamp) return value;
  if (typeof value === 'bigint') return new CelTimestamp(Number(value) * 1000);
  const ms = timeMs(value);
  if (ms === undefined) throw new CelError(`cannot convert ${typeName(value ?? null)} to timestamp`);
  return new CelTimestamp(ms);
}

function duration(value: CelValue | undefined): CelDuration {
  if (value instanceof CelDuration) return value;
  const ms = typeof value === 'string' ? parseDurationMs(value) : undefined;
  if (ms === undefined) throw new CelError(`cannot convert ${typeName(value ?? null)} to duration`);
  return new CelDuration(ms);
}

type Part = (date: Date) => number;

/** A part of a timestamp, in UTC or at a fixed offset (`+02:00`). Named zones are refused. */
function part(ofDate: Part, ofDurationMs?: number) {
  return ([value, zone]: readonly CelValue[]): bigint => {
    if (value instanceof CelDuration && ofDurationMs !== undefined) {
      return BigInt(Math.trunc(value.ms / ofDurationMs));
    }
    if (!(value instanceof CelTimestamp)) {
      throw new CelError(`no such overload: ${typeName(value ?? null)} has no such part`);
    }
    return BigInt(ofDate(new Date(value.ms + offsetMs(zone))));
  };
}

function offsetMs(zone: CelValue | undefined): number {
  if (zone === undefined || zone === 'UTC' || zone === 'Z') return 0;
  const match = typeof zone === 'string' ? /^([+-]?)(\d{2}):(\d{2})$/.exec(zone) : null;
  if (!match) throw new CelError('only UTC and fixed offsets are known as time zones');
  const ms = (Number(match[2]) * 60 + Number(match[3])) * 60_000;
  return match[1] === '-' ? -ms : ms;
}

const DAY_MS = 86_400_000;
const dayOfYear: Part = (date) =>
  Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / DAY_MS);

export const TIME_FUNCTIONS: FunctionTable = {
  timestamp: [1, 1, ([value]) => timestamp(value)],
  duration: [1, 1, ([value]) => duration(value)],
  getFullYear: [1, 2, part((date) => date.getUTCFullYear())],
  getMonth: [1, 2, part((date) => date.getUTCMonth())],
  getDate: [1, 2, part((date) => date.getUTCDate())],
  getDayOfMonth: [1, 2, part((date) => date.getUTCDate() - 1)],
  getDayOfWeek: [1, 2, part((date) => date.getUTCDay())],
  getDayOfYear: [1, 2, part(dayOfYear)],
  getHours: [1, 2, part((date) => date.getUTCHours(), 3_600_000)],
  getMinutes: [1, 2, part((date) => date.getUTCMinutes(), 60_000)],
  getSeconds: [1, 2, part((date) => date.getUTCSeconds(), 1_000)],
  getMilliseconds: [1, 2, part((date) => date.getUTCMilliseconds(), 1)],
};
