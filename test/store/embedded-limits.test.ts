import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/base/log.ts';
import { Fault } from '../../src/base/fault.ts';
import { EmbeddedStore } from '../../src/store/embedded-store.ts';
import type { Journal, JournalBatch } from '../../src/store/journal.ts';
import {
  BATCH_WRITES_MAX,
  COMPACT_SLICE_EVENTS,
  QUEUE_WRITES_MAX,
  WATCH_BATCH_EVENTS_MAX,
} from '../../src/store/limits.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { Versions } from '../../src/store/versions.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { accepted, bytes, collect, expectFault } from '../support/store-calls.ts';
import { waitFor } from '../support/wait-for.ts';

/** A disk in the test's hands: a commit ends when, and how, the test says. */
class HeldJournal implements Journal {
  readonly batches: JournalBatch[] = [];
  readonly drops: number[] = [];
  #pending: { resolve(): void; reject(error: unknown): void } | undefined;

  commit(batch: JournalBatch): Promise<void> {
    this.batches.push(batch);
    return new Promise((resolve, reject) => (this.#pending = { resolve, reject }));
  }

  async finish(error?: Fault): Promise<void> {
    await waitFor('a commit', () => this.#pending !== undefined);
    const pending = this.#pending!;
    this.#pending = undefined;
    if (error) pending.reject(error);
    else pending.resolve();
    await settle();
  }

  noteCompacted(): Promise<void> {
    return Promise.resolve();
  }

  drop(revisions: readonly number[]): Promise<void> {
    this.drops.push(revisions.length);
    return Promise.resolve();
  }

  fileBytes(): undefined {
    return undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function held(): { store: EmbeddedStore; journal: HeldJournal; clock: FakeClock } {
  const clock = new FakeClock();
  const journal = new HeldJournal();
  const deps = { clock, log: silentLogger, versions: new Versions(0, 1), journal };
  const store = new EmbeddedStore(deps, { historyEventsMax: 1e6, historyBytesMax: 1e9 });
  return { store, journal, clock };
}

describe('group commit', () => {
  it('collects the writes that come while a commit runs, and shows none before it is durable', async () => {
    const { store, journal } = held();
    const first = store.put('/a', bytes('1'));
    await settle();
    const rest = [store.put('/a', bytes('2')), store.put('/b', bytes('3')), store.put('/c', bytes('4'))];
    await settle();
    expect(journal.batches.map((batch) => batch.writes.length)).toEqual([1]);
    expect((await store.get('/a')).entry).toBeUndefined();
    expect(await store.currentRevision()).toBe(1);
    await journal.finish();
    expect((await accepted(first)).revision).toBe(2);
    expect(journal.batches.map((batch) => batch.writes.length)).toEqual([1, 3]);
    expect((await store.get('/b')).entry).toBeUndefined();
    await journal.finish();
    expect((await Promise.all(rest.map(accepted))).map((write) => write.revision)).toEqual([3, 4, 5]);
    expect(store.stats()).toMatchObject({ writes: 4, commits: 2 });
  });

  it('takes no more into one commit than its limit', async () => {
    const { store, journal } = held();
    const writes = Array.from({ length: BATCH_WRITES_MAX + 5 }, (_, i) => store.put(`/${i}`, bytes('x')));
    await journal.finish();
    await journal.finish();
    await Promise.all(writes);
    expect(journal.batches.map((batch) => batch.writes.length)).toEqual([BATCH_WRITES_MAX, 5]);
  });

  it('answers a conflict with an unfinished write only when that is durable', async () => {
    const { store, journal } = held();
    const first = store.put('/a', bytes('1'), 0);
    const second = store.put('/a', bytes('2'), 0);
    let answered = false;
    void second.then(() => (answered = true));
    await settle();
    expect(answered).toBe(false);
    await journal.finish();
    expect((await accepted(first)).revision).toBe(2);
    expect(await second).toMatchObject({ ok: false, current: { modRevision: 2 } });
  });

  it('decides a conflict again when the write it lost to failed', async () => {
    const { store, journal } = held();
    const first = store.put('/a', bytes('1'), 0);
    const second = store.put('/a', bytes('2'), 0);
    const refused = expectFault(first, 'STORE_FULL');
    await journal.finish(new Fault('STORE_FULL', 'no space'));
    await refused;
    await journal.finish();
    expect((await accepted(second)).revision).toBe(2);
  });

  it('stops writing after a commit of unknown outcome and goes on reading', async () => {
    const { store, journal } = held();
    const before = store.put('/a', bytes('1'));
    await journal.finish();
    await before;
    const lost = expectFault(store.put('/a', bytes('2')), 'STORE_OUTCOME_UNKNOWN');
    await settle();
    const waiting = expectFault(store.put('/b', bytes('3')), 'STORE_UNAVAILABLE');
    await journal.finish(new Fault('STORE_OUTCOME_UNKNOWN', 'sync failed'));
    await lost;
    await waiting;
    await expectFault(store.put('/c', bytes('4')), 'STORE_UNAVAILABLE');
    expect((await store.get('/a')).entry?.modRevision).toBe(2);
  });

  it('refuses more waiting writes than its limit', async () => {
    const { store, journal } = held();
    const none = new Uint8Array(0);
    const writes = [store.put('/first', none)];
    await settle();
    for (let i = 0; i < QUEUE_WRITES_MAX; i++) writes.push(store.put('/a', none));
    await expectFault(store.put('/one-too-many', none), 'STORE_UNAVAILABLE');
    for (let i = 0; i <= Math.ceil(QUEUE_WRITES_MAX / BATCH_WRITES_MAX); i++) await journal.finish();
    expect((await Promise.all(writes)).every((result) => result.ok)).toBe(true);
  });

  it('commits a write that is submitted in the turn the last one is answered', async () => {
    await using store = openMemoryStore({ clock: new FakeClock(), log: silentLogger });
    // each await takes another number of turns, so one of them meets the end of the commit loop
    for (let turns = 0; turns < 20; turns++) {
      await store.put('/a', bytes('x'));
      for (let i = 0; i < turns; i++) await Promise.resolve();
      const result = await Promise.race([store.put('/b', bytes('x')), settle().then(() => 'never')]);
      expect(result, `${turns} turns`).toMatchObject({ ok: true });
    }
  });

  it('tries the end of a lease again when the disk was full', async () => {
    const { store, journal, clock } = held();
    const granting = store.grantLease(10);
    await journal.finish();
    const put = store.put('/l', bytes('x'), 0, { leaseId: await granting });
    await journal.finish();
    await put;
    await clock.advance(10_000);
    await journal.finish(new Fault('STORE_FULL', 'no space'));
    expect((await store.get('/l')).entry).toBeDefined();
    await clock.advance(10_000);
    await journal.finish();
    expect((await store.get('/l')).entry).toBeUndefined();
  });
});

describe('history', () => {
  it('is bounded: past the limit the oldest is compacted and slow watchers must list again', async () => {
    const clock = new FakeClock();
    await using store = openMemoryStore({ clock, log: silentLogger }, { historyEventsMax: 1000 });
    const slow = store.watch('/w', 1, AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
    const first = slow.next();
    await store.put('/w', bytes('x'));
    await first;
    for (let i = 0; i < 1500; i++) await store.put('/w', bytes('x'));
    await waitFor('the bound', () => store.stats().historyEvents! <= 1000);
    expect(store.compactedRevision()).toBeGreaterThan(200);
    await expectFault(slow.next(), 'STORE_COMPACTED');
  });

  it('is bounded in bytes too', async () => {
    const deps = { clock: new FakeClock(), log: silentLogger };
    await using store = openMemoryStore(deps, { historyBytesMax: 100_000 });
    for (let i = 0; i < 50; i++) await store.put('/w', new Uint8Array(10_000));
    await waitFor('the bound', () => store.stats().historyBytes! <= 100_000);
    expect(store.stats().valueBytes).toBe(10_000);
  });

  it('is compacted in slices', async () => {
    const { store, journal } = held();
    const writes = Array.from({ length: BATCH_WRITES_MAX }, (_, i) => store.put(`/${i % 3}`, bytes('x')));
    await journal.finish();
    await Promise.all(writes);
    await store.compact(await store.currentRevision());
    expect(journal.drops.length).toBe(Math.ceil(BATCH_WRITES_MAX / COMPACT_SLICE_EVENTS));
    expect(journal.drops.reduce((sum, each) => sum + each, 0)).toBe(BATCH_WRITES_MAX - 3);
  });

  it('reaches watchers in batches of bounded size', async () => {
    const clock = new FakeClock();
    await using store = openMemoryStore({ clock, log: silentLogger });
    const count = WATCH_BATCH_EVENTS_MAX * 2 + 1;
    await Promise.all(Array.from({ length: count }, () => store.put('/w', bytes('x'))));
    const sizes: number[] = [];
    for await (const batch of store.watch('/w', 1, AbortSignal.timeout(5_000))) {
      sizes.push(batch.events.length);
      if (batch.revision === count + 1) break;
    }
    expect(sizes).toEqual([WATCH_BATCH_EVENTS_MAX, WATCH_BATCH_EVENTS_MAX, 1]);
    expect(await collect(store, '/w', 1, count)).toHaveLength(count);
  });

  it('lets watchers at the same place share one batch', async () => {
    const clock = new FakeClock();
    await using store = openMemoryStore({ clock, log: silentLogger });
    const end = new AbortController();
    const next = Array.from({ length: 100 }, () =>
      store.watch('/w', 1, end.signal)[Symbol.asyncIterator]().next(),
    );
    await settle();
    await store.put('/w', bytes('x'));
    const batches = (await Promise.all(next)).map((result) => (result.done ? undefined : result.value));
    expect(new Set(batches).size).toBe(1);
    end.abort();
  });
});
