import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProxyMode } from '../../proxy/backend.ts';
import { KERNEL_DEFAULT, type KernelOptions } from '../../proxy/config/kernel-options.ts';
import { service, slice } from '../support/kube-objects.ts';
import { CaseWorld, PROXY_CASES } from '../suites/backend.ts';
import { waitFor } from '../support/wait-for.ts';
import { cannotSendPackets } from './can-send-packets.ts';
import { LiveProxy } from './live-proxy.ts';
import { leftovers } from './packet-suite.ts';
import { PacketWorld } from './packet-world.ts';
import { attempt } from './probe.ts';

const reason = cannotSendPackets();
const WEFT = new URL('../../bin/weft', import.meta.url).pathname;
const CONTINUOUS_CLIENT = new URL('./continuous-client.ts', import.meta.url).pathname;

const CLIENT = '10.42.1.7';
const VIP = '10.43.0.80';
const web = service('shop/web', { clusterIP: VIP, ports: [{ name: 'http', port: 80 }] });
const sticky = service('shop/sticky', {
  clusterIP: '10.43.0.81',
  ports: [{ name: 'http', port: 80 }],
  sessionAffinity: 'ClientIP',
});
const behind = (owner: string) =>
  slice(`shop/${owner}-1`, owner, {
    ports: { http: 8080 },
    endpoints: [{ ip: '10.42.1.20' }, { ip: '10.42.2.20' }],
  });
const group = {
  ...PROXY_CASES.groups[0]!,
  cases: [],
  objects: [web, sticky, behind('web'), behind('sticky')],
};

interface Mode {
  readonly mode: ProxyMode;
  readonly kernel?: KernelOptions;
}
const nftables: Mode = { mode: 'nftables' };
const iptables = (iptablesVariant: 'nft' | 'legacy'): Mode => ({
  mode: 'iptables',
  kernel: { ...KERNEL_DEFAULT, iptablesVariant },
});
const MODES: readonly (readonly [string, Mode])[] = [
  ['nftables', nftables],
  ['iptables-nft', iptables('nft')],
  ['iptables-legacy', iptables('legacy')],
];

