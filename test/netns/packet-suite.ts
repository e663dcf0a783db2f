import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend, ProxyMode, Verdict } from '../../proxy/backend.ts';
import { openBackend } from '../../proxy/backends.ts';
import type { KernelOptions } from '../../proxy/config/kernel-options.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { exec } from '../../src/net/exec.ts';
import { openNetlink } from '../../src/net/netlink/socket.ts';
import { canonicalAddress } from '../../src/net/ip.ts';
import { CaseWorld, packetOf, PROXY_CASES, type CaseGroup, type PacketCase } from '../suites/backend.ts';
import { PacketWorld } from './packet-world.ts';
import { attempt, type Outcome, type Route } from './probe.ts';

/** Whoever answers has this long; a test that expects an answer never fails for being slow. */
const PATIENCE_MS = 20_000;
/** A packet that is to vanish is watched for this long. */
const SILENCE_MS = 250;
/** Enough to meet each of a few endpoints with certainty. */
const ATTEMPTS_MAX = 400;

export interface PacketMode {
  readonly title: string;
  readonly mode: ProxyMode;
  readonly kernel?: KernelOptions;
}

/** Every case of the modes, with real packets through the kernel's rules. */
export function packetCases(modes: readonly PacketMode[]): void {
  for (const group of PROXY_CASES.groups) {
    const wanted = modes.filter(({ mode }) => group.cases.some((each) => each.modes.includes(mode)));
    if (wanted.length === 0) continue;
    describe(group.title, () => {
      let world: PacketWorld;
      beforeAll(async () => void (world = await PacketWorld.open(group)));
      afterAll(async () => await world[Symbol.asyncDispose]());
      for (const each of wanted) modeCases(group, each, () => world);
    });
  }
}

function modeCases(group: CaseGroup, { title, mode, kernel }: PacketMode, world: () => PacketWorld): void {
  describe(title, () => {
    let backends: readonly Backend[] = [];
    beforeAll(async () => {
      using _inside = world().node.enter();
      backends = await openBackends(group, mode, kernel);
      await applyViews(group, mode, backends);
    });
    afterAll(async () => await cleanUp(world(), backends));
    const cases = group.cases.filter(({ modes }) => modes.includes(mode));
    test.each(cases)('$id: $note', async (each) => await checkCase(world(), each, mode));
  });
}

/**
 * The same with one world for all groups, whose backends go from one group's rules to the next by full syncs:
 * for where starting programs is slow. All groups must look from the same node.
 */
export function packetCasesInOneWorld({ title, mode, kernel }: PacketMode): void {
  const groups = PROXY_CASES.groups.filter(({ cases }) => cases.some(({ modes }) => modes.includes(mode)));
  const cases = groups.flatMap((group) => group.cases.filter(({ modes }) => modes.includes(mode)));
  const merged: CaseGroup = { ...groups[0]!, cases, objects: groups.flatMap(({ objects }) => objects) };
  let world: PacketWorld;
  let backends: readonly Backend[] = [];
  beforeAll(async () => {
    world = await PacketWorld.open(merged);
    using _inside = world.node.enter();
    backends = await openBackends(groups[0]!, mode, kernel);
  });
  afterAll(async () => {
    await cleanUp(world, backends);
    await world[Symbol.asyncDispose]();
  });
  describe.each(groups)(`${title}: $title`, (group) => {
    beforeAll(async () => {
      using _inside = world.node.enter();
      await applyViews(group, mode, backends);
    });
    const own = group.cases.filter(({ modes }) => modes.includes(mode));
    test.each(own)('$id: $note', async (each) => await checkCase(world, each, mode));
  });
}

async function openBackends(
  group: CaseGroup,
  mode: ProxyMode,
  kernel: KernelOptions | undefined,
): Promise<readonly Backend[]> {
  const deps = { clock: systemClock, log: silentLogger, exec, openNetlink };
  const families = new CaseWorld(group).settings.map(({ family }) => family);
  return await Promise.all(
    families.map((family) => openBackend(mode, deps, { family, ...(kernel && { kernel }) })),
  );
}

