import { expect, test } from 'vitest';
import { repeat } from '../../src/base/repeat.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** Work that ends when it is told to. */
function heldWork(): {
  readonly begun: () => number;
  readonly finish: () => Promise<void>;
  readonly work: () => Promise<void>;
} {
  const held: (() => void)[] = [];
  let begun = 0;
  return {
    begun: () => begun,
    finish: async () => {
      held.shift()?.();
      await new Promise(setImmediate);
    },
    work: () => {
      begun++;
      return new Promise((resolve) => void held.push(resolve));
    },
  };
}

test('waits, works to the end, and waits again', async () => {
  const clock = new FakeClock();
  const held = heldWork();
  using _repeating = repeat(clock, 100, held.work);
  expect(held.begun()).toBe(0);
  await clock.advance(100);
  expect(held.begun()).toBe(1);
  await clock.advance(1000);
  expect(held.begun()).toBe(1);
  await held.finish();
  await clock.advance(99);
  expect(held.begun()).toBe(1);
  await clock.advance(1);
  expect(held.begun()).toBe(2);
});

test('does nothing after its end, whether it waits or works then', async () => {
  const clock = new FakeClock();
  const held = heldWork();
  repeat(clock, 100, held.work)[Symbol.dispose]();
  await clock.advance(1000);
  expect(held.begun()).toBe(0);
  const working = repeat(clock, 100, held.work);
  await clock.advance(100);
  working[Symbol.dispose]();
  await held.finish();
  await clock.advance(1000);
  expect(held.begun()).toBe(1);
});

test('asks for each interval, and never works at 0', async () => {
  const clock = new FakeClock();
  const held = heldWork();
  using _never = repeat(clock, 0, held.work);
  await clock.advance(10_000);
  expect(held.begun()).toBe(0);
  const intervals = [10, 20];
  using _repeating = repeat(clock, () => intervals.shift() ?? 0, held.work);
  await clock.advance(10);
  await held.finish();
  await clock.advance(10);
  expect(held.begun()).toBe(1);
  await clock.advance(10);
  await held.finish();
  await clock.advance(10_000);
  expect(held.begun()).toBe(2);
});
