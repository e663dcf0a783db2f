import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';
import { bytes, collect, textOf } from '../support/store-calls.ts';

const ROUNDS = 100;
const WRITERS = 16;
const LOAD = fileURLToPath(new URL('../support/store-load.ts', import.meta.url));
const deps = { clock: systemClock, log: silentLogger };

interface Acknowledged {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

class Load {
  readonly acknowledged: Acknowledged[] = [];
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #ended: Promise<unknown>;
  #onLine: (() => void) | undefined;

  constructor(path: string, round: number) {
    const args = [LOAD, path, String(round), String(WRITERS)];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface(this.#child.stdout);
    this.#ended = once(lines, 'close');
    lines.on('line', (line) => {
      const [type, key, value, revision] = line.split(' ');
      if (type !== 'put' && type !== 'delete') return;
      this.acknowledged.push({ type, key: key!, value: value!, revision: Number(revision) });
      this.#onLine?.();
    });
  }

  /** Lets it write until so many writes were acknowledged, then kills it without warning after the delay. */
  async runAndKill(writes: number, delayMs: number): Promise<void> {
    const enough = new Promise<void>((resolve) => {
      this.#onLine = () => this.acknowledged.length >= writes && resolve();
    });
    this.#child.stdin.on('error', () => {});
    this.#child.stdin.write('go\n');
    await Promise.race([enough, this.#ended]);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

let folder = '';
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a process killed at any moment', () => {
  it(`loses no acknowledged write in ${ROUNDS} rounds`, async () => {
    folder = mkdtempSync(join(tmpdir(), 'weft-crash-'));
    const path = join(folder, 'store.db');
    const last = new Map<string, Acknowledged>();
    let total = 0;
    let next = new Load(path, 0);
    for (let round = 0; round < ROUNDS; round++) {
      const load = next;
      if (round + 1 < ROUNDS) next = new Load(path, round + 1); // boots while this one writes
      await load.runAndKill(Math.floor(Math.random() * 200), Math.random() * 8);
      for (const write of load.acknowledged) last.set(write.key, write);
      total += load.acknowledged.length;
      await using store = await openSqliteStore(deps, { path });
      await verify(store, load.acknowledged, last);
    }
    expect(total).toBeGreaterThan(ROUNDS * 20);
  }, 600_000);
});

async function verify(
  store: Store,
  acknowledged: readonly Acknowledged[],
  last: Map<string, Acknowledged>,
): Promise<void> {
  const newest = await store.currentRevision();
  const compacted = Math.max(1, store.compactedRevision());
  const events = newest > compacted ? await collect(store, '', compacted, newest - compacted) : [];
  expect(events.map((event) => event.revision)).toEqual(events.map((_, i) => compacted + 1 + i));
  for (const write of acknowledged) {
    if (write.revision <= compacted) continue;
    const event = events[write.revision - compacted - 1]!;
    const key = event.type === 'put' ? event.entry.key : event.key;
    expect([event.type, key]).toEqual([write.type, write.key]);
    if (event.type === 'put') expect(textOf(event.entry.value)?.replace(/x+$/, '')).toBe(write.value);
  }
  const current = new Map((await store.range('')).entries.map((entry) => [entry.key, entry]));
  for (const [key, write] of last) {
    const entry = current.get(key);
    if (entry && entry.modRevision >= write.revision) continue;
    // Absent: it was deleted, acknowledged or as the last thing the process did; a later round knows that.
    const deletion = events.find((event) => event.type === 'delete' && event.key === key);
    const deleted = write.type === 'delete' || deletion !== undefined;
    expect(entry === undefined && deleted, `${key} at revision ${write.revision}`).toBe(true);
    if (deletion) last.set(key, { ...write, type: 'delete', revision: deletion.revision });
  }
  const from = compacted + Math.floor(Math.random() * (newest - compacted));
  if (newest > from) {
    expect(await collect(store, '', from, newest - from)).toEqual(events.slice(from - compacted));
  }
}

describe('a power cut that loses what was not synced', () => {
  it('leaves a store that ends at some commit, wherever the log is cut or torn', async () => {
    folder = mkdtempSync(join(tmpdir(), 'weft-cut-'));
    const path = join(folder, 'store.db');
    const store = await openSqliteStore(deps, { path });
    for (let i = 0; i < 60; i++) await store.put(`/k/${i % 10}`, bytes(`${i}`.repeat(40)));
    const original = (await store.range('')).entries;
    for (const part of ['', '-wal']) cpSync(path + part, `${path}.kept${part}`);
    await store[Symbol.asyncDispose]();
    const walBytes = statSync(`${path}.kept-wal`).size;
    const revisions = new Set<number>();
    for (let round = 0; round < 25; round++) {
      const cut = join(folder, `cut-${round}.db`);
      cpSync(`${path}.kept`, cut);
      cpSync(`${path}.kept-wal`, `${cut}-wal`);
      truncateSync(`${cut}-wal`, Math.floor((walBytes * (25 - round)) / 25));
      if (round % 2 === 1) writeFileSync(`${cut}-wal`, Buffer.alloc(300, round), { flag: 'a' }); // a torn page
      if (!existsSync(cut)) throw new Error('copy failed');
      await using found = await openSqliteStore(deps, { path: cut });
      const newest = await found.currentRevision();
      revisions.add(newest);
      expect(newest).toBeLessThanOrEqual(61);
      if (newest > 1) expect(await collect(found, '', 1, newest - 1)).toHaveLength(newest - 1);
      if (round === 0) expect((await found.range('')).entries).toEqual(original);
      const again = await found.put('/after', bytes('x'));
      expect(again.revision).toBe(newest + 1);
    }
    expect(revisions.size).toBeGreaterThan(10);
  });
});