/** Families that no packet of the group has are left as they are. */
async function applyViews(group: CaseGroup, mode: ProxyMode, backends: readonly Backend[]): Promise<void> {
  const cases = group.cases.filter(({ modes }) => modes.includes(mode));
  const families = new Set(cases.map(({ to }) => (to.startsWith('[') ? 'IPv6' : 'IPv4')));
  for (const view of new CaseWorld(group).views()) {
    const backend = backends.find(({ family }) => family === view.node.family);
    if (!families.has(view.node.family)) continue;
    const changes = { complete: false, ports: new Set<string>() };
    await backend?.apply(view, changes, new Map(), AbortSignal.timeout(60_000));
  }
}

async function cleanUp(world: PacketWorld, backends: readonly Backend[]): Promise<void> {
  using _inside = world.node.enter();
  for (const backend of backends) {
    await backend.cleanup(AbortSignal.timeout(PATIENCE_MS));
    await backend[Symbol.asyncDispose]();
  }
  expect(leftovers(world)).toEqual([]);
}

/** What the kernel still holds of the proxy's. Of what this kernel or host lacks there is nothing. */
export function leftovers({ node }: PacketWorld): string[] {
  const programs = [
    ...['', '6'].flatMap((ip) => [`ip${ip}tables-legacy-save`, `ip${ip}tables-nft-save`]),
    'nft list tables',
    'ipset list -n',
    'ip -o link',
    'ipvsadm --save -n',
  ];
  const listed = programs.flatMap((command) => {
    const [program = '', ...args] = command.split(' ');
    try {
      return node.run(program, args).split('\n');
    } catch {
      return [];
    }
  });
  return listed.filter((line) => /KUBE|weft|^-[Aa] -[tu]/i.test(line));
}

async function checkCase(world: PacketWorld, each: PacketCase, mode: ProxyMode): Promise<void> {
  const expected: Verdict = { hairpin: [], ...(each.overrides?.[mode] ?? each.expect) };
  const { sourceAddress, destinationAddress, destinationPort, protocol } = packetOf(each.from.ip, each.to);
  const route: Route = {
    source: sourceAddress,
    destination: destinationAddress,
    port: destinationPort,
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
  };
  using _borrowed = world.borrowAddress(sourceAddress);
  const from = world.namespaceOf(sourceAddress);
  if (expected.verdict === 'dnat') return await checkEndpoints(world, route, expected);
  const outcome = await attempt(from, route, expected.verdict === 'drop' ? SILENCE_MS : PATIENCE_MS);
  if (expected.verdict === 'reject') expect(outcome).toEqual({ kind: 'refused' });
  else if (expected.verdict === 'drop') expect(outcome).toEqual({ kind: 'silence' });
  else {
    const at = each.to.split('/')[0]!;
    expect(outcome).toEqual({ kind: 'arrived', arrival: { at, peer: canonicalAddress(sourceAddress) } });
  }
}

/** Connects until every endpoint was met, and never another; the source must be what the case says each time. */
async function checkEndpoints(world: PacketWorld, route: Route, expected: Verdict): Promise<void> {
  const from = world.namespaceOf(route.source);
  const met = new Set<string>();
  for (let i = 0; i < ATTEMPTS_MAX; i++) {
    const outcome = await attempt(from, route, PATIENCE_MS);
    expect(outcome.kind, JSON.stringify(outcome)).toBe('arrived');
    const { at, peer } = (outcome as Extract<Outcome, { kind: 'arrived' }>).arrival;
    expect(expected.backends).toContain(at);
    const rewritten = expected.masquerade || expected.hairpin.includes(at);
    // from the node to itself every source is the same address
    const visible = from !== world.node || !world.isOnNode(at);
    if (visible) expect({ at, rewritten: world.isGateway(peer) }).toEqual({ at, rewritten });
    if (!rewritten) expect({ at, peer }).toEqual({ at, peer: canonicalAddress(route.source) });
    met.add(at);
    if (expected.affinity ? i >= 4 : met.size === expected.backends.length) break;
  }
  if (expected.affinity) expect(met.size).toBe(1);
  else expect([...met].sort()).toEqual([...expected.backends].sort());
}
