import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openEtcdStore } from '../../src/store/etcd-store.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import type { StoreEvent, StoreWatchBatch } from '../../src/store/store.ts';
import { EtcdCluster, etcdInstalled } from '../support/etcd.ts';
import { checkAll, checkStream } from '../support/check-histories.ts';
import { checkLinearizable, registerModel } from '../support/linearizability.ts';
import type { Operation, RegisterInput, RegisterOutput } from '../support/linearizability.ts';
import { runClients } from '../support/register-clients.ts';
import type { RegisterStore } from '../support/register-clients.ts';
import { StoreProcess } from '../support/store-process.ts';
import { waitFor } from '../support/wait-for.ts';

const KEYS = ['/r/a', '/r/b', '/r/c'];
const deps = { clock: systemClock, log: silentLogger };
const pause = (durationMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, durationMs));

describe('the checker', () => {
  const write = (value: string): RegisterInput => ({ kind: 'write', value, expected: undefined });
  const read: RegisterInput = { kind: 'read' };
  const op = (
    input: RegisterInput,
    output: [value: string | undefined, revision: number] | undefined,
    calledAt: number,
    returnedAt: number,
  ): Operation<RegisterInput, RegisterOutput> => ({
    client: 0,
    input,
    output: output && { ok: true, value: output[0], revision: output[1] },
    calledAt,
    returnedAt,
  });
  const never = Number.POSITIVE_INFINITY;

  it.for<[name: string, ok: boolean, history: Operation<RegisterInput, RegisterOutput>[]]>([
    ['accepts reads after writes', true, [op(write('x'), [undefined, 2], 0, 1), op(read, ['x', 2], 2, 3)]],
    ['rejects a stale read', false, [op(write('x'), [undefined, 2], 0, 1), op(read, [undefined, 0], 2, 3)]],
    [
      'accepts either order of what overlaps',
      true,
      [op(write('x'), [undefined, 2], 0, 3), op(read, [undefined, 0], 1, 2)],
    ],
    [
      'rejects a read that goes back',
      false,
      [op(write('x'), [undefined, 2], 0, 9), op(read, ['x', 2], 1, 2), op(read, [undefined, 0], 3, 4)],
    ],
    [
      'accepts an unheard write seen late',
      true,
      [op(write('x'), undefined, 0, never), op(read, [undefined, 0], 1, 2), op(read, ['x', 5], 3, 4)],
    ],
    ['rejects a value nobody wrote', false, [op(write('x'), undefined, 0, never), op(read, ['y', 2], 1, 2)]],
    [
      'rejects a lost write',
      false,
      [op(write('x'), [undefined, 2], 0, 1), op(write('y'), [undefined, 3], 2, 3), op(read, ['x', 2], 4, 5)],
    ],
    [
      'rejects two winners of one compare-and-set',
      false,
      [
        op({ kind: 'write', value: 'x', expected: 0 }, [undefined, 2], 0, 5),
        op({ kind: 'write', value: 'y', expected: 0 }, [undefined, 3], 1, 6),
      ],
    ],
  ])('%s', ([, ok, history]) => {
    expect(checkLinearizable(registerModel, history).ok).toBe(ok);
  });
});

describe('linearizable registers and gap-free watches', () => {
  it('in memory', async () => {
    await using store = openMemoryStore(deps);
    const stop = new AbortController();
    const running = runClients(store, {
      clients: 8,
      keys: KEYS,
      stop: stop.signal,
      operationsPerKeyMax: 300,
    });
    checkAll(await running);
  });

  it('in SQLite, through kills and pauses of the process', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-linear-'));
    const events: StoreEvent[] = [];
    let place = 1;
    const follow = (batch: StoreWatchBatch): void => {
      events.push(...batch.events);
      place = batch.revision;
    };
    const server = new StoreProcess(`sqlite:${join(folder, 'store.db')}`, follow);
    await server.start();
    server.watch('', place);
    const store: RegisterStore = {
      get: (key) => server.call('get', key),
      put: (...args) => server.call('put', ...args),
      delete: (...args) => server.call('delete', ...args),
    };
    const stop = new AbortController();
    const running = runClients(store, {
      clients: 6,
      keys: KEYS,
      stop: stop.signal,
      operationsPerKeyMax: 700,
    });
    for (let round = 0; round < 8; round++) {
      await pause(20 + Math.random() * 60);
      if (round % 3 === 2) {
        server.pause();
        await pause(80);
        server.resume();
        continue;
      }
      await server.kill();
      await server.start();
      server.watch('', place); // resumed from the last revision that was heard of
    }
    await pause(100);
    stop.abort();
    const history = await running;
    const revision = await server.call<number>('currentRevision');
    await waitFor('the rest of the watch', () => place >= revision);
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
    checkAll(history);
    expect(events.map((event) => event.revision)).toEqual(
      Array.from({ length: revision - 1 }, (_, i) => i + 2),
    );
    checkStream(history, events);
  });

  it('in etcd, through kills and pauses of members', async ({ skip }) => {
    if (!etcdInstalled()) return skip('etcd is not installed');
    await using cluster = await EtcdCluster.start(3);
    await using store = await openEtcdStore(deps, { endpoints: cluster.endpoints, prefix: '/linear' });
    const from = await store.currentRevision();
    const events: StoreEvent[] = [];
    const end = new AbortController();
    const watching = (async () => {
      for await (const batch of store.watch('', from, end.signal)) events.push(...batch.events);
    })();
    const stop = new AbortController();
    const running = runClients(store, {
      clients: 6,
      keys: KEYS,
      stop: stop.signal,
      operationsPerKeyMax: 500,
    });
    for (const member of [0, 1, 2]) {
      cluster.signal(member, 'SIGSTOP');
      await pause(1200);
      cluster.signal(member, 'SIGCONT');
      cluster.signal(member, 'SIGKILL');
      await pause(800);
      cluster.startMember(member);
      await cluster.healthy(member);
    }
    stop.abort();
    const history = await running;
    const { entries } = await store.range('');
    const newest = Math.max(0, ...entries.map((entry) => entry.modRevision));
    await waitFor('the rest of the watch', () => (events.at(-1)?.revision ?? 0) >= newest);
    end.abort();
    await watching;
    checkAll(history);
    checkStream(history, events);
  });
});
