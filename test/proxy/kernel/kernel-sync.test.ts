import { expect, test } from 'vitest';
import type { NodeView } from '../../../endpoints/node-view.ts';
import { KernelSync } from '../../../proxy/kernel/sync.ts';
import { INTACT_CHECK_INTERVAL_MS } from '../../../proxy/limits.ts';
import { createLogger } from '../../../src/base/log.ts';
import { CaseWorld, PROXY_CASES } from '../../suites/backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const view = new CaseWorld(PROXY_CASES.groups[0]!).views()[0]!;
const change = { complete: true, ports: new Set([...view.ports.keys()].slice(0, 1)) };
const idle = { complete: true, ports: new Set<string>() };
const everything = { complete: false, ports: new Set<string>() };
const { signal } = new AbortController();

/** A mode that notes what it is asked to do, and does as it is told. */
function noting() {
  const did: string[] = [];
  const events: string[] = [];
  const told = { missing: undefined as string | undefined, update: (): boolean => true };
  const clock = new FakeClock();
  const sync = new KernelSync<string>(
    { clock, log: createLogger(({ event }) => void events.push(event)) },
    'IPv4',
    {
      replace: async (_view: NodeView) => {
        did.push('replace');
        return await Promise.resolve('shadow');
      },
      update: async () => {
        did.push('update');
        return await Promise.resolve(told.update());
      },
      missing: async () => {
        did.push('look');
        return await Promise.resolve(told.missing);
      },
    },
  );
  return { sync, did, events, told, clock };
}

test('a change costs its own size; the first sync and an incomplete one write all', async () => {
  const { sync, did } = noting();
  expect(await sync.apply(view, change, signal)).toMatchObject({ full: true, changedPorts: view.ports.size });
  expect(await sync.apply(view, change, signal)).toMatchObject({ full: false, changedPorts: 1 });
  await sync.apply(view, everything, signal);
  expect(did).toEqual(['replace', 'update', 'replace']);
});

test('what the kernel refuses is written anew in the same sync', async () => {
  const { sync, did, events, told } = noting();
  await sync.apply(view, everything, signal);
  told.update = () => {
    throw new Error('refused');
  };
  expect(await sync.apply(view, change, signal)).toMatchObject({ full: true, retried: true });
  expect(did).toEqual(['replace', 'update', 'replace']);
  expect(events).toEqual(['the kernel refused a change: writing all anew']);
  told.update = () => false;
  expect(await sync.apply(view, change, signal)).toMatchObject({ full: true, retried: false });
});

test('a sync that is given up leaves nothing that the next one trusts', async () => {
  const { sync, did, told } = noting();
  await sync.apply(view, everything, signal);
  const abort = new AbortController();
  told.update = () => {
    abort.abort();
    throw new Error('aborted');
  };
  await expect(sync.apply(view, change, abort.signal)).rejects.toThrow('aborted');
  expect(sync.written).toBeUndefined();
  await sync.apply(view, change, signal);
  expect(did).toEqual(['replace', 'update', 'replace']);
});

test('each idle sync looks whether all is there, and at times one that has changes', async () => {
  const { sync, did, events, told, clock } = noting();
  await sync.apply(view, everything, signal);
  await clock.advance(INTACT_CHECK_INTERVAL_MS - 1);
  await sync.apply(view, change, signal);
  await clock.advance(1);
  await sync.apply(view, change, signal);
  await sync.apply(view, idle, signal);
  expect(did).toEqual(['replace', 'update', 'look', 'update', 'look', 'update']);
  told.missing = 'nat KUBE-SERVICES';
  expect(await sync.apply(view, idle, signal)).toMatchObject({ full: true, retried: false });
  expect(did.slice(-2)).toEqual(['look', 'replace']);
  expect(events).toEqual(['somebody else changed what was written: writing all anew']);
});
