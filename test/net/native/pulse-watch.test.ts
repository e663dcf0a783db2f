import { describe, expect, it } from 'vitest';
import { PULSE_LOOK_MS, PULSE_MISSES_MAX, PulseWatch } from '../../../src/net/native/pulse-watch.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A clock that can stand still for a while as a whole, as a stopped or starved process does. */
class StarvedClock extends FakeClock {
  lostMs = 0;
  override monotonicMs(): number {
    return super.monotonicMs() + this.lostMs;
  }
}

function watched() {
  const clock = new StarvedClock();
  const thread = { beats: 0, still: 0, looks: 0 };
  const watch = new PulseWatch(clock, {
    beats: () => {
      thread.looks++;
      return thread.beats;
    },
    onStill: () => thread.still++,
  });
  const looks = async (count: number, beats = 0): Promise<void> => {
    for (let i = 0; i < count; i++) {
      thread.beats += beats;
      await clock.advance(PULSE_LOOK_MS);
    }
  };
  return { clock, thread, watch, looks };
}

describe('the watch over a thread', () => {
  it('lets one go on that comes round', async () => {
    const { thread, looks } = watched();
    await looks(50, 1);
    expect(thread).toMatchObject({ still: 0, looks: 50 });
  });

  it('waits for one that is still loading', async () => {
    const { thread, looks } = watched();
    await looks(100);
    expect(thread.still).toBe(0);
  });

  it('tells once within a second that one stands still, and again when the next one does', async () => {
    const { thread, looks } = watched();
    await looks(1, 5);
    await looks(PULSE_MISSES_MAX - 1);
    expect(thread.still).toBe(0);
    await looks(1);
    expect(thread.still).toBe(1);
    expect((PULSE_MISSES_MAX + 1) * PULSE_LOOK_MS).toBeLessThanOrEqual(1_000);
    await looks(10);
    expect(thread.still).toBe(1);
    thread.beats = 0; // its successor loads
    await looks(10);
    await looks(1, 3);
    await looks(PULSE_MISSES_MAX);
    expect(thread.still).toBe(2);
  });

  it('blames no thread for looks that came late themselves, but for very many of them', async () => {
    const { clock, thread, looks } = watched();
    await looks(1, 5);
    const lateLooks = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        clock.lostMs += 1_000;
        await looks(1);
      }
    };
    await lateLooks(19);
    expect(thread.still).toBe(0);
    await looks(PULSE_MISSES_MAX);
    expect(thread.still).toBe(1);
    await looks(1, 5);
    await lateLooks(20);
    expect(thread.still).toBe(2);
  });

  it('looks no more once it is disposed', async () => {
    const { clock, thread, watch, looks } = watched();
    watch[Symbol.dispose]();
    await looks(10, 1);
    expect(thread.looks).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});
