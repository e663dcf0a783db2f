import { describe, expect, it } from 'vitest';
import { WATCH_START_SHARE_MS, WATCH_STARTS_PER_USER } from '../../../src/api/server/limits.ts';
import { WatchSlots } from '../../../src/api/server/watch-slots.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Watches that ask to begin, in order, and those that may. */
class Beginnings {
  readonly clock = new FakeClock();
  readonly begun: Disposable[] = [];
  readonly #slots = new WatchSlots(this.clock);

  async ask(user: string, count: number): Promise<void> {
    for (let i = 0; i < count; i++) void this.#slots.start(user).then((held) => this.begun.push(held));
    await this.clock.advance(0);
  }

  async sent(index: number): Promise<void> {
    this.begun[index]?.[Symbol.dispose]();
    await this.clock.advance(0);
  }
}

describe('watches of one user', () => {
  it('begin a few at a time, and do not hold up those of another', async () => {
    const watches = new Beginnings();
    await watches.ask('flood', WATCH_STARTS_PER_USER + 2);
    expect(watches.begun.length).toBe(WATCH_STARTS_PER_USER);
    await watches.ask('calm', 1);
    expect(watches.begun.length).toBe(WATCH_STARTS_PER_USER + 1);
    await watches.sent(0);
    await watches.sent(0); // once
    expect(watches.begun.length).toBe(WATCH_STARTS_PER_USER + 2);
    for (const index of watches.begun.keys()) await watches.sent(index);
    for (const index of watches.begun.keys()) await watches.sent(index);
    expect(watches.begun.length).toBe(WATCH_STARTS_PER_USER + 3);
    expect(watches.clock.pendingTimers).toBe(0);
    await watches.ask('flood', WATCH_STARTS_PER_USER + 1);
    expect(watches.begun.length).toBe(2 * WATCH_STARTS_PER_USER + 3);
  });

  it('begin although the ones before are not read', async () => {
    const watches = new Beginnings();
    await watches.ask('flood', 2 * WATCH_STARTS_PER_USER + 1);
    await watches.clock.advance(WATCH_START_SHARE_MS);
    expect(watches.begun.length).toBe(2 * WATCH_STARTS_PER_USER);
    await watches.sent(0); // its place is gone already
    expect(watches.begun.length).toBe(2 * WATCH_STARTS_PER_USER);
    await watches.clock.advance(WATCH_START_SHARE_MS);
    expect(watches.begun.length).toBe(2 * WATCH_STARTS_PER_USER + 1);
  });
});
