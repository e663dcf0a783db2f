import { afterEach, describe, expect, it } from 'vitest';
import { hasCode } from '../../src/base/fault.ts';
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from '../../src/store/limits.ts';
import type { Store, StoreWatchBatch } from '../../src/store/store.ts';
import {
  accepted,
  bytes,
  collect,
  describeEvent,
  expectFault,
  keysOf,
  textOf,
} from '../support/store-calls.ts';
import { waitFor } from '../support/wait-for.ts';

/** A store under test and what the test may do to its surroundings. */
export interface StoreHarness extends AsyncDisposable {
  readonly store: Store;
  /** Lets this much time pass for the store's leases. */
  elapse(durationMs: number): Promise<void>;
  /** Disposes the store and opens it again on the same data; absent = not durable. */
  reopen?(): Promise<Store>;
}

export interface StoreSuiteOptions {
  readonly name: string;
  open(): Promise<StoreHarness>;
  /** The data outlives the store, and harnesses can reopen it. */
  readonly durable: boolean;
  /** Why revisions may skip numbers here; absent = each write makes revision + 1. */
  readonly gaps?: string;
  /** Time to live the lease tests use; the least the implementation grants. */
  readonly leaseSeconds?: number;
  /** Time a watch that nothing happens to needs to report progress. */
  readonly progressMs?: number;
}

/** Every promise of the Store interface; run by each implementation. */
export function storeSuite(options: StoreSuiteOptions): void {
  describe(`store promises: ${options.name}`, () => {
    const opened: StoreHarness[] = [];
    const open = async (): Promise<StoreHarness> => {
      const harness = await options.open();
      opened.push(harness);
      return harness;
    };
    afterEach(async () => {
      for (const harness of opened.splice(0)) await harness[Symbol.asyncDispose]();
    });
    writePromises(open, options);
    readPromises(open, options);
    watchPromises(open, options);
    compactionPromises(open);
    leasePromises(open, options);
    lifePromises(open);
    if (options.durable) durablePromises(open);
  });
}

type Open = () => Promise<StoreHarness>;

