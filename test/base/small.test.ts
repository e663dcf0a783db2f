import { describe, expect, it } from 'vitest';
import { backoffDelayMs } from '../../src/base/backoff.ts';
import { Cell } from '../../src/base/cell.ts';
import { sleep } from '../../src/base/clock.ts';
import { Drain } from '../../src/base/drain.ts';
import { Fault, hasCode, messageOf } from '../../src/base/fault.ts';
import { siblingModule } from '../../src/base/module-url.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('backoff', () => {
  const exact = { minMs: 100, maxMs: 1000, jitter: 0, random: () => 0.5 };
  it.each([
    [0, 100],
    [1, 200],
    [3, 800],
    [4, 1000],
    [99, 1000],
  ])('attempt %i waits %i ms', (attempt, expected) => expect(backoffDelayMs(attempt, exact)).toBe(expected));
  it('never goes under the minimum with full jitter', () => {
    expect(backoffDelayMs(5, { ...exact, jitter: 1, random: () => 0.999 })).toBeGreaterThanOrEqual(100);
  });
});

describe('cell', () => {
  it('counts versions and tells subscribers until they leave', () => {
    const cell = new Cell('a');
    const seen: string[] = [];
    const subscription = cell.subscribe((next) => seen.push(`${next.version}${next.value}`));
    cell.publish('b');
    subscription[Symbol.dispose]();
    cell.publish('c');
    expect([seen, cell.current]).toEqual([['1b'], { version: 2, value: 'c' }]);
  });
});

describe('drain', () => {
  it('is finished when the tracked work ends', async () => {
    const clock = new FakeClock();
    const drain = new Drain();
    const work = drain.track();
    drain.begin();
    const finished = drain.finished(clock, 1000);
    work[Symbol.dispose]();
    work[Symbol.dispose]();
    expect([await finished, drain.signal.aborted, clock.pendingTimers]).toEqual([true, true, 0]);
  });
  it('gives up at the deadline', async () => {
    const clock = new FakeClock();
    const drain = new Drain();
    using _work = drain.track();
    const finished = drain.finished(clock, 1000);
    await clock.advance(1000);
    expect(await finished).toBe(false);
  });
});

describe('fault', () => {
  it('is found through the chain of causes', () => {
    const error = new Error('outer', { cause: new Fault('STORE_FULL', 'disk full') });
    expect([hasCode(error, 'STORE_FULL'), hasCode(error, 'OTHER'), messageOf('text')]).toEqual([
      true,
      false,
      'text',
    ]);
  });
});

describe('sleep', () => {
  it('rejects with the reason of an abort and leaves no timer', async () => {
    const clock = new FakeClock();
    const abort = new AbortController();
    const sleeping = sleep(clock, 1000, abort.signal);
    abort.abort(new Error('stop'));
    await expect(sleeping).rejects.toThrow('stop');
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('sibling module', () => {
  it.each([
    ['file:///a/b.ts', 'file:///a/worker.ts'],
    ['file:///a/b.js', 'file:///a/worker.js'],
  ])('%s -> %s', (importer, expected) => expect(siblingModule(importer, './worker').href).toBe(expected));
});
