import { expect, test } from 'vitest';
import type { Backend } from '../../../proxy/backend.ts';
import { openBackend } from '../../../proxy/backends.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { createLogger, silentLogger } from '../../../src/base/log.ts';
import { exec, type Exec } from '../../../src/net/exec.ts';
import type { OpenNetlink } from '../../../src/net/netlink/socket.ts';
import { openNetlink } from '../../../src/net/netlink/socket.ts';
import { cannotSendPackets } from '../../netns/can-send-packets.ts';
import { service, slice } from '../../support/kube-objects.ts';
import { CaseWorld, type CaseGroup, PROXY_CASES } from '../../suites/backend.ts';
import { NetworkNamespace } from '../../support/network-namespace.ts';

/** What every kind of element comes from: ranges, refusals, affinity, node ports, both families. */
const GROUPS = ['no-endpoints', 'both-local', 'lb-source-ranges', 'affinity', 'dual-stack'];
const signal = new AbortController().signal;

/** The table as the kernel holds it, without what differs from run to run: order of elements, digest. */
function listed(namespace: NetworkNamespace, family: string): unknown {
  const args = ['-j', 'list', 'table', family === 'IPv6' ? 'ip6' : 'ip', 'weft'];
  const { nftables } = JSON.parse(namespace.run('nft', args)) as { nftables: Record<string, unknown>[] };
  return nftables
    .map((entry) => (entry['set'] ?? entry['map']) as { name: string; elem?: unknown[] } | undefined)
    .filter((set) => set !== undefined && set.name !== 'state')
    .map((set) => [set!.name, (set!.elem ?? []).map((element) => JSON.stringify(element)).toSorted()]);
}

interface Run {
  readonly namespace: NetworkNamespace;
  readonly programs: readonly string[];
}

/** All services of a group come, half of them go, one by one: the cases' objects, two families. */
async function play(group: CaseGroup, netlink: OpenNetlink | undefined): Promise<Run> {
  const namespace = new NetworkNamespace();
  using _inside = namespace.enter();
  const programs: string[] = [];
  const watched: Exec = (program, args, options) => {
    programs.push([program, ...args].join(' '));
    return exec(program, args, options);
  };
  const deps = { clock: systemClock, log: silentLogger, exec: watched };
  const world = new CaseWorld(group);
  world.views();
  const backends: Backend[] = [];
  for (const { view } of world.trackers) {
    const { family } = view.node;
    const backend = await openBackend(
      'nftables',
      { ...deps, ...(netlink && { openNetlink: netlink }) },
      { family },
    );
    await backend.apply(view, { complete: false, ports: new Set() }, new Map(), signal);
    backends.push(backend);
  }
  const follow = async (): Promise<void> => {
    world.tracker.flush();
    for (const [i, views] of world.trackers.entries()) {
      const { view, changes, previous } = views.refresh();
      const applied = await backends[i]!.apply(view, changes, previous, signal);
      expect(applied.full).toBe(false);
    }
  };
  programs.length = 0;
  const movable = group.objects.filter(({ kind }) => kind === 'Service' || kind === 'EndpointSlice');
  for (const object of movable) {
    world.tracker.remove(object);
    await follow();
  }
  for (const object of movable.filter((_, i) => i % 3 !== 0)) {
    world.tracker.upsert(object);
    await follow();
  }
  for (const backend of backends) await backend[Symbol.asyncDispose]();
  return { namespace, programs: programs.filter((line) => line.startsWith('nft')) };
}

test('netlink leaves in the kernel what nft leaves there, without starting it', async (context) => {
  const reason = cannotSendPackets();
  if (reason !== undefined) context.skip(reason);
  for (const group of PROXY_CASES.groups.filter(({ id }) => GROUPS.includes(id))) {
    const byNetlink = await play(group, openNetlink);
    const byProgram = await play(group, undefined);
    using _a = byNetlink.namespace;
    using _b = byProgram.namespace;
    for (const { node } of new CaseWorld(group).views())
      expect(listed(byNetlink.namespace, node.family), group.id).toEqual(
        listed(byProgram.namespace, node.family),
      );
    // chains of a number of endpoints that was not there before, and clients of endpoints that left
    expect(byNetlink.programs.length, group.id).toBeLessThan(byProgram.programs.length / 2);
  }
});

test('more endpoints than ever before cost one new table, and no complaint of nft', async (context) => {
  const reason = cannotSendPackets();
  if (reason !== undefined) context.skip(reason);
  using namespace = new NetworkNamespace();
  using _inside = namespace.enter();
  const complaints: unknown[] = [];
  const log = createLogger((record) => complaints.push(record), 'warn');
  await using backend = await openBackend(
    'nftables',
    { clock: systemClock, log, exec, openNetlink },
    { family: 'IPv4' },
  );
  const endpoints = (count: number) =>
    slice('shop/web-1', 'web', {
      ports: { http: 8080 },
      endpoints: Array.from({ length: count }, (_, index) => ({ ip: `10.42.1.${index + 1}` })),
    });
  const objects = [service('shop/web', { clusterIP: '10.43.0.1' }), endpoints(1)];
  const world = new CaseWorld({ ...PROXY_CASES.groups[0]!, objects });
  world.views();
  const views = world.trackers[0]!;
  await backend.apply(views.view, { complete: false, ports: new Set() }, new Map(), signal);
  const written: boolean[] = [];
  for (const count of [2, 3, 32, 33, 64, 5, 0, 1]) {
    world.tracker.upsert(endpoints(count));
    world.tracker.flush();
    const { view, changes, previous } = views.refresh();
    written.push((await backend.apply(view, changes, previous, signal)).full);
  }
  expect(written).toEqual([false, false, false, true, false, false, false, false]);
  expect(complaints).toEqual([]);
});
