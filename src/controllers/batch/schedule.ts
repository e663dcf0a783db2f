import { Cron } from 'croner';

/** A CronJob's schedule: the next time after one, both in ms since the epoch; undefined when there is none. */
export type Schedule = (afterMs: number) => number | undefined;

const MACROS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const UNIT_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
  ns: 0.000_001,
};

/**
 * Reads five fields, a macro or `@every DURATION`, in the zone (UTC when absent). Day of month and day of week
 * are alternatives unless one of them is a star, as in cron(8). Undefined for what is no schedule.
 */
export function parseSchedule(text: string, timeZone = 'UTC'): Schedule | undefined {
  const trimmed = text.trim();
  const every = /^@every\s+(.+)$/.exec(trimmed);
  if (every) return intervalSchedule(every[1] ?? '');
  const pattern = (MACROS[trimmed] ?? trimmed).replaceAll('?', '*');
  if (pattern.split(/\s+/).length !== 5) return undefined;
  const [, , dayOfMonth = '', , dayOfWeek = ''] = pattern.split(/\s+/);
  const domAndDow = dayOfMonth.startsWith('*') || dayOfWeek.startsWith('*');
  try {
    // Never started: no function is given, so croner sets no timer.
    const cron = new Cron(pattern, { timezone: timeZone, domAndDow, mode: '5-part' });
    return (afterMs) => cron.nextRun(new Date(afterMs))?.getTime();
  } catch {
    return undefined;
  }
}

/** Go's duration, for example 1h30m; whole seconds, at least one (robfig/cron ConstantDelaySchedule). */
function intervalSchedule(text: string): Schedule | undefined {
  if (!/^(\d+(\.\d+)?(h|ms|us|ns|m|s))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  }
  const intervalMs = Math.max(1_000, Math.floor(totalMs / 1_000) * 1_000);
  return (afterMs) => afterMs - (afterMs % 1_000) + intervalMs;
}

export interface DueTime {
  /** The latest time that has come. */
  readonly dueMs: number | undefined;
  /** How many came before it and are skipped, counted up to the bound. */
  readonly missed: number;
  /** The next time to come. */
  readonly nextMs: number | undefined;
}

/** The newest time in (afterMs, nowMs]; walks at most `maxSteps` times, then jumps. */
export function dueTime(schedule: Schedule, afterMs: number, nowMs: number, maxSteps: number): DueTime {
  let dueMs: number | undefined;
  let missed = -1;
  let next = schedule(afterMs);
  for (let step = 0; next !== undefined && next <= nowMs; step++) {
    missed++;
    dueMs = next;
    const following = schedule(next);
    // Too many to walk through: halve the way to now until the rest is short.
    const far = step >= maxSteps && following !== undefined && nowMs - following > following - next;
    const jump = far ? schedule(following + Math.floor((nowMs - following) / 2)) : following;
    next = far && (jump === undefined || jump > nowMs) ? following : jump;
  }
  return { dueMs, missed: Math.max(0, missed), nextMs: next };
}
