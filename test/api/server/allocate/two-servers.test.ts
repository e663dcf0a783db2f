import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/log.ts';
import { ALLOCATION_ATTEMPTS_MAX } from '../../../../src/api/server/limits.ts';
import { type Allocator, ServiceAllocation } from '../../../../src/api/server/allocate/service-allocation.ts';
import type { AdmissionRequest } from '../../../../src/api/server/admission/admission.ts';
import { builtinKinds } from '../../../../src/api/kinds/builtin.ts';
import { openEtcdStore } from '../../../../src/store/etcd-store.ts';
import type { Store } from '../../../../src/store/store.ts';
import { EtcdCluster } from '../../../support/etcd.ts';
import { describeUnless, toolsLacking } from '../../../support/host-lacks.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { openTestServer, type TestReply, type TestServer } from '../support.ts';
import { locksOf } from './locks.ts';

const deps = { clock: systemClock, log: silentLogger };
const SERVICES = '/api/v1/namespaces/default/services';
const EACH = 20;

/** Both begin to look for a free one at the same place. */
const unluckyRandom = (): number => 0.5;

const place = (server: TestServer, name: string, spec: object = {}): Promise<TestReply> =>
  server.call('POST', SERVICES, {
    metadata: { name },
    spec: { type: 'NodePort', ports: [{ port: 80 }], ...spec },
  });

describeUnless(toolsLacking('etcd'))('two servers on one etcd', () => {
  let own: AsyncDisposableStack;
  let stores: readonly [Store, Store];
  let servers: readonly [TestServer, TestServer];

  beforeAll(async () => {
    own = new AsyncDisposableStack();
    const { endpoints } = own.use(await EtcdCluster.start(1));
    const open = async (): Promise<Store> =>
      own.use(await openEtcdStore(deps, { endpoints, prefix: '/weft' }));
    stores = [await open(), await open()];
    const serve = async (store: Store): Promise<TestServer> =>
      own.use(await openTestServer({ sharedStore: true }, { store, random: unluckyRandom }));
    servers = [await serve(stores[0]), await serve(stores[1])];
  });
  afterAll(() => own?.[Symbol.asyncDispose]());

  it('give every Service an address and a port of its own when both pick the same', async () => {
    const replies = await Promise.all(
      Array.from({ length: EACH * 2 }, (_, index) => place(servers[index % 2 ? 1 : 0], `web-${index}`)),
    );
    expect(replies.map(({ status, body }) => `${status} ${body.message ?? ''}`)).toEqual(
      replies.map(() => '201 '),
    );
    const { held } = await locksOf(stores[0]);
    expect(held).toHaveLength(EACH * 4);
    expect(new Set(held).size).toBe(EACH * 4);
    await waitFor('a lock for each and no other', async () => {
      const { locked } = await locksOf(stores[1]);
      return locked.join() === held.join();
    });
  });

  it.each([
    ['clusterIP', { clusterIP: '10.96.3.3' }, 'provided IP is already allocated'],
    ['nodePort', { ports: [{ port: 80, nodePort: 30_003 }] }, 'provided port is already allocated'],
  ])('refuse a %s that both are asked for to one of two', async (_, spec, refusal) => {
    const name = `wanted-${Object.keys(spec)[0]?.toLowerCase()}`;
    const replies = await Promise.all(
      servers.map((server, index) => place(server, `${name}-${index}`, spec)),
    );
    expect(replies.map(({ status }) => String(status)).toSorted()).toEqual(['201', '422']);
    expect(replies.find(({ status }) => status === 422)?.body.message).toContain(refusal);
  });

  it('know at once what the other one has given back', async () => {
    const spec = { clusterIP: '10.96.4.4', ports: [{ port: 80, nodePort: 30_004 }] };
    const [first, second] = servers;
    expect((await place(first, 'moves', spec)).status).toBe(201);
    expect((await place(second, 'thief', spec)).status).toBe(422);
    await first.call('DELETE', `${SERVICES}/moves`);
    await waitFor('the locks to go', async () => {
      const { locked } = await locksOf(stores[1]);
      return !locked.includes('TCP/30004') && !locked.includes('10.96.4.4');
    });
    expect((await second.call('GET', `${SERVICES}/moves`)).status).toBe(404);
    const moved = await place(second, 'moved', spec);
    expect(moved.status, moved.text).toBe(201);
  });
});

it(`give up after ${ALLOCATION_ATTEMPTS_MAX} attempts with a 409 that says what was lost`, async () => {
  let attempts = 0;
  const loser: Allocator = {
    namesOf: () => new Set(),
    note: () => {},
    forget: () => {},
    allocate: ({ taken }) => void taken.add(`name-${attempts}`),
    lock: async (names) => {
      attempts++;
      return names;
    },
    unlock: async () => {},
    isHeld: () => false,
    notHeld: () => [],
  };
  const kind = builtinKinds().find((one) => one.kind === 'Service' && one.group === '');
  const object = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', namespace: 'b' }, spec: {} };
  const request = { kind, object, subresource: '', dryRun: false } as unknown as AdmissionRequest;
  await expect(new ServiceAllocation([loser]).reserve(request)).rejects.toMatchObject({
    code: 409,
    message: expect.stringContaining(`name-${ALLOCATION_ATTEMPTS_MAX - 1} was allocated at the same time`),
  });
  expect(attempts).toBe(ALLOCATION_ATTEMPTS_MAX);
});
