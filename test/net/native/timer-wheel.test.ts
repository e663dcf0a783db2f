import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TimerWheel, WheelTimer } from '../../../src/net/native/timer-wheel.ts';
import '../../support/property-seed.ts';

const TICK_MS = 10;
const SLOTS = 8;

type Step =
  | { readonly do: 'set'; readonly timer: number; readonly delayMs: number }
  | { readonly do: 'cancel'; readonly timer: number }
  | { readonly do: 'pass'; readonly ms: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('set' as const),
      timer: fc.nat(9),
      // shorter, as long and much longer than one round of the wheel
      delayMs: fc.oneof(fc.nat(40), fc.nat(SLOTS * TICK_MS * 3), fc.constant(100_000)),
    }),
    fc.record({ do: fc.constant('cancel' as const), timer: fc.nat(9) }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.oneof(fc.nat(30), fc.nat(400)) }),
  ),
  { maxLength: 60 },
);

test('no timer is early, none is more than a tick late, none is lost, whatever is set and cancelled', () => {
  fc.assert(
    fc.property(steps, fc.nat(1_000), (script, startMs) => {
      let nowMs = startMs;
      const wheel = new TimerWheel({ monotonicMs: () => nowMs }, { slots: SLOTS, tickMs: TICK_MS });
      const dueMs = Array.from({ length: 10 }, (): number | undefined => undefined);
      const timers = dueMs.map(
        (_due, i) =>
          new WheelTimer(() => {
            expect(dueMs[i]).toBeLessThanOrEqual(nowMs);
            dueMs[i] = undefined;
          }),
      );
      for (const step of script) {
        if (step.do === 'pass') {
          // as the loop does: sleep until the wheel asks for its turn
          for (const endMs = nowMs + step.ms; ;) {
            const waitMs = wheel.waitMs;
            const sleepsMs = waitMs < 0 ? endMs - nowMs : Math.min(waitMs, endMs - nowMs);
            nowMs += sleepsMs;
            wheel.advance();
            if (nowMs >= endMs) break;
          }
        } else if (step.do === 'set') {
          dueMs[step.timer] = nowMs + step.delayMs;
          wheel.set(timers[step.timer]!, step.delayMs);
        } else {
          dueMs[step.timer] = undefined;
          wheel.cancel(timers[step.timer]!);
        }
        for (const due of dueMs) expect((due ?? Infinity) + 2 * TICK_MS).toBeGreaterThan(nowMs);
        expect(wheel.size).toBe(dueMs.filter((due) => due !== undefined).length);
      }
    }),
    { numRuns: 300 },
  );
});

test('a timer may set itself and cancel others while it expires', () => {
  let nowMs = 0;
  const wheel = new TimerWheel({ monotonicMs: () => nowMs }, { slots: SLOTS, tickMs: TICK_MS });
  let beats = 0;
  const victim = new WheelTimer(() => expect.unreachable('it was cancelled'));
  const beat: WheelTimer = new WheelTimer(() => {
    beats++;
    wheel.cancel(victim);
    wheel.set(beat, SLOTS * TICK_MS - 1); // into the very slot that is being emptied
  });
  wheel.set(beat, 15);
  wheel.set(victim, 15);
  for (; nowMs < 1_000; nowMs += TICK_MS) wheel.advance();
  expect(beats).toBeGreaterThan(8);
  expect(wheel.size).toBe(1);
  wheel.cancel(beat);
  expect(wheel.waitMs).toBe(-1);
});
