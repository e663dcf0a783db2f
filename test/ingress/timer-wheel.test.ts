import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WHEEL_TICK_MS } from '../../ingress/limits.ts';
import { Deadline, TimerWheel } from '../../ingress/timer-wheel.ts';
import type { Clock } from '../../src/base/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** A clock that jumps: everything due is called late, at the end of the jump. */
class StalledClock implements Clock {
  #nowMs = 0;
  #due: { atMs: number; callback: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }
  monotonicMs(): number {
    return this.#nowMs;
  }
  setTimer(delayMs: number, callback: () => void): Disposable {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#due.push(timer);
    return { [Symbol.dispose]: () => void (this.#due = this.#due.filter((each) => each !== timer)) };
  }
  jump(ms: number): void {
    this.#nowMs += ms;
    const due = this.#due.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#due = this.#due.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { callback } of due) callback();
  }
}

describe('TimerWheel', () => {
  test('expires once, late by at most a tick', async () => {
    const clock = new FakeClock();
    using wheel = new TimerWheel({ clock });
    const expired: number[] = [];
    const entry = new Deadline(() => expired.push(clock.monotonicMs()));
    wheel.arm(entry, 1_000);
    await clock.advance(5_000);
    expect(expired).toHaveLength(1);
    expect(expired[0]).toBeGreaterThanOrEqual(1_000);
    expect(expired[0]).toBeLessThanOrEqual(1_000 + 2 * WHEEL_TICK_MS);
  });

  test('has no timer while nothing is armed', async () => {
    const clock = new FakeClock();
    using wheel = new TimerWheel({ clock });
    const entry = new Deadline(() => {});
    wheel.arm(entry, 100);
    wheel.remove(entry);
    await clock.advance(WHEEL_TICK_MS);
    expect(clock.pendingTimers).toBe(0);
  });

  test('an entry that removes its neighbours leaves the others alone', async () => {
    const clock = new FakeClock();
    using wheel = new TimerWheel({ clock });
    const expired: number[] = [];
    const entries = Array.from({ length: 9 }, (_, n) => {
      const entry: Deadline = new Deadline(() => {
        expired.push(n);
        for (const other of [entries[n - 1], entries[n + 1]]) if (other) wheel.remove(other);
      });
      return entry;
    });
    for (const entry of entries) wheel.arm(entry, 200);
    await clock.advance(1_000);
    const gone = new Set(expired.flatMap((n) => [n - 1, n, n + 1]));
    expect([...gone].filter((n) => n >= 0 && n < 9)).toHaveLength(9);
  });

  test('a stall of the process ends nobody early, and nobody much later', () => {
    const clock = new StalledClock();
    using wheel = new TimerWheel({ clock });
    let expired = 0;
    const entries = [100, 300, 600].map(() => new Deadline(() => expired++));
    for (const [i, entry] of entries.entries()) wheel.arm(entry, [1_000, 5_000, 60_000][i]!);
    clock.jump(30_000);
    expect(expired).toBe(0);
    for (let ms = 0; ms < 1_000 + 2 * WHEEL_TICK_MS; ms += WHEEL_TICK_MS) clock.jump(WHEEL_TICK_MS);
    expect(expired).toBe(1);
    for (let ms = 0; ms < 60_000; ms += WHEEL_TICK_MS) clock.jump(WHEEL_TICK_MS);
    expect(expired).toBe(3);
  });

  test('keeps every deadline of any sequence of arming, cancelling and passing time', async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('arm' as const),
        entry: fc.nat(7),
        ms: fc.integer({ min: 1, max: 90_000 }),
      }),
      fc.record({ kind: fc.constantFrom('cancel' as const, 'remove' as const), entry: fc.nat(7) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 400 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const clock = new StalledClock();
        using wheel = new TimerWheel({ clock });
        const due: number[] = [];
        const wrong: string[] = [];
        const entries = Array.from({ length: 8 }, (_, n) => {
          return new Deadline(() => {
            const lateMs = clock.monotonicMs() - (due[n] ?? Number.NaN);
            if (!(lateMs > -WHEEL_TICK_MS && lateMs <= 2 * WHEEL_TICK_MS))
              wrong.push(`${n} late by ${lateMs}`);
            due[n] = Number.NaN;
          });
        });
        const pass = (ms: number): void => {
          for (let left = ms; left > 0; left -= 10) clock.jump(10);
        };
        for (const each of steps) {
          if (each.kind === 'pass') pass(each.ms);
          else if (each.kind === 'arm') {
            wheel.arm(entries[each.entry]!, each.ms);
            due[each.entry] = clock.monotonicMs() + each.ms;
          } else {
            wheel[each.kind](entries[each.entry]!);
            due[each.entry] = Number.NaN;
          }
        }
        pass(91_000);
        expect(wrong).toEqual([]);
        expect(due.filter((ms) => !Number.isNaN(ms))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
