import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { IPVS_SCHEDULERS } from '../../../proxy/config/fields.ts';
import { KERNEL_DEFAULT, type IpvsOptions } from '../../../proxy/config/kernel-options.ts';
import { service, slice } from '../../support/kube-objects.ts';
import { CaseWorld, PROXY_CASES } from '../../suites/backend.ts';
import { LiveProxy } from '../live-proxy.ts';
import { packetSequences } from '../packet-sequences.ts';
import { leftovers } from '../packet-suite.ts';
import { PacketWorld } from '../packet-world.ts';
import { attempt } from '../probe.ts';

const kernelWith = (ipvs: Partial<IpvsOptions> = {}) => ({
  ...KERNEL_DEFAULT,
  iptablesVariant: 'legacy' as const,
  ipvs: { ...KERNEL_DEFAULT.ipvs, ...ipvs },
});

packetSequences({ mode: 'ipvs', kernel: kernelWith() });

const CLIENT = '10.42.1.7';
const VIP = '10.43.0.80';
const web = service('shop/web', { clusterIP: VIP, ports: [{ name: 'http', port: 80 }] });
const behind = (...ips: readonly string[]) =>
  slice('shop/web-1', 'web', { ports: { http: 8080 }, endpoints: ips.map((ip) => ({ ip })) });
const ENDPOINTS = ['10.42.1.20:8080', '10.42.2.20:8080'];
const [first] = PROXY_CASES.groups;
const group = { ...first!, cases: [], objects: [web, behind('10.42.1.20', '10.42.2.20')] };
const route = { source: CLIENT, destination: VIP, port: 80, protocol: 'tcp' } as const;

let world: PacketWorld;
beforeAll(async () => {
  world = await PacketWorld.open(group, {
    clients: [CLIENT, 'fd42:0:0:1::7', 'fd42:0:0:1::20', '10.42.1.22'],
    destinations: ['[fd42:0:0:1::20]:8080/tcp'],
  });
});
afterAll(async () => await world[Symbol.asyncDispose]());

async function open(ipvs?: Partial<IpvsOptions>, clock = new FakeClock()) {
  const model = new CaseWorld(group);
  const proxy = await LiveProxy.open(world.node, model, { mode: 'ipvs', kernel: kernelWith(ipvs), clock });
  const change = async (...objects: Parameters<typeof model.tracker.upsert>[0][]): Promise<void> => {
    for (const object of objects) model.tracker.upsert(object);
    model.tracker.flush();
    await proxy.sync();
  };
  const arrivals = async (count: number): Promise<string[]> => {
    const found: string[] = [];
    for (let i = 0; i < count; i++) {
      const outcome = await attempt(world.namespaceOf(CLIENT), route, 20_000);
      found.push(outcome.kind === 'arrived' ? outcome.arrival.at : outcome.kind);
    }
    return found;
  };
  const servers = (): string[] => world.node.run('ipvsadm', ['--save', '-n']).trim().split('\n');
  return { model, proxy, clock, change, arrivals, servers };
}

