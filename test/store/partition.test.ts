import { expect, it } from 'vitest';
import type { StoreEvent, StoreWatchBatch } from '../../src/store/store.ts';
import { checkAll, checkStream } from '../support/check-histories.ts';
import { EtcdCluster, type EtcdHost } from '../support/etcd.ts';
import { describeUnless, hostLacks } from '../support/host-lacks.ts';
import { Lan } from '../support/lan.ts';
import type { OwnNetwork } from '../support/own-network.ts';
import { runClients, type RegisterStore } from '../support/register-clients.ts';
import { StoreProcess } from '../support/store-process.ts';
import { waitFor } from '../support/wait-for.ts';

const KEYS = ['/r/a', '/r/b', '/r/c', '/r/d', '/r/e', '/r/f'];
const CLIENT = '10.89.0.100';
const pause = (durationMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, durationMs));

/** Drops what the host gets from (and sends to) these addresses until it is healed. */
function cut(host: OwnNetwork, peers: readonly string[], ways: readonly ('in' | 'out')[]): void {
  const set = `{ ${peers.join(', ')} }`;
  const rules = {
    in: `chain in {\ntype filter hook input priority 0\nip saddr ${set} drop\n}`,
    out: `chain out {\ntype filter hook output priority 0\nip daddr ${set} drop\n}`,
  };
  const table = `table ip cut {\n${ways.map((way) => rules[way]).join('\n')}\n}\n`;
  const { status, stderr } = host.run('nft', ['-f', '-'], { input: table });
  if (status !== 0) throw new Error(`nft: ${stderr}`);
}

const heal = (host: OwnNetwork): void => void host.run('nft', ['delete', 'table', 'ip', 'cut']);

describeUnless(hostLacks('etcd', 'nft'))('an etcd whose network is cut', () => {
  it('gives linearizable registers and a gap-free watch through partitions of each member', async () => {
    await using stack = new AsyncDisposableStack();
    const lan = stack.use(new Lan('etcd'));
    const hosts: EtcdHost[] = ['10.89.0.1', '10.89.0.2', '10.89.0.3'].map((address, index) => ({
      network: lan.host(`m${index}`, `${address}/24`),
      address,
    }));
    const cluster = stack.use(await EtcdCluster.startOn(hosts));
    const events: StoreEvent[] = [];
    let place = 0;
    const follow = (batch: StoreWatchBatch): void => {
      events.push(...batch.events);
      place = batch.revision;
    };
    const url = `etcd:${cluster.endpoints.join(',')}?prefix=/cut`;
    const server = stack.use(new StoreProcess(url, follow, lan.host('client', `${CLIENT}/24`)));
    await server.start();
    server.watch('', await server.call<number>('currentRevision'));
    const store: RegisterStore = {
      get: (key) => server.call('get', key),
      put: (...args) => server.call('put', ...args),
      delete: (...args) => server.call('delete', ...args),
    };
    const stop = new AbortController();
    const running = runClients(store, {
      clients: 8,
      keys: KEYS,
      stop: stop.signal,
      operationsPerKeyMax: 1_000,
      thinkMs: 15,
    });
    for (const { network, address } of hosts) {
      const others = hosts.map((one) => one.address).filter((one) => one !== address);
      // Alone, but still in reach of the client: what it knows is old.
      cut(network, others, ['in', 'out']);
      await pause(1_500);
      heal(network);
      await pause(300);
      // It hears nobody, everybody hears it.
      cut(network, others, ['in']);
      await pause(1_000);
      heal(network);
      // Gone from everybody.
      cut(network, [...others, CLIENT], ['in', 'out']);
      await pause(1_000);
      heal(network);
      await pause(300);
    }
    for (const member of hosts.keys()) await cluster.healthy(member);
    stop.abort();
    const history = await running;
    const revision = await waitFor('etcd', () => server.call<number>('currentRevision'));
    const newest = await waitFor(
      'all keys',
      async () => {
        const { entries } = await server.call<{ entries: { modRevision: number }[] }>('range', '');
        return Math.max(1, ...entries.map((entry) => entry.modRevision));
      },
      30_000,
    );
    await waitFor(
      'the rest of the watch',
      () => Math.max(place, events.at(-1)?.revision ?? 0) >= newest,
      60_000,
    );
    expect(revision).toBeGreaterThanOrEqual(newest);
    checkAll(history);
    checkStream(history, events);
  });
});
