import { describe, expect, it } from 'vitest';
import type { ApiClient } from '../../src/api/client/client.ts';
import { openLeaderElection } from '../../src/api/client/leader-election.ts';
import { silentLogger } from '../../src/base/log.ts';
import { Cluster } from './cluster.ts';

interface Candidate extends AsyncDisposable {
  leading: boolean;
}

function candidate(cluster: Cluster, identity: string, client: ApiClient = cluster.client): Candidate {
  const state = { leading: false };
  const options = { namespace: 'kube-system', name: 'weft', identity };
  const deps = { client, clock: cluster.clock, log: silentLogger, random: () => 0 };
  const election = openLeaderElection(deps, options, async (signal) => {
    state.leading = true;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    state.leading = false;
  });
  return Object.assign(state, { [Symbol.asyncDispose]: () => election[Symbol.asyncDispose]() });
}

describe('leader election', () => {
  it('has one leader, hands over at once when it stops', async () => {
    await using cluster = await Cluster.open({ enabled: [] });
    const a = candidate(cluster, 'a');
    await cluster.eventually('a leads', () => a.leading);
    await using b = candidate(cluster, 'b');
    await cluster.clock.advance(60_000);
    expect([a.leading, b.leading]).toEqual([true, false]);
    await a[Symbol.asyncDispose]();
    expect(a.leading).toBe(false);
    await cluster.clock.advance(2_000);
    await cluster.eventually('b leads', () => b.leading);
  });

  it('a leader that is cut off stops before another one starts', async () => {
    await using cluster = await Cluster.open({ enabled: [] });
    let cut = false;
    const client = new Proxy(cluster.client, {
      get: (target, name) =>
        cut ? () => Promise.reject(new Error('cut off')) : (Reflect.get(target, name) as unknown),
    });
    await using a = candidate(cluster, 'a', client);
    await cluster.eventually('a leads', () => a.leading);
    await using b = candidate(cluster, 'b');
    await cluster.clock.advance(4_000);
    cut = true;
    let both = false;
    for (let i = 0; i < 300 && !b.leading; i++) {
      await cluster.clock.advance(100);
      both ||= a.leading && b.leading;
    }
    expect([a.leading, b.leading, both]).toEqual([false, true, false]);
  });
});