/** Another process connects again and again until told to stop; tells what failed. */
function connecting(world: PacketWorld) {
  const inside = world.namespaceOf(CLIENT).enter();
  const child = spawn(process.execPath, [CONTINUOUS_CLIENT, VIP, '80'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  inside[Symbol.dispose]();
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  const ended = once(child, 'exit');
  const more = async (count: number): Promise<void> => {
    const goal = lines.length + count;
    await waitFor('more connections', () => lines.length >= goal, 60_000);
  };
  const stop = async (): Promise<readonly string[]> => {
    child.stdin.end();
    await ended;
    return lines.filter((line) => !/"at":"10\.42\.[12]\.20:8080"/.test(line));
  };
  return { more, stop };
}

describe('a node whose proxy changes', () => {
  let world: PacketWorld;
  beforeAll(async () => {
    if (reason === undefined)
      world = await PacketWorld.open(group, { clients: [CLIENT, '10.42.1.8'], crowds: ['10.42.8.0/23'] });
  });
  afterAll(async () => await world?.[Symbol.asyncDispose]());

  const pairs = MODES.flatMap(([from, before]) =>
    MODES.filter(([to]) => to !== from).map(([to, after]) => ({ from, to, before, after })),
  );
  test.for(pairs)('from $from to $to, no connection fails', async ({ before, after }, context) => {
    if (reason !== undefined) context.skip(reason);
    const old = await LiveProxy.open(world.node, new CaseWorld(group), before);
    const client = connecting(world);
    await client.more(5);
    const next = await LiveProxy.open(world.node, new CaseWorld(group), after);
    await client.more(5);
    await old.cleanup();
    await client.more(5);
    expect(await client.stop()).toEqual([]);
    await next.cleanup();
    expect(leftovers(world)).toEqual([]);
  });

  const flushes: Readonly<Record<string, readonly (readonly string[])[]>> = {
    nftables: [
      ['nft', 'delete', 'table', 'ip', 'weft'],
      ['nft', 'flush', 'ruleset'],
    ],
    'iptables-nft': [
      ['iptables-nft', '-t', 'nat', '-F'],
      ['iptables-nft', '-t', 'nat', '-F', 'KUBE-SERVICES'],
      ['iptables-nft', '-t', 'filter', '-F', 'FORWARD'],
      ['nft', 'flush', 'ruleset'],
    ],
    'iptables-legacy': [
      ['iptables-legacy', '-t', 'nat', '-F'],
      ['iptables-legacy', '-t', 'nat', '-F', 'KUBE-SERVICES'],
    ],
  };
  test.for(MODES)('%s is repaired within one sync after a flush', async ([name, mode], context) => {
    if (reason !== undefined) context.skip(reason);
    const proxy = await LiveProxy.open(world.node, new CaseWorld(group), mode);
    for (const [program = '', ...args] of flushes[name] ?? []) {
      expect(await proxy.sync()).toBe(false);
      world.node.run(program, args);
      expect(await proxy.sync()).toBe(true);
      const client = connecting(world);
      await client.more(3);
      expect(await client.stop()).toEqual([]);
    }
    await proxy.cleanup();
    expect(leftovers(world)).toEqual([]);
  });

  test.for(MODES)('%s: a restart goes on with what the kernel holds', async ([, mode], context) => {
    if (reason !== undefined) context.skip(reason);
    await LiveProxy.open(world.node, new CaseWorld(group), mode);
    const before = rules(world);
    const client = connecting(world);
    await client.more(3);
    const next = await LiveProxy.open(world.node, new CaseWorld(group), mode);
    await client.more(3);
    expect(await client.stop()).toEqual([]);
    expect(rules(world)).toEqual(before);
    await next.cleanup();
    expect(rules(world)).not.toEqual(before);
  });

  test.for(MODES)('%s: syncs killed at any moment are made good', async ([, mode], context) => {
    if (reason !== undefined) context.skip(reason);
    const model = new CaseWorld(group);
    const proxy = await LiveProxy.open(world.node, model, mode);
    const before = rules(world);
    const client = connecting(world);
    for (let i = 0; i < 12; i++) {
      model.tracker.upsert(service(`shop/other-${i}`, { clusterIP: `10.43.1.${i}` }));
      model.tracker.upsert(behind(`other-${i}`));
      model.tracker.flush();
      await proxy.sync(AbortSignal.timeout(i * 3)).catch(() => undefined);
    }
    await proxy[Symbol.asyncDispose]();
    const next = await LiveProxy.open(world.node, new CaseWorld(group), mode);
    await client.more(3);
    expect(await client.stop()).toEqual([]);
    expect(rules(world)).toEqual(before);
    await next.cleanup();
    expect(leftovers(world)).toEqual([]);
  });

  test.for(['nftables', 'iptables'])(
    '%s: kill -9 of weft proxy, and a start after it',
    async (mode, context) => {
      if (reason !== undefined) context.skip(reason);
      const folder = mkdtempSync(join(tmpdir(), 'weft-kill-'));
      const path = join(folder, 'all.json');
      const write = (...more: readonly unknown[]): void =>
        writeFileSync(
          path,
          JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [...group.objects, ...more] }),
        );
      write();
      const flags = ['--proxy-mode', mode, '--cluster-cidr', '10.42.0.0/16', '--hostname-override', 'alpha'];
      const quiet = ['--healthz-bind-address=', '--metrics-bind-address='];
      const start = () => {
        using _inside = world.node.enter();
        return spawn(WEFT, ['proxy', '--from', path, ...flags, ...quiet], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
      };
      const ready = async (child: ReturnType<typeof start>): Promise<void> => {
        let said = '';
        child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
        await waitFor('ready', () => /^ready$/m.test(said), 60_000);
      };
      const ended = (child: ReturnType<typeof start>): Promise<unknown> => {
        const exit = once(child, 'exit');
        child.kill('SIGKILL');
        return exit;
      };
      try {
        const first = start();
        await ready(first);
        const client = connecting(world);
        await client.more(3);
        write(service('shop/late', { clusterIP: '10.43.0.99' })); // it may be in the middle of this
        await ended(first);
        await client.more(5);
        const second = start();
        await ready(second);
        await client.more(3);
        await ended(second);
        expect(await client.stop()).toEqual([]);
      } finally {
        world.node.run(WEFT, ['proxy', '--cleanup']);
        rmSync(folder, { recursive: true });
      }
      expect(leftovers(world)).toEqual([]);
    },
  );

  test.for(MODES)('%s: 300 clients keep their endpoints', async ([, mode], context) => {
    if (reason !== undefined) context.skip(reason);
    const proxy = await LiveProxy.open(world.node, new CaseWorld(group), mode);
    const clients = Array.from({ length: 300 }, (_, i) => `10.42.${8 + (i >> 8)}.${i & 255}`);
    const reached = async (): Promise<string[]> => {
      const found: string[] = [];
      for (const source of clients) {
        const route = { source, destination: '10.43.0.81', port: 80, protocol: 'tcp' } as const;
        const outcome = await attempt(world.namespaceOf(source), route, 20_000);
        found.push(outcome.kind === 'arrived' ? outcome.arrival.at : outcome.kind);
      }
      return found;
    };
    const first = await reached();
    expect(new Set(first).size).toBe(2);
    expect(await reached()).toEqual(first);
    await proxy.cleanup();
    expect(leftovers(world)).toEqual([]);
  });
});

/** Everything but counters, and in an order of its own. */
function rules({ node }: PacketWorld): string[] {
  const text = ['iptables-nft-save', 'iptables-legacy-save'].map((program) => node.run(program, [])).join('');
  return (text + node.run('nft', ['-s', 'list', 'ruleset']))
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.replace(/\[\d+:\d+\]/, '').trim())
    .sort();
}