function writePromises(open: Open, options: StoreSuiteOptions): void {
  it('creates, updates and deletes under the expected revision', async () => {
    const { store } = await open();
    const created = await accepted(store.put('/a', bytes('1'), 0));
    expect(created.previous).toBeUndefined();
    const updated = await accepted(store.put('/a', bytes('2'), created.revision));
    expect(textOf(updated.previous?.value)).toBe('1');
    const { entry } = await store.get('/a');
    expect(entry).toMatchObject({
      key: '/a',
      createRevision: created.revision,
      modRevision: updated.revision,
    });
    const deleted = await accepted(store.delete('/a', updated.revision));
    expect(textOf(deleted.previous?.value)).toBe('2');
    expect((await store.get('/a')).entry).toBeUndefined();
  });

  it('refuses a write whose expected revision is not the current one and says what is there', async () => {
    const { store } = await open();
    const created = await accepted(store.put('/a', bytes('1'), 0));
    const before = await store.currentRevision();
    for (const refused of [
      await store.put('/a', bytes('2'), 0),
      await store.put('/a', bytes('2'), created.revision + 1000),
      await store.delete('/a', created.revision + 1000),
      await store.delete('/a', 0),
    ]) {
      expect(refused.ok).toBe(false);
      if (!refused.ok) expect(textOf(refused.current?.value)).toBe('1');
    }
    for (const refused of [await store.put('/b', bytes('2'), 5), await store.delete('/b')]) {
      expect(refused).toMatchObject({ ok: false, current: undefined });
    }
    expect(await store.currentRevision()).toBe(before);
  });

  it('writes without an expected revision whatever is there', async () => {
    const { store } = await open();
    await accepted(store.put('/a', bytes('1')));
    await accepted(store.put('/a', bytes('2')));
    expect((await accepted(store.delete('/a'))).ok).toBe(true);
    expect((await store.get('/a')).entry).toBeUndefined();
  });

  it('gives each write the next revision', async () => {
    const { store } = await open();
    const start = await store.currentRevision();
    expect(start).toBeGreaterThanOrEqual(1);
    const writes = Array.from({ length: 50 }, (_, i) => accepted(store.put(`/k${i % 7}`, bytes(String(i)))));
    const revisions = (await Promise.all(writes)).map((write) => write.revision);
    if (options.gaps === undefined) {
      expect(revisions.sort((a, b) => a - b)).toEqual(revisions.map((_, i) => start + 1 + i));
      expect(await store.currentRevision()).toBe(start + 50);
    }
    expect(new Set(revisions).size).toBe(50);
    expect(await store.currentRevision()).toBeGreaterThanOrEqual(Math.max(...revisions));
  });

  it('lets exactly one of many concurrent creates win', async () => {
    const { store } = await open();
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.put('/one', bytes(String(i)), 0)),
    );
    const winners = results.filter((result) => result.ok);
    expect(winners).toHaveLength(1);
    const { entry } = await store.get('/one');
    for (const result of results) {
      if (!result.ok) expect(textOf(result.current?.value)).toBe(textOf(entry?.value));
    }
  });

  it('counts concurrent increments without losing one', async () => {
    const { store } = await open();
    await store.put('/n', bytes('0'));
    const increment = async (): Promise<void> => {
      for (;;) {
        const { entry } = await store.get('/n');
        const next = bytes(String(Number(textOf(entry?.value)) + 1));
        if ((await store.put('/n', next, entry!.modRevision)).ok) return;
      }
    };
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let i = 0; i < 5; i++) await increment();
      }),
    );
    expect(textOf((await store.get('/n')).entry?.value)).toBe('40');
  });

  it('starts a new life of a deleted key', async () => {
    const { store } = await open();
    const first = await accepted(store.put('/a', bytes('1')));
    await accepted(store.delete('/a'));
    const second = await accepted(store.put('/a', bytes('2'), 0));
    expect((await store.get('/a')).entry?.createRevision).toBe(second.revision);
    expect(second.revision).toBeGreaterThan(first.revision);
  });

  it.each([
    ['an empty key', '', 1],
    ['a key that is too long', 'k'.repeat(KEY_BYTES_MAX + 1), 1],
    ['a lone surrogate', '/a\ud800', 1],
    ['a value that is too large', '/a', VALUE_BYTES_MAX + 1],
  ])('refuses %s and stays as it was', async (_name, key, sizeBytes) => {
    const { store } = await open();
    const before = await store.currentRevision();
    await expectFault(store.put(key, new Uint8Array(sizeBytes)), 'STORE_INVALID');
    expect(await store.currentRevision()).toBe(before);
  });

  it('keeps the largest key and value, and an empty value', async () => {
    const { store } = await open();
    const key = '/' + 'k'.repeat(KEY_BYTES_MAX - 1);
    const value = new Uint8Array(VALUE_BYTES_MAX).fill(7);
    await accepted(store.put(key, value));
    await accepted(store.put('/empty', new Uint8Array(0)));
    expect((await store.get(key)).entry?.value).toHaveLength(VALUE_BYTES_MAX);
    expect((await store.get('/empty')).entry?.value).toHaveLength(0);
  });

  it('keeps its own copy of a value', async () => {
    const { store } = await open();
    const value = bytes('before');
    const write = store.put('/a', value);
    value.fill(0);
    await write;
    expect(textOf((await store.get('/a')).entry?.value)).toBe('before');
  });
}