describe('a live proxy', () => {
  test('draining', async () => {
    const { proxy, clock, change, arrivals, servers } = await open();
    const weights = (): Record<string, number> =>
      Object.fromEntries(
        servers().flatMap((line) => {
          const found = /-r (\S+):8080 -m -w (\d)/.exec(line);
          return found ? [[found[1]!, Number(found[2])] as const] : [];
        }),
      );
    expect(new Set(await arrivals(4)).size).toBe(2);
    await change(behind('10.42.1.20', '10.42.2.20', '10.42.1.22'));
    await change(behind('10.42.2.20'));
    expect(weights()).toEqual({ '10.42.1.20': 0, '10.42.2.20': 1, '10.42.1.22': 0 });
    expect(new Set(await arrivals(4))).toEqual(new Set(['10.42.2.20:8080']));
    await clock.advance(61_000);
    await proxy.sync();
    // the one that had connections waits for the kernel to forget them, the other is gone
    expect(weights()).toEqual({ '10.42.1.20': 0, '10.42.2.20': 1 });
    await change(behind('10.42.1.20', '10.42.2.20'));
    expect(weights()).toEqual({ '10.42.1.20': 1, '10.42.2.20': 1 });
    expect(new Set(await arrivals(4)).size).toBe(2);
    await proxy.cleanup();
  });

  test('schedulers', async () => {
    const { model, servers, arrivals, proxy } = await open();
    for (const scheduler of IPVS_SCHEDULERS) {
      const next = await LiveProxy.open(world.node, model, {
        mode: 'ipvs',
        kernel: kernelWith({ scheduler }),
      });
      const flags = scheduler === 'mh' ? ' -b mh-port' : '';
      expect(servers()[0]).toBe(`-A -t 10.43.0.80:80 -s ${scheduler}${flags}`);
      expect(await arrivals(1)).toEqual([expect.stringMatching(/^10\.42\.\d\.20:8080$/)]);
      await next[Symbol.asyncDispose]();
    }
    await proxy.cleanup();
  });

  test('IPv6', async () => {
    const { proxy, change } = await open();
    const spec = { clusterIP: 'fd43::80', clusterIPs: ['fd43::80'], ports: [{ name: 'http', port: 80 }] };
    const slices = slice('shop/six-1', 'six', {
      addressType: 'IPv6',
      ports: { http: 8080 },
      endpoints: [{ ip: 'fd42:0:0:1::20' }],
    });
    await change(service('shop/six', { ...spec, ipFamilies: ['IPv6'] }), slices);
    const six = { source: 'fd42:0:0:1::7', destination: 'fd43::80', port: 80, protocol: 'tcp' } as const;
    const outcome = await attempt(world.namespaceOf(six.source), six, 20_000);
    expect(outcome).toEqual({
      kind: 'arrived',
      arrival: { at: '[fd42:0:0:1::20]:8080', peer: 'fd42:0:0:1::7' },
    });
    await proxy.cleanup();
    expect(leftovers(world)).toEqual([]);
  });

  test('repair', async () => {
    const { proxy, arrivals } = await open();
    for (const damage of [
      () => world.node.run('ipvsadm', ['-C']),
      () => world.node.run('ip', ['link', 'del', 'kube-ipvs0']),
      () => world.node.run('iptables', ['-t', 'nat', '-F', 'PREROUTING']),
    ]) {
      damage();
      expect(await proxy.sync()).toBe(true);
      expect(new Set(await arrivals(4)).size).toBe(2);
      expect(await proxy.sync()).toBe(false);
    }
    await proxy.cleanup();
  });

  test('other modes', async () => {
    const { model, proxy, arrivals } = await open();
    let before: LiveProxy = proxy;
    for (const mode of ['userspace', 'ipvs', 'iptables', 'ipvs'] as const) {
      const next = await LiveProxy.open(world.node, model, { mode, kernel: kernelWith() });
      await before.cleanup();
      await before[Symbol.asyncDispose]();
      expect(new Set([...(await arrivals(4)), ...ENDPOINTS]), mode).toEqual(new Set(ENDPOINTS));
      before = next;
    }
    await before.cleanup();
    expect(leftovers(world)).toEqual([]);
  });

  test('settings of the host', async () => {
    const { proxy } = await open({ strictARP: true, tcpTimeoutMs: 700_000, udpTimeoutMs: 200_000 });
    const sysctl = (name: string): string =>
      world.node.run('cat', [`/proc/sys/net/ipv4/${name.replaceAll('.', '/')}`]).trim();
    expect(sysctl('vs.conntrack')).toBe('1');
    expect(sysctl('vs.expire_nodest_conn')).toBe('1');
    expect(sysctl('vs.expire_quiescent_template')).toBe('1');
    expect(sysctl('conf.all.arp_ignore')).toBe('1');
    expect(sysctl('conf.all.arp_announce')).toBe('2');
    expect(world.node.run('ipvsadm', ['-L', '--timeout'])).toMatch(/700 \d+ 200/);
    await proxy.cleanup();
  });

  test('cleanup', async () => {
    const { proxy } = await open({ excludeCIDRs: ['192.0.2.0/24'] });
    world.node.run('ipvsadm', ['-A', '-t', '192.0.2.9:80', '-s', 'rr']);
    expect(await proxy.sync()).toBe(false);
    await proxy.cleanup();
    expect(leftovers(world)).toEqual(['-A -t 192.0.2.9:80 -s rr']);
    await proxy.cleanup();
    world.node.run('ipvsadm', ['-C']);
  });
});
