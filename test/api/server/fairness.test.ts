import { describe, expect, it } from 'vitest';
import { FairQueue } from '../../../src/api/server/fairness.ts';
import {
  REQUESTS_IN_FLIGHT_PER_USER,
  REQUESTS_PER_TURN_MAX,
  TURN_BUDGET_MS,
} from '../../../src/api/server/limits.ts';

/** An event loop and a clock that only move when told: a request costs exactly what the test says. */
class Turns {
  nowMs = 0;
  scheduled: (() => void)[] = [];
  readonly queue = new FairQueue({
    nowMs: () => this.nowMs,
    nextTurn: (callback) => void this.scheduled.push(callback),
  });
  readonly doneAtMs = new Map<string, number[]>();

  /** Asks for a place, works for `costMs` when it has one, and gives it back unless told to keep it. */
  async request(user: string, costMs: number, keep = false): Promise<Disposable> {
    const place = await this.queue.enter(user);
    this.nowMs += costMs;
    const done = this.doneAtMs.get(user) ?? [];
    this.doneAtMs.set(user, [...done, this.nowMs]);
    if (!keep) place[Symbol.dispose]();
    return place;
  }

  count(user: string): number {
    return this.doneAtMs.get(user)?.length ?? 0;
  }

  /** One turn of the loop, and everything it wakes. False: there was nothing to do. */
  async turn(): Promise<boolean> {
    const due = this.scheduled;
    this.scheduled = [];
    for (const callback of due) callback();
    for (let hop = 0; hop < 50; hop++) await Promise.resolve();
    return due.length > 0;
  }
}

/** Requests of 1 ms, one after the other, while `flood` requests of `costMs` wait: how long each of them takes. */
async function calmBesideFlood(costMs: number, flood: number): Promise<number[]> {
  const turns = new Turns();
  const flooding = Array.from({ length: flood }, () => turns.request('flood', costMs));
  for (let warm = 0; warm < 10; warm++) await turns.turn();
  const tookMs: number[] = [];
  for (let i = 0; i < 20; i++) {
    const askedAtMs = turns.nowMs;
    // A request that arrives is read between two turns.
    const asked = turns.request('calm', 1);
    while (turns.count('calm') !== i + 1) expect(await turns.turn()).toBe(true);
    await asked;
    tookMs.push(turns.nowMs - askedAtMs);
    await turns.turn();
  }
  while (await turns.turn());
  await Promise.all(flooding);
  return tookMs;
}

describe('a flood of one user', () => {
  it.for([
    ['long lists', 5, 5],
    ['short requests', 0.1, REQUESTS_PER_TURN_MAX * 0.1],
  ] as const)('of %s makes another wait for about one turn of them', async ([, costMs, turnMs]) => {
    const tookMs = await calmBesideFlood(costMs, 800);
    expect(Math.max(...tookMs)).toBeLessThanOrEqual(1 + turnMs + 1e-6);
  });

  it('of cheap requests goes many at a time, of long ones one at a time, and back', async () => {
    const turns = new Turns();
    const startedInTurns = async (costMs: number, count: number): Promise<number[]> => {
      const asked = Array.from({ length: count }, () => turns.request('flood', costMs));
      const started: number[] = [];
      for (let before = turns.count('flood'); await turns.turn(); before = turns.count('flood')) {
        started.push(turns.count('flood') - before);
      }
      await Promise.all(asked);
      return started;
    };
    expect((await startedInTurns(0.01, 400)).slice(2, 8)).toEqual(Array(6).fill(REQUESTS_PER_TURN_MAX));
    expect((await startedInTurns(2 * TURN_BUDGET_MS, 60)).slice(5, 15)).toEqual(Array(10).fill(1));
    expect(Math.max(...(await startedInTurns(0.01, 800)))).toBe(REQUESTS_PER_TURN_MAX);
  });

  it('that leaves replies unread holds its own places only, and its next request waits without turning', async () => {
    const turns = new Turns();
    const held: Disposable[] = [];
    const asked = Array.from({ length: REQUESTS_IN_FLIGHT_PER_USER + 1 }, (_, i) =>
      turns.request('flood', 0, true).then((place) => (held[i] = place)),
    );
    while (await turns.turn());
    expect(held.length).toBe(REQUESTS_IN_FLIGHT_PER_USER);
    expect(turns.scheduled).toEqual([]); // no busy loop while it waits
    await turns.request('calm', 0);
    held[0]?.[Symbol.dispose]();
    while (await turns.turn());
    await Promise.all(asked);
    expect(held.length).toBe(REQUESTS_IN_FLIGHT_PER_USER + 1);
  });
});
