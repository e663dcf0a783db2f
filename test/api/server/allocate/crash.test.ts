import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../../src/base/clock.ts';
import { Fault } from '../../../../src/base/fault.ts';
import { silentLogger } from '../../../../src/base/log.ts';
import { ALLOCATION_LEAK_PASSES, ALLOCATION_REPAIR_INTERVAL_MS } from '../../../../src/api/server/limits.ts';
import { openMemoryStore } from '../../../../src/store/memory-store.ts';
import { type Store, STORE_UNAVAILABLE } from '../../../../src/store/store.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { type Call, openTestServer, patchType, type TestServer } from '../support.ts';
import { locksOf, type Locks } from './locks.ts';

const SERVICES = '/api/v1/namespaces/default/services';
const SPEC = { clusterIP: '10.96.7.7', ports: [{ name: 'a', port: 80, nodePort: 30_200 }] };
const TWO_PORTS = [...SPEC.ports, { name: 'b', port: 81, nodePort: 30_201 }];
/** Services that are being made when a server dies. */
const MANY = 12;
/** No operation makes as many. */
const WRITES_MAX = 20;
const METADATA = { name: 'web' };

interface Writes {
  readonly prepare?: (call: Call) => Promise<unknown>;
  readonly run: (call: Call) => Promise<{ readonly status: number }>;
}

const make = (type: string, ports: readonly object[]) => (call: Call) =>
  call('POST', SERVICES, { metadata: METADATA, spec: { ...SPEC, ports, type } });
const turn = (type: string, more: object) => (call: Call) =>
  call('PATCH', `${SERVICES}/web`, { spec: { type, ...more } }, patchType.merge);
const CLUSTER_IP = make('ClusterIP', [{ port: 80 }]);

const OPERATIONS: Readonly<Record<string, Writes>> = {
  create: { run: make('NodePort', TWO_PORTS) },
  'more ports': { prepare: CLUSTER_IP, run: turn('NodePort', { ports: TWO_PORTS }) },
  'fewer ports': {
    prepare: make('NodePort', TWO_PORTS),
    run: turn('NodePort', { ports: TWO_PORTS.slice(1) }),
  },
  'no address': {
    prepare: make('NodePort', TWO_PORTS),
    run: turn('ExternalName', {
      externalName: 'a.example',
      clusterIP: null,
      clusterIPs: null,
      externalTrafficPolicy: null,
      ports: [{ port: 80 }],
    }),
  },
  delete: { prepare: make('NodePort', TWO_PORTS), run: (call) => call('DELETE', `${SERVICES}/web`) },
};

/** Of what is counted; the server makes namespaces and roles beside it. */
const COUNTED = /^\/(registry\/(core\/services|networking.k8s.io\/ipaddresses)|weft\/claims)\//;

/** A store whose process dies: after so many more writes of Services and locks nothing is written any more. */
function mortal(store: Store): { readonly store: Store; dieAfter(writes: number): void } {
  let left = Number.POSITIVE_INFINITY;
  const guarded =
    <A extends [key: string, ...rest: unknown[]], R>(write: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (left <= 0) throw new Fault(STORE_UNAVAILABLE, 'dead');
      if (COUNTED.test(args[0])) left--;
      return await write(...args);
    };
  const replaced: Partial<Store> = {
    put: guarded((...args: Parameters<Store['put']>) => store.put(...args)),
    delete: guarded((...args: Parameters<Store['delete']>) => store.delete(...args)),
  };
  const handler: ProxyHandler<Store> = {
    get(target, name) {
      const own = replaced[name as keyof Store];
      if (own) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  };
  return { store: new Proxy(store, handler), dieAfter: (writes) => void (left = writes) };
}

/** Runs the operation on a server that dies after so many writes; true when it got through. */
async function crash(
  store: Store,
  { prepare, run }: Writes,
  writes: number,
  clock: Clock = systemClock,
): Promise<boolean> {
  const dying = mortal(store);
  await using server = await openTestServer({}, { store: dying.store, clock });
  await prepare?.(server.call);
  await waitFor('the locks of what was there', async () => isExact(await locksOf(store)));
  dying.dieAfter(writes);
  return (await run(server.call)).status < 300;
}

const isExact = ({ held, locked }: Locks): boolean => held.join() === locked.join();

/** Once more, and with what the crash may have left behind: nobody else has it. */
async function expectUsable(server: TestServer): Promise<void> {
  await server.call('DELETE', `${SERVICES}/web`);
  const again = await make('NodePort', TWO_PORTS)(server.call);
  expect(again.body.spec?.ports, again.text).toHaveLength(2);
}

describe('a crash between the locks of a Service and the Service', () => {
  it.each(Object.entries(OPERATIONS))('%s: leaves nothing behind a restart', async (_, operation) => {
    let [writes, crashes] = [0, 0];
    for (let through = false; !through && writes < WRITES_MAX; writes++) {
      await using store = openMemoryStore({ clock: systemClock, log: silentLogger });
      through = await crash(store, operation, writes);
      const { held, locked } = await locksOf(store);
      expect(locked, `a lock for each after ${writes} writes`).toEqual(expect.arrayContaining([...held]));
      if (!isExact({ held, locked })) crashes++;
      await using server = await openTestServer({}, { store });
      expect(await locksOf(store), `after ${writes} writes`).toSatisfy(isExact);
      await expectUsable(server);
    }
    expect(writes, 'writes until it got through').toBeLessThan(WRITES_MAX);
    expect(crashes, 'crashes that left a lock without its Service').toBeGreaterThan(0);
  });

  it('leaves nothing behind either when many were under way', async () => {
    await using store = openMemoryStore({ clock: systemClock, log: silentLogger });
    {
      await using server = await openTestServer({}, { store });
      for (let i = 0; i < MANY; i++) {
        const spec = { clusterIP: `10.96.8.${i}`, ports: [{ port: 80 }] };
        await server.call('POST', SERVICES, { metadata: { name: `web-${i}` }, spec });
      }
    }
    for (let i = 0; i < MANY; i++) await store.delete(`/registry/core/services/default/web-${i}`);
    expect((await locksOf(store)).locked).toHaveLength(MANY);
    await using _server = await openTestServer({}, { store });
    expect((await locksOf(store)).locked).toEqual([]);
  });

  it('is repaired in time where other servers may be writing', async () => {
    const clock = new FakeClock();
    await using store = openMemoryStore({ clock, log: silentLogger });
    await crash(store, { run: make('NodePort', TWO_PORTS) }, 3, clock);
    expect((await locksOf(store)).locked).toEqual(['10.96.7.7', 'TCP/30200', 'TCP/30201']);
    await using server = await openTestServer({ sharedStore: true }, { store, clock });
    for (let pass = 1; pass < ALLOCATION_LEAK_PASSES; pass++) {
      await clock.advance(ALLOCATION_REPAIR_INTERVAL_MS);
      expect((await locksOf(store)).locked).toHaveLength(3);
    }
    await clock.advance(ALLOCATION_REPAIR_INTERVAL_MS);
    await waitFor('the repair', async () => (await locksOf(store)).locked.length === 0);
    await expectUsable(server);
  });
});
