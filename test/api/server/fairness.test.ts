import { describe, expect, it } from 'vitest';
import { FairQueue } from '../../../src/api/server/fairness.ts';
import {
  FAIR_QUANTUM_MS,
  REQUESTS_IN_FLIGHT_PER_USER,
  SHARED_TURN_BUDGET_MS,
  SLICES_PER_TURN_MAX,
  TURN_BUDGET_MS,
} from '../../../src/api/server/limits.ts';

/** An event loop and a clock that only move when told: work costs exactly what the test says. */
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
    this.#work(user, costMs);
    if (!keep) place[Symbol.dispose]();
    return place;
  }

  /** Goes on with work that has begun, in pieces. */
  async goOn(user: string, costMs: number, pieces: number, laterMs = 0): Promise<void> {
    for (let piece = 0; piece < pieces; piece++) {
      await this.queue.slice(user, laterMs);
      this.#work(user, costMs);
    }
  }

  #work(user: string, costMs: number): void {
    this.nowMs += costMs;
    this.doneAtMs.set(user, [...(this.doneAtMs.get(user) ?? []), this.nowMs]);
  }

  count(user: string): number {
    return this.doneAtMs.get(user)?.length ?? 0;
  }

  /** One turn of the loop; what a callback wakes runs before the next one. False: there was nothing to do. */
  async turn(): Promise<boolean> {
    const due = this.scheduled;
    this.scheduled = [];
    for (const callback of due) {
      callback();
      for (let hop = 0; hop < 10; hop++) await Promise.resolve();
    }
    return due.length > 0;
  }
}

/** Requests of 1 ms, one after the other, beside a flood: how long each of them takes. */
async function calmBeside(flood: (turns: Turns) => Promise<unknown>[]): Promise<number[]> {
  const turns = new Turns();
  const flooding = flood(turns);
  for (let warm = 0; warm < 10; warm++) await turns.turn();
  const tookMs: number[] = [];
  for (let i = 0; i < 20; i++) {
    const askedAtMs = turns.nowMs;
    // A request that arrives is read between two turns.
    const asked = turns.request('calm', 1);
    while (turns.count('calm') !== i + 1) expect(await turns.turn()).toBe(true);
    await asked;
    tookMs.push(turns.doneAtMs.get('calm')!.at(-1)! - askedAtMs);
    await turns.turn();
  }
  expect(turns.scheduled.length).toBeGreaterThan(0); // the flood was there to the end
  await ended(turns);
  await Promise.all(flooding);
  return tookMs;
}

/** Goes on until there is nothing to do. */
async function ended(turns: Turns): Promise<void> {
  while (await turns.turn());
}

const many = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

describe('a flood of one user', () => {
  it.for([
    ['long lists', 5, (turns: Turns) => many(800, () => turns.request('flood', 5))],
    ['short requests', 0.1, (turns: Turns) => many(900, () => turns.request('flood', 0.1))],
    ['watches with many objects', 0.4, (turns: Turns) => many(512, () => turns.goOn('flood', 0.4, 15))],
    ['connections', 1, (turns: Turns) => many(512, () => turns.goOn('flood', 0, 1, 1))],
  ] as const)('of %s makes another wait for one of them at most', async ([, costMs, flood]) => {
    const tookMs = await calmBeside(flood);
    expect(Math.max(...tookMs)).toBeLessThanOrEqual(1 + costMs + 1e-6);
  });

  it('that leaves replies unread holds its own places only, and its next request waits without turning', async () => {
    const turns = new Turns();
    const held: Disposable[] = [];
    const asked = Array.from({ length: REQUESTS_IN_FLIGHT_PER_USER + 1 }, (_, i) =>
      turns.request('flood', 0, true).then((place) => (held[i] = place)),
    );
    await ended(turns);
    expect(held.length).toBe(REQUESTS_IN_FLIGHT_PER_USER);
    expect(turns.scheduled).toEqual([]); // no busy loop while it waits
    const calm = turns.request('calm', 0);
    await ended(turns);
    await calm;
    held[0]?.[Symbol.dispose]();
    await ended(turns);
    await Promise.all(asked);
    expect(held.length).toBe(REQUESTS_IN_FLIGHT_PER_USER + 1);
  });
});

describe('two floods', () => {
  it('get the same time, whatever their requests cost', async () => {
    const turns = new Turns();
    const asked = [
      ...many(400, () => turns.request('cheap', 0.1)),
      ...many(400, () => turns.request('dear', 3)),
    ];
    while (turns.count('cheap') < 300) expect(await turns.turn()).toBe(true);
    const [cheapMs, dearMs] = [turns.count('cheap') * 0.1, turns.count('dear') * 3];
    expect(Math.abs(cheapMs - dearMs)).toBeLessThanOrEqual(3 + FAIR_QUANTUM_MS);
    await ended(turns);
    await Promise.all(asked);
  });
});

describe('a burst', () => {
  it('of who used much of late waits for who used little, though both had nothing to do before', async () => {
    const turns = new Turns();
    await Promise.all([turns.goOn('busy', 5, 4), ended(turns)]);
    for (let i = 0; i < 5; i++) {
      const calmAskedAtMs = turns.nowMs;
      const asked = [...many(64, () => turns.request('busy', 0.5)), turns.request('calm', 0.5)];
      await ended(turns);
      await Promise.all(asked);
      expect(turns.doneAtMs.get('calm')?.at(-1)).toBe(calmAskedAtMs + 0.5);
    }
  });
});

describe('who asks for one thing after the other', () => {
  it('is first each time, but gets no more than half of the time beside a flood', async () => {
    const turns = new Turns();
    const asked = many(400, () => turns.request('flood', 0.5));
    let eager = Promise.resolve();
    for (let i = 0; i < 400; i++) eager = eager.then(async () => void (await turns.request('eager', 0.5)));
    while (turns.count('eager') < 200) expect(await turns.turn()).toBe(true);
    expect(turns.count('flood')).toBeGreaterThanOrEqual(200 - (2 * FAIR_QUANTUM_MS) / 0.5);
    await ended(turns);
    await Promise.all([...asked, eager]);
  });
});

describe('a turn of the event loop', () => {
  it.for([
    ['cheap work goes on until its number', 0.001, SLICES_PER_TURN_MAX, ''],
    ['dearer work until its time', 0.125, TURN_BUDGET_MS / 0.125, ''],
    ['one long request ends it', 2 * TURN_BUDGET_MS, 1, ''],
    ['beside another user it is shorter', 0.125, SHARED_TURN_BUDGET_MS / 0.125, 'other'],
  ] as const)('%s', async ([, costMs, expected, other]) => {
    const turns = new Turns();
    if (other) void turns.request(other, costMs);
    const asked = many(600, () => turns.request('lone', costMs));
    await turns.turn();
    for (let i = 0; i < 5; i++) {
      const before = turns.count('lone');
      expect(await turns.turn()).toBe(true);
      expect(turns.count('lone') - before).toBe(expected);
    }
    await ended(turns);
    await Promise.all(asked);
    expect(turns.queue.inFlight).toBe(0);
    expect(turns.scheduled).toEqual([]);
  });
});