function readPromises(open: Open, options: StoreSuiteOptions): void {
  it('orders keys by their UTF-8 bytes, odd ones too', async () => {
    const { store } = await open();
    const keys = [
      '/z',
      '/a\0b',
      '/a',
      '/é',
      '/\uffee',
      '/😀',
      '/a/b',
      '/A',
      '/a b',
      '/"\'%_*',
      '/\n',
      '/\u{10ffff}',
    ];
    for (const key of keys) await accepted(store.put(key, bytes(key)));
    const { entries } = await store.range('/');
    const expected = keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(entries.map((entry) => entry.key)).toEqual(expected);
    expect(entries.map((entry) => textOf(entry.value))).toEqual(expected);
  });

  it('finds keys by prefix, not by path', async () => {
    const { store } = await open();
    for (const key of ['/p', '/p/a', '/pq', '/p/b/c', '/o', '/q', 'p']) await store.put(key, bytes('x'));
    expect(keysOf(await store.range('/p'))).toEqual(['/p', '/p/a', '/p/b/c', '/pq']);
    expect(keysOf(await store.range('/p/'))).toEqual(['/p/a', '/p/b/c']);
    expect(keysOf(await store.range('/none'))).toEqual([]);
    expect((await store.range('')).count).toBe(7);
    expect(keysOf(await store.range('/p', { after: '/a' }))).toHaveLength(4);
    expect(keysOf(await store.range('/p', { after: '/z' }))).toEqual([]);
  });

  it('pages with limit and after, at one revision, whatever is written meanwhile', async () => {
    const { store } = await open();
    const names = Array.from({ length: 25 }, (_, i) => `/k/${String(i).padStart(2, '0')}`);
    for (const name of names) await store.put(name, bytes('x'));
    let page = await store.range('/k/', { limit: 10 });
    expect(page).toMatchObject({ more: true, count: 25 });
    const { revision } = page;
    const seen = keysOf(page);
    await store.delete('/k/12');
    await store.put('/k/11x', bytes('new'));
    await store.put('/other', bytes('new'));
    while (page.more) {
      page = await store.range('/k/', { limit: 10, after: seen.at(-1)!, revision });
      expect(page).toMatchObject({ revision, count: 25 });
      seen.push(...keysOf(page));
    }
    expect(seen).toEqual(names);
    expect((await store.range('/k/', { limit: 1 })).count).toBe(25);
    expect((await store.range('/k/', { limit: 25 })).more).toBe(false);
  });

  it('reads each revision as it was', async () => {
    const { store } = await open();
    const first = (await accepted(store.put('/a', bytes('1')))).revision;
    const second = (await accepted(store.put('/b', bytes('2')))).revision;
    const third = (await accepted(store.put('/a', bytes('3')))).revision;
    const fourth = (await accepted(store.delete('/b'))).revision;
    const at = async (revision: number): Promise<string[]> =>
      (await store.range('/', { revision })).entries.map((entry) => `${entry.key}=${textOf(entry.value)}`);
    expect(await at(first)).toEqual(['/a=1']);
    expect(await at(second)).toEqual(['/a=1', '/b=2']);
    expect(await at(third)).toEqual(['/a=3', '/b=2']);
    expect(await at(fourth)).toEqual(['/a=3']);
    expect((await store.get('/a', second)).entry?.modRevision).toBe(first);
    expect((await store.get('/b', first)).entry).toBeUndefined();
    expect((await store.get('/b', third)).entry?.modRevision).toBe(second);
  });

  it('cannot read the future', async () => {
    const { store } = await open();
    const revision = (await store.currentRevision()) + 1000;
    await expectFault(store.get('/a', revision), 'STORE_FUTURE');
    await expectFault(store.range('/', { revision }), 'STORE_FUTURE');
  });

  it('reads its own writes', async () => {
    const { store } = await open();
    for (let i = 0; i < 20; i++) {
      const { revision } = await accepted(store.put('/a', bytes(String(i))));
      const read = await store.get('/a');
      expect(textOf(read.entry?.value)).toBe(String(i));
      if (options.gaps === undefined) expect(read.revision).toBe(revision);
      else expect(read.revision).toBeGreaterThanOrEqual(revision);
    }
  });
}

