import { describe, expect, it } from 'vitest';
import { dueTime, parseSchedule } from '../../src/controllers/batch/schedule.ts';

const ms = (text: string): number => Date.parse(text);
const next = (schedule: string, after: string, zone?: string): string | undefined => {
  const time = parseSchedule(schedule, zone)?.(ms(after));
  return time === undefined ? undefined : new Date(time).toISOString();
};

describe('schedule', () => {
  it.each([
    ['every minute', '* * * * *', '2026-01-01T00:00:00Z', undefined, '2026-01-01T00:01:00.000Z'],
    ['steps', '*/15 * * * *', '2026-01-01T00:16:00Z', undefined, '2026-01-01T00:30:00.000Z'],
    ['words', '0 4 * feb mon', '2026-01-01T00:00:00Z', undefined, '2026-02-02T04:00:00.000Z'],
    ['a macro', '@monthly', '2026-01-15T00:00:00Z', undefined, '2026-02-01T00:00:00.000Z'],
    ['an interval', '@every 1h30m', '2026-01-01T00:00:00Z', undefined, '2026-01-01T01:30:00.000Z'],
    ['day of month or of week', '0 0 13 * 5', '2026-01-01T00:00:00Z', undefined, '2026-01-02T00:00:00.000Z'],
    ['a zone', '0 9 * * *', '2026-01-01T00:00:00Z', 'America/New_York', '2026-01-01T14:00:00.000Z'],
    ['a zone in summer', '0 9 * * *', '2026-07-01T00:00:00Z', 'America/New_York', '2026-07-01T13:00:00.000Z'],
    ['a question mark', '0 0 ? * 1', '2026-01-01T00:00:00Z', undefined, '2026-01-05T00:00:00.000Z'],
    ['a day that never comes', '0 0 30 2 *', '2026-01-01T00:00:00Z', undefined, undefined],
  ])('%s', (_name, schedule, after, zone, expected) => {
    expect(next(schedule, after, zone)).toBe(expected);
  });

  it.each(['', '* * * *', '* * * * * *', '61 * * * *', '@every', '@every soon', '@sometimes'])(
    'refuses %j',
    (text) => {
      expect(parseSchedule(text)).toBeUndefined();
    },
  );

  it('finds the newest due time and counts those before it', () => {
    const hourly = parseSchedule('0 * * * *');
    if (!hourly) throw new Error('no schedule');
    const due = dueTime(hourly, ms('2026-01-01T00:30:00Z'), ms('2026-01-01T03:10:00Z'), 100);
    expect(due).toEqual({
      dueMs: ms('2026-01-01T03:00:00Z'),
      missed: 2,
      nextMs: ms('2026-01-01T04:00:00Z'),
    });
    expect(dueTime(hourly, ms('2026-01-01T03:00:00Z'), ms('2026-01-01T03:10:00Z'), 100).dueMs).toBe(
      undefined,
    );
  });

  it('gets over years of missed minutes in few steps', () => {
    const minutes = parseSchedule('* * * * *');
    let calls = 0;
    const counted = (afterMs: number): number | undefined => {
      calls++;
      return minutes?.(afterMs);
    };
    const due = dueTime(counted, ms('2020-01-01T00:00:00Z'), ms('2026-01-01T00:00:30Z'), 100);
    expect(due.dueMs).toBe(ms('2026-01-01T00:00:00Z'));
    expect(due.nextMs).toBe(ms('2026-01-01T00:01:00Z'));
    expect(due.missed).toBeGreaterThan(100);
    expect(calls).toBeLessThan(300);
  });
});
