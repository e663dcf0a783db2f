import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkKey, compareKeys } from '../../src/store/keys.ts';
import { SortedRecords } from '../../src/store/sorted-records.ts';
import { decodeWrites, encodeWrites } from '../../src/store/sqlite/frames.ts';
import { parseEtcdUrl } from '../../src/store/open.ts';
import { prefixEnd } from '../../src/store/etcd/messages.ts';
import { Histogram } from '../../src/store/histogram.ts';
import { Versions } from '../../src/store/versions.ts';
import type { StoreWrite } from '../../src/store/versions.ts';

const byteOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
/** Few characters, so that prefixes collide; some on both sides of the surrogates. */
const oddKey = fc.string({
  unit: fc.constantFrom('a', 'b', '/', '\0', 'é', '\uffee', '😀', '\ue000'),
  maxLength: 6,
});

describe('keys', () => {
  it('are ordered by their UTF-8 bytes', () => {
    fc.assert(
      fc.property(oddKey, oddKey, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(Math.sign(byteOrder(a, b)));
      }),
    );
  });

  it('are any well-formed text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 }), (key) => checkKey(key)),
    );
  });

  it('have an end of each prefix that is after all keys with it and before all others', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(bytes, bytes, (prefix, key) => {
        const end = prefixEnd(Buffer.from(prefix));
        const within =
          Buffer.compare(key, prefix) >= 0 && (end.join() === '0' || Buffer.compare(key, end) < 0);
        expect(within).toBe(Buffer.from(key).subarray(0, prefix.length).equals(prefix));
      }),
    );
  });
});

describe('sorted records', () => {
  it('scan and count like a sorted list, through splits and removals', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('insert', 'remove', 'hide'), oddKey), { maxLength: 200 });
    fc.assert(
      fc.property(steps, oddKey, oddKey, fc.integer({ min: 0, max: 3 }), (list, prefix, after, scale) => {
        const sorted = new SortedRecords<{ key: string; live: boolean }>();
        const model = new Map<string, { key: string; live: boolean }>();
        for (const [step, base] of list) {
          for (let i = 0; i < 10 ** scale; i += 7) applyStep(sorted, model, step, `${base}${i || ''}`);
        }
        const keys = [...model.keys()].sort(byteOrder).filter((key) => key.startsWith(prefix));
        expect([...sorted.scan(prefix, undefined)].map((record) => record.key)).toEqual(keys);
        const rest = keys.filter((key) => byteOrder(key, after) > 0);
        expect([...sorted.scan(prefix, after)].map((record) => record.key)).toEqual(rest);
        expect(sorted.countLive(prefix)).toBe(keys.filter((key) => model.get(key)!.live).length);
        expect(sorted.size).toBe(model.size);
      }),
      { numRuns: 60 },
    );
  });

  it('takes a hundred thousand keys in any order in a fraction of a second', () => {
    const sorted = new SortedRecords<{ key: string; live: boolean }>();
    const startMs = performance.now();
    for (let i = 0; i < 100_000; i++) sorted.insert({ key: `/k/${(i * 7919) % 100_000}`, live: true });
    expect(sorted.countLive('/k/')).toBe(100_000);
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });
});

type Sorted = SortedRecords<{ key: string; live: boolean }>;

function applyStep(
  sorted: Sorted,
  model: Map<string, { key: string; live: boolean }>,
  step: string,
  key: string,
): void {
  const record = model.get(key);
  if (step === 'insert' && !record) {
    const added = { key, live: true };
    model.set(key, added);
    sorted.insert(added);
  } else if (step === 'remove' && record) {
    model.delete(key);
    sorted.remove(record);
  } else if (step === 'hide' && record) sorted.setLive(record, !record.live);
}

describe('frames', () => {
  it('give back what was put in', () => {
    const write: fc.Arbitrary<StoreWrite> = fc.record({
      revision: fc.maxSafeNat(),
      key: fc.string({ unit: 'binary', minLength: 1 }).filter((key) => key.isWellFormed()),
      value: fc.option(
        fc.uint8Array().map((value) => Buffer.from(value)),
        { nil: undefined },
      ),
      createRevision: fc.maxSafeNat(),
      leaseId: fc.integer({ min: 0, max: 2 ** 47 }),
    });
    fc.assert(
      fc.property(fc.array(write), (writes) => {
        expect([...decodeWrites(encodeWrites(writes))]).toEqual(writes);
      }),
    );
  });
});

describe('versions', () => {
  it('answer every revision since the compacted one as a list of snapshots does', () => {
    const step = fc.tuple(fc.constantFrom('a', 'b', 'c', 'ca'), fc.boolean(), fc.nat(9));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const versions = new Versions(0, 1);
        const snapshots: Map<string, number>[] = [new Map(), new Map()];
        for (const [key, remove, chance] of steps) {
          const now = new Map(snapshots.at(-1));
          if (remove && !now.has(key)) continue;
          const revision = snapshots.length;
          const created = versions.current(key)?.createRevision ?? revision;
          const value = remove ? undefined : new Uint8Array(revision % 5);
          versions.apply({ revision, key, value, createRevision: created, leaseId: 0 });
          if (remove) now.delete(key);
          else now.set(key, revision);
          snapshots.push(now);
          if (chance === 0) versions.markCompacted(revision - 3);
          if (chance < 3) versions.dropCompacted(2);
          checkSnapshots(versions, snapshots);
        }
        versions.markCompacted(versions.revision);
        while (!versions.dropCompacted(7).done);
        checkSnapshots(versions, snapshots);
        expect([versions.log.size, versions.historyBytes]).toEqual([0, 0]);
      }),
    );
  });
});

function checkSnapshots(versions: Versions, snapshots: readonly Map<string, number>[]): void {
  for (let revision = Math.max(1, versions.compacted); revision < snapshots.length; revision++) {
    for (const prefix of ['', 'c']) {
      const expected = [...snapshots[revision]!]
        .filter(([key]) => key.startsWith(prefix))
        .sort(([a], [b]) => byteOrder(a, b));
      const found = versions.range(prefix, { revision });
      expect(found.entries.map((entry) => [entry.key, entry.modRevision])).toEqual(expected);
      expect(versions.range(prefix, { revision, limit: 1 }).count).toBe(expected.length);
    }
  }
}

describe('histograms', () => {
  it('count cumulatively', () => {
    const histogram = new Histogram([1, 2, 4]);
    for (const value of [0.5, 1, 3, 9]) histogram.observe(value);
    expect(histogram.snapshot()).toEqual({ bounds: [1, 2, 4], counts: [2, 2, 3], sum: 13.5, count: 4 });
  });
});

describe('addresses of etcd', () => {
  it('carry endpoints and a prefix', () => {
    expect(parseEtcdUrl('http://a:1,https://b:2?prefix=/x')).toEqual({
      endpoints: ['http://a:1', 'https://b:2'],
      prefix: '/x',
      tls: {},
    });
  });

  it.each([
    ['http://a:1?prefx=/x', 'no parameter prefx'],
    ['http://a:1?cert=/dev/null', 'give both'],
    ['http://a:1?ca=/none/ca.pem', 'no such file'],
  ])('are refused when wrong: %s', (url, message) => {
    expect(() => parseEtcdUrl(url)).toThrow(message);
  });
});