function watchPromises(open: Open, options: StoreSuiteOptions): void {
  it('delivers what happened under the prefix, in order, with the values before', async () => {
    const { store } = await open();
    const start = await store.currentRevision();
    const collected = collect(store, '/w/', start, 4);
    await store.put('/w/a', bytes('1'));
    await store.put('/other', bytes('x'));
    await store.put('/w/a', bytes('2'));
    await store.put('/w/b', bytes('3'));
    await store.delete('/w/a');
    expect((await collected).map(describeEvent)).toEqual([
      '/w/a=1 was nothing',
      '/w/a=2 was 1',
      '/w/b=3 was nothing',
      '/w/a deleted was 2',
    ]);
  });

  it('resumes from any revision without gap or duplicate', async () => {
    const { store } = await open();
    const start = await store.currentRevision();
    for (let i = 0; i < 30; i++) await store.put(`/w/${i % 5}`, bytes(String(i)));
    const all = await collect(store, '/w/', start, 30);
    expect(all.map((event) => textOf(event.type === 'put' ? event.entry.value : undefined))).toEqual(
      Array.from({ length: 30 }, (_, i) => String(i)),
    );
    for (const at of [0, 7, 28]) {
      const rest = await collect(store, '/w/', all[at]!.revision, 29 - at);
      expect(rest.map(describeEvent)).toEqual(all.slice(at + 1).map(describeEvent));
    }
  });

  it('misses nothing under concurrent writers and several watchers', async () => {
    const { store } = await open();
    const start = await store.currentRevision();
    const watchers = Array.from({ length: 5 }, () => collect(store, '/w/', start, 200));
    await Promise.all(
      Array.from({ length: 10 }, async (_, writer) => {
        for (let i = 0; i < 20; i++) await store.put(`/w/${writer}`, bytes(`${writer}:${i}`));
      }),
    );
    const streams = await Promise.all(watchers);
    for (const stream of streams) {
      expect(stream.map(describeEvent)).toEqual(streams[0]!.map(describeEvent));
      const revisions = stream.map((event) => event.revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
    }
  });

  it('starts in the future without delivering what comes before', async () => {
    const { store } = await open();
    const start = await store.currentRevision();
    const collected = collect(store, '/w', start + 2, 1);
    for (let i = 1; i <= 3; i++) await store.put('/w', bytes(String(i)));
    expect((await collected).map(describeEvent)).toEqual(['/w=3 was 2']);
  });

  it('tells a quiet watcher how far it is', async () => {
    const harness = await open();
    const { store } = harness;
    const abort = new AbortController();
    const start = await store.currentRevision();
    const batches: StoreWatchBatch[] = [];
    const watching = (async () => {
      for await (const batch of store.watch('/quiet/', start, abort.signal)) batches.push(batch);
    })();
    const { revision } = await accepted(store.put('/loud', bytes('x')));
    await harness.elapse(options.progressMs ?? 1500);
    await waitFor('progress', () => batches.some((batch) => batch.revision >= revision));
    expect(batches.every((batch) => batch.events.length === 0)).toBe(true);
    abort.abort();
    await watching;
  });

  it('ends quietly when aborted, at once, even while idle', async () => {
    const { store } = await open();
    const abort = new AbortController();
    const watching = collect(store, '/', await store.currentRevision(), 1, abort.signal);
    await waitFor('the watcher', () => store.stats().watchers === 1);
    abort.abort();
    expect(await watching).toEqual([]);
    expect(await collect(store, '/', 0, 1, AbortSignal.abort())).toEqual([]);
    await waitFor('its end', () => store.stats().watchers === 0);
  });

  it('keeps the events of one consumer apart from the speed of another', async () => {
    const { store } = await open();
    const start = await store.currentRevision();
    const slow = store.watch('/w/', start, AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
    const fast = collect(store, '/w/', start, 100);
    const first = slow.next();
    for (let i = 0; i < 100; i++) await store.put(`/w/${i}`, bytes('x'));
    expect(await fast).toHaveLength(100);
    const seen = [...((await first).value as StoreWatchBatch).events];
    while (seen.length < 100) seen.push(...((await slow.next()).value as StoreWatchBatch).events);
    expect(seen).toHaveLength(100);
    await slow.return?.();
  });
}

function compactionPromises(open: Open): void {
  it('forgets history below the compacted revision and nothing else', async () => {
    const { store } = await open();
    const revisions: number[] = [];
    for (let i = 0; i < 5; i++) revisions.push((await accepted(store.put('/a', bytes(String(i))))).revision);
    await store.put('/b', bytes('kept'));
    revisions.push((await accepted(store.delete('/b'))).revision);
    await store.put('/c', bytes('kept'));
    const at = revisions[3]!;
    await store.compact(at);
    expect(store.compactedRevision()).toBe(at);
    await expectFault(store.get('/a', at - 1), 'STORE_COMPACTED');
    await expectFault(store.range('/', { revision: at - 1 }), 'STORE_COMPACTED');
    await expectFault(collect(store, '/', at - 1, 1), 'STORE_COMPACTED');
    expect(textOf((await store.get('/a', at)).entry?.value)).toBe('3');
    expect(textOf((await store.get('/a')).entry?.value)).toBe('4');
    expect(keysOf(await store.range('/'))).toEqual(['/a', '/c']);
    const rest = await collect(store, '/', at, 4);
    expect(rest.map(describeEvent)).toEqual([
      '/a=4 was 3',
      '/b=kept was nothing',
      '/b deleted was kept',
      '/c=kept was nothing',
    ]);
  });

  it('forgets deleted keys for good', async () => {
    const { store } = await open();
    await store.put('/a', bytes('1'));
    const { revision } = await accepted(store.delete('/a'));
    await store.compact(revision);
    expect((await store.range('/')).count).toBe(0);
    expect((await accepted(store.put('/a', bytes('2'), 0))).revision).toBeGreaterThan(revision);
  });

  it('compacts again and backwards without harm, but not into the future', async () => {
    const { store } = await open();
    const first = await accepted(store.put('/a', bytes('1')));
    const second = await accepted(store.put('/a', bytes('2')));
    await store.compact(second.revision);
    await store.compact(second.revision);
    await store.compact(first.revision);
    expect(store.compactedRevision()).toBe(second.revision);
    await expectFault(store.compact(second.revision + 1000), 'STORE_FUTURE');
    expect(textOf((await store.get('/a')).entry?.value)).toBe('2');
  });

  it('fails a watcher that compaction has passed', async () => {
    const { store } = await open();
    const start = await store.currentRevision();
    const slow = store.watch('/w', start, AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
    const first = slow.next();
    await store.put('/w', bytes('first'));
    expect(((await first).value as StoreWatchBatch).events).toHaveLength(1);
    await slow.return?.();
    for (let i = 0; i < 5; i++) await store.put('/w', bytes(String(i)));
    await store.compact(await store.currentRevision());
    await expectFault(collect(store, '/w', start + 1, 1), 'STORE_COMPACTED');
  });
}

function leasePromises(open: Open, options: StoreSuiteOptions): void {
  const ttlSeconds = options.leaseSeconds ?? 2;

  it('deletes the keys of a lease when it expires, and tells watchers', async () => {
    const harness = await open();
    const { store } = harness;
    const leaseId = await store.grantLease(ttlSeconds);
    expect(await store.leaseTtlSeconds(leaseId)).toBe(ttlSeconds);
    const start = await store.currentRevision();
    await accepted(store.put('/l/a', bytes('1'), 0, { leaseId }));
    await accepted(store.put('/l/b', bytes('2'), 0, { leaseId }));
    await accepted(store.put('/l/c', bytes('3'), 0));
    expect((await store.get('/l/a')).entry?.leaseId).toBe(leaseId);
    expect((await store.get('/l/c')).entry?.leaseId).toBeUndefined();
    await harness.elapse(ttlSeconds * 1000 + 1);
    await waitFor('the end of the lease', async () => (await store.range('/l/')).count === 1);
    const events = await collect(store, '/l/', start, 5);
    expect(events.slice(3).map(describeEvent).sort()).toEqual(['/l/a deleted was 1', '/l/b deleted was 2']);
    expect(await store.renewLease(leaseId)).toBe(false);
    expect(await store.leaseTtlSeconds(leaseId)).toBeUndefined();
    await expectFault(store.put('/l/d', bytes('4'), 0, { leaseId }), 'STORE_LEASE_NOT_FOUND');
  });

  it('keeps the keys of a lease that is renewed', async () => {
    const harness = await open();
    const { store } = harness;
    const leaseId = await store.grantLease(ttlSeconds);
    await store.put('/l', bytes('1'), 0, { leaseId });
    for (let i = 0; i < 3; i++) {
      await harness.elapse(ttlSeconds * 500);
      expect(await store.renewLease(leaseId)).toBe(true);
    }
    expect((await store.get('/l')).entry).toBeDefined();
  });

  it('revokes a lease with its keys, and lets go of keys written without it', async () => {
    const { store } = await open();
    const leaseId = await store.grantLease(600);
    await store.put('/l/a', bytes('1'), 0, { leaseId });
    await store.put('/l/b', bytes('1'), 0, { leaseId });
    await store.put('/l/b', bytes('2'));
    await store.revokeLease(leaseId);
    expect(keysOf(await store.range('/l/'))).toEqual(['/l/b']);
    expect(await store.renewLease(leaseId)).toBe(false);
    await store.revokeLease(leaseId);
  });

  it('knows no foreign lease', async () => {
    const { store } = await open();
    expect(await store.renewLease('12345')).toBe(false);
    expect(await store.renewLease('no lease')).toBe(false);
    await store.revokeLease('12345');
    await expectFault(store.put('/l', bytes('1'), 0, { leaseId: '12345' }), 'STORE_LEASE_NOT_FOUND');
    await expectFault(store.grantLease(0), 'STORE_INVALID');
    await expectFault(store.grantLease(Number.NaN), 'STORE_INVALID');
  });
}

function lifePromises(open: Open): void {
  it('counts what it does', async () => {
    const { store } = await open();
    for (let i = 0; i < 3; i++) await store.put('/a', bytes('x'));
    const stats = store.stats();
    expect(stats.writes).toBe(3);
    expect(stats.commits).toBeGreaterThanOrEqual(1);
    expect(stats.commitSeconds.count).toBe(stats.commits);
    expect(stats.revision).toBe(await store.currentRevision());
  });

  it('ends everything with STORE_CLOSED and can be disposed twice', async () => {
    const { store } = await open();
    const watching = collect(store, '/', await store.currentRevision(), 1);
    watching.catch(() => {});
    await waitFor('the watcher', () => store.stats().watchers === 1);
    const write = store.put('/a', bytes('1'));
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await write.catch((error: unknown) => expect(hasCode(error, 'STORE_CLOSED')).toBe(true));
    await expectFault(
      watching.then((events) => (events.length === 1 ? collect(store, '/', 1, 1) : events)),
      'STORE_CLOSED',
    );
    await expectFault(store.get('/a'), 'STORE_CLOSED');
    await expectFault(store.range('/'), 'STORE_CLOSED');
    await expectFault(store.put('/a', bytes('1')), 'STORE_CLOSED');
    await expectFault(store.delete('/a'), 'STORE_CLOSED');
    await expectFault(store.compact(1), 'STORE_CLOSED');
    await expectFault(store.grantLease(1), 'STORE_CLOSED');
    await expectFault(collect(store, '/', 1, 1), 'STORE_CLOSED');
  });
}

function durablePromises(open: Open): void {
  it('finds everything again after it was closed', async () => {
    const harness = await open();
    const { store } = harness;
    const start = await store.currentRevision();
    const leaseId = await store.grantLease(600);
    await store.put('/a', bytes('1'));
    await store.put('/a', bytes('2'), undefined, { leaseId });
    await store.put('/b', bytes('3'));
    await store.delete('/b');
    const before = await store.range('/');
    const again = await harness.reopen!();
    expect(await again.range('/', { revision: before.revision })).toEqual(before);
    expect(await collect(again, '/', start, 4)).toHaveLength(4);
    expect(await again.renewLease(leaseId)).toBe(true);
    await again.compact(before.revision);
    const third = await harness.reopen!();
    expect(await third.range('/', { revision: before.revision })).toEqual(before);
    expect((await accepted(third.put('/c', bytes('4'), 0))).revision).toBeGreaterThan(before.revision);
    await expectFault(collect(third, '/', start, 1), 'STORE_COMPACTED');
    await third.revokeLease(leaseId);
    expect(keysOf(await third.range('/'))).toEqual(['/c']);
  });
}
