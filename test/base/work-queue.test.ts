import { describe, expect, it } from 'vitest';
import { WorkQueue } from '../../src/base/work-queue.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

const backoff = { minMs: 10, maxMs: 1000, jitter: 0, random: () => 0 };

function queue(): { clock: FakeClock; queue: WorkQueue<string> } {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue<string>({ clock }, backoff) };
}

describe('work queue', () => {
  it('hands out keys in the order they were added', async () => {
    const { queue: q } = queue();
    q.add('a');
    q.add('b');
    expect([await q.take(), await q.take()]).toEqual(['a', 'b']);
  });

  it('merges additions of a key that waits', async () => {
    const { queue: q } = queue();
    q.add('a');
    q.add('a');
    await q.take();
    expect(q.size).toBe(0);
  });

  it('gives a key to one worker at a time and again when it was added meanwhile', async () => {
    const { queue: q } = queue();
    q.add('a');
    await q.take();
    q.add('a');
    let second: string | undefined;
    void q.take().then((key) => (second = key));
    await settle();
    expect(second).toBeUndefined();
    q.done('a');
    await settle();
    expect(second).toBe('a');
  });

  it('doubles the delay with each failure until forgotten', async () => {
    const { clock, queue: q } = queue();
    for (const dueMs of [10, 20, 40]) {
      q.addWithBackoff('a');
      await clock.advance(dueMs - 1);
      expect(clock.pendingTimers).toBe(1);
      await clock.advance(1);
      expect(await q.take()).toBe('a');
      q.done('a');
    }
    q.forget('a');
    q.addWithBackoff('a');
    await clock.advance(9);
    expect(q.size).toBe(1);
    await clock.advance(1);
    expect(await q.take()).toBe('a');
  });

  it('lets a direct add overtake a delayed one', async () => {
    const { clock, queue: q } = queue();
    q.addAfter('a', 1000);
    q.add('a');
    expect(await q.take()).toBe('a');
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives undefined to waiting takers when disposed', async () => {
    const { queue: q } = queue();
    const waiting = q.take();
    q[Symbol.dispose]();
    expect(await waiting).toBeUndefined();
    expect(await q.take()).toBeUndefined();
  });
});
