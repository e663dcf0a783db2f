import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { createLogger, type LogRecord } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { EngineMetrics } from '../../../src/net/engine-metrics.ts';
import { SupervisedWorker } from '../../../src/net/native/supervised-worker.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { OddData, OddOrder } from './support/odd-worker.ts';

const PATIENCE_MS = 60_000;
const MODULE = new URL('./support/odd-worker.ts', import.meta.url);

function supervised({ begins = 'well', cpu }: Partial<OddData> & { cpu?: number } = {}) {
  const lines: LogRecord[] = [];
  const heard: string[] = [];
  const spells = { started: 0, lost: 0 };
  const registry = new Registry();
  const worker = new SupervisedWorker<OddOrder, string>(
    {
      clock: systemClock,
      metrics: EngineMetrics.on(registry),
      log: createLogger((record) => lines.push(record), 'debug'),
      heard: (reply) => heard.push(reply),
      started: (tell) => {
        spells.started++;
        tell({ say: `hello ${spells.started}` });
      },
      lost: () => spells.lost++,
    },
    { name: 'odd', module: MODULE, data: { begins }, cpu, fields: { port: 7 } },
  );
  const said = (event: string): number => lines.filter((line) => line.event === event).length;
  const hears = (text: string): Promise<unknown> =>
    waitFor(`the reply ${text}`, () => heard.includes(text), PATIENCE_MS);
  const counted = async (series: string): Promise<boolean> =>
    (await registry.metrics()).split('\n').includes(`weft_engine_worker_${series} 1`);
  return { worker, heard, hears, said, counted, spells, lines };
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('what a thread is told at its start comes first, and all of it comes', async () => {
  const { worker, heard, hears } = supervised();
  await using _worker = worker;
  for (let i = 0; i < 100; i++) worker.tell({ say: `${i}` });
  await hears('99');
  expect(heard).toEqual(['hello 1', ...Array.from({ length: 100 }, (_, i) => `${i}`)]);
  expect(worker.isUp).toBe(true);
  expect(worker.restarts).toBe(0);
});

test.for([['fail'], ['exit'], ['stand'], ['bind']] as const)(
  'one that is told to %s is replaced, told again, and its descriptors are closed',
  async ([how]) => {
    const { worker, heard, hears, said, counted, spells } = supervised();
    await using _worker = worker;
    await hears('hello 1');
    worker.tell({ do: 'hold' });
    const port = Number(await waitFor('its port', () => heard[1], PATIENCE_MS));
    worker.tell({ do: how });
    await hears('hello 2');
    expect(spells).toEqual({ started: 2, lost: 1 });
    expect(said('odd started anew')).toBe(1);
    expect(said('odd failed')).toBe(how === 'fail' ? 1 : 0);
    const isStuck = how === 'stand' || how === 'bind';
    expect(said('odd stuck')).toBe(isStuck ? 1 : 0);
    expect(worker.restarts).toBe(1);
    const reason = isStuck ? 'stuck' : 'ended';
    expect(await counted(`losses_total{worker="odd",reason="${reason}"}`)).toBe(true);
    expect(await counted('restarts_total{worker="odd"}')).toBe(true);
    const refused = await new Promise((resolve) => {
      connect({ host: '127.0.71.9', port }, () => resolve('connected')).once('error', resolve);
    });
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    worker.tell({ say: 'again' });
    await hears('again');
  },
);

test('one that never begins is tried again and again, with pauses that grow', async () => {
  const { worker, said } = supervised({ begins: 'fails' });
  await worker.seated;
  await waitFor('the third', () => worker.restarts >= 2, PATIENCE_MS);
  expect(said('odd failed')).toBeGreaterThanOrEqual(2);
  await worker[Symbol.asyncDispose]();
  expect(worker.hasThread).toBe(false);
});

test('one that takes its time to begin is left alone', async () => {
  const { worker, hears, said } = supervised({ begins: 'slowly' });
  await using _worker = worker;
  await hears('hello 1');
  expect(said('odd stuck')).toBe(0);
});

test.for([
  ['at once', async () => {}],
  [
    'while it stands still',
    async ({ worker, hears }: ReturnType<typeof supervised>) => {
      await hears('hello 1');
      worker.tell({ do: 'stand' });
    },
  ],
  [
    'between two threads',
    async ({ worker, hears, spells }: ReturnType<typeof supervised>) => {
      await hears('hello 1');
      worker.tell({ do: 'fail' });
      await waitFor('its end', () => spells.lost === 1, PATIENCE_MS);
    },
  ],
] as const)('disposed %s it ends, once, and leaves no descriptor', async ([, before]) => {
  await supervised().worker[Symbol.asyncDispose]();
  const open = openDescriptors();
  const made = supervised();
  await before(made);
  await Promise.all([made.worker[Symbol.asyncDispose](), made.worker[Symbol.asyncDispose]()]);
  expect(made.worker.hasThread).toBe(false);
  made.worker.tell({ say: 'nobody' });
  expect(made.worker.restarts).toBe(0);
  await waitFor('its descriptors to be closed', () => openDescriptors() <= open, PATIENCE_MS);
});

test('it is bound to its processor, and goes on without one that is not to be had', async () => {
  const allowed = /Cpus_allowed_list:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]!;
  const bound = supervised({ cpu: Number(allowed) });
  await using _bound = bound.worker;
  await bound.hears('hello 1');
  const lists = readdirSync('/proc/self/task').map((id) =>
    readFileSync(`/proc/self/task/${id}/status`, 'utf8'),
  );
  expect(lists.some((text) => new RegExp(`Cpus_allowed_list:\\s*${allowed}\n`).test(text))).toBe(true);
  const unbound = supervised({ cpu: 1023 });
  await using _unbound = unbound.worker;
  await unbound.hears('hello 1');
  expect(unbound.lines).toContainEqual(
    expect.objectContaining({ event: 'odd not bound to its processor', level: 'warn' }),
  );
});
