import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openEtcdStore } from '../../src/store/etcd-store.ts';
import { openStore } from '../../src/store/open.ts';
import { storeSuite } from '../suites/store.ts';
import { EtcdCluster, etcdInstalled } from '../support/etcd.ts';
import { bytes, collect, describeEvent, expectFault } from '../support/store-calls.ts';
import { waitFor } from '../support/wait-for.ts';

const deps = { clock: systemClock, log: silentLogger };
const installed = etcdInstalled();
const gaps = 'etcd has one counter for all prefixes, and moving compact_rev_key takes a revision too';

it('has an etcd to talk to', ({ skip }) => {
  if (!installed) skip('etcd is not installed: nothing of the etcd store was tested');
});

describe.runIf(installed).each([1, 3])('with %i members', (members) => {
  let cluster: EtcdCluster;
  let opened = 0;
  beforeAll(async () => {
    cluster = await EtcdCluster.start(members);
  });
  afterAll(async () => await cluster[Symbol.asyncDispose]());

  storeSuite({
    name: `etcd, ${members} members`,
    durable: true,
    gaps,
    leaseSeconds: 2,
    async open() {
      const prefix = `/weft-${opened++}.`;
      const openAgain = () => openEtcdStore(deps, { endpoints: cluster.endpoints, prefix });
      let store = await openAgain();
      return {
        get store() {
          return store;
        },
        elapse: (durationMs: number) => new Promise<void>((resolve) => setTimeout(resolve, durationMs)),
        async reopen() {
          await store[Symbol.asyncDispose]();
          return (store = await openAgain());
        },
        [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
      };
    },
  });
});

describe.runIf(installed)('when members are lost', () => {
  let cluster: EtcdCluster;
  beforeAll(async () => {
    cluster = await EtcdCluster.start(3);
  });
  afterAll(async () => await cluster[Symbol.asyncDispose]());

  it('goes on through the loss of any one member, watches without gap, and stops without a majority', async () => {
    await using store = await openEtcdStore(deps, { endpoints: cluster.endpoints, prefix: '/loss' });
    const start = await store.currentRevision();
    const stop = new AbortController();
    const acknowledged: string[] = [];
    const unknown = new Set<string>();
    let written = 0;
    const writing = (async () => {
      while (!stop.signal.aborted) {
        const name = String(written++);
        const failure = await store.put(`/k/${name}`, bytes(name), 0).then(
          (result) => void (result.ok && acknowledged.push(name)),
          (error: unknown) => error,
        );
        if (failure) unknown.add(name);
      }
    })();
    for (const member of [0, 1, 2]) {
      cluster.signal(member, 'SIGKILL');
      const before = acknowledged.length;
      await waitFor('writes without the member', () => acknowledged.length > before + 20);
      cluster.startMember(member);
      await cluster.healthy(member);
    }
    stop.abort();
    await writing;
    const { entries } = await store.range('/k/');
    const found = new Set(entries.map((entry) => entry.key.slice(3)));
    expect(acknowledged.filter((name) => !found.has(name))).toEqual([]);
    expect([...found].filter((name) => !acknowledged.includes(name) && !unknown.has(name))).toEqual([]);
    const events = await collect(store, '/k/', start, entries.length);
    const byRevision = [...entries].sort((a, b) => a.modRevision - b.modRevision);
    expect(events.map(describeEvent)).toEqual(
      byRevision.map((entry) => `${entry.key}=${entry.key.slice(3)} was nothing`),
    );

    cluster.signal(0, 'SIGKILL');
    cluster.signal(1, 'SIGKILL');
    const outcome = await store.put('/k/last', bytes('x'), 0).catch((error: unknown) => error);
    expect(['STORE_UNAVAILABLE', 'STORE_OUTCOME_UNKNOWN']).toContain((outcome as { code?: string }).code);
    await expectFault(store.get('/k/0'), 'STORE_UNAVAILABLE');
  });

  it('says which address does not answer or is none', async () => {
    await expectFault(openStore(deps, 'etcd:http://127.0.0.1:1'), 'STORE_UNAVAILABLE');
    await expectFault(openStore(deps, 'etcd:ftp://127.0.0.1'), 'STORE_OPEN_FAILED');
    await expectFault(openStore(deps, 'etcd:'), 'STORE_OPEN_FAILED');
    await expectFault(openStore(deps, 'postgres:x'), 'STORE_OPEN_FAILED');
  });
});
