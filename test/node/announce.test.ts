import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostLacks } from '../support/host-lacks.ts';
import type { OwnNetwork } from '../support/own-network.ts';
import { waitFor } from '../support/wait-for.ts';
import type { WeftProcess } from '../support/weft-process.ts';
import { get, learned, macOf, startWeb, TestCluster, untilGot } from './cluster.ts';

const DEADLINE_MS = 300_000;
const DUAL_STACK = ['--service-cidr', '10.96.0.0/16', '--service-cidr', 'fd00:96::/112'];

/** A dual-stack LoadBalancer service over one server. */
function balanced(name: string, backend: { readonly ipv4: string; readonly ipv6: string }): unknown[] {
  const metadata = { name, namespace: 'default' };
  const ports = [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }];
  const slice = (addressType: string, address: string) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...metadata,
      name: `${name}-${addressType.toLowerCase()}`,
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType,
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  });
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { type: 'LoadBalancer', ipFamilyPolicy: 'RequireDualStack', ports },
    },
    slice('IPv4', backend.ipv4),
    slice('IPv6', backend.ipv6),
  ];
}

test(
  'one node answers ARP and NDP for an address; another takes over when it dies',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft');
    if (reason !== undefined) context.skip(reason);
    const pools = ['--lb-pool', '192.0.2.100-192.0.2.101', '--lb-pool', 'fd00::100-fd00::101'];
    await using cluster = await TestCluster.open('nd-l2', ...DUAL_STACK, ...pools);
    const [client, alpha, beta] = [
      cluster.host('client', 20),
      cluster.host('alpha', 11),
      cluster.host('beta', 12),
    ];
    for (const address of ['192.0.2.20', 'fd00::20']) startWeb(client, address, 'web');
    for (const host of [alpha, beta]) host.run('sysctl', ['-w', 'net.ipv6.conf.all.forwarding=1']);
    const flags = ['--proxy-mode', 'nftables', '--masquerade-all', '--announce-interface', 'eth0'];
    await using a = cluster.startNode(alpha, 'alpha', ...flags);
    await using b = cluster.startNode(beta, 'beta', ...flags);
    await Promise.all([a.ready(), b.ready()]);
    cluster.apply(...balanced('web', { ipv4: '192.0.2.20', ipv6: 'fd00::20' }));
    const outside = cluster.server;
    for (const url of ['http://192.0.2.100/', 'http://[fd00::100]/']) await untilGot(outside, url, 'web');
    const holder = learned(outside, '192.0.2.100');
    expect([macOf(alpha), macOf(beta)]).toContain(holder);
    // the host dies with all that is on it
    const [dead, died, heir] = holder === macOf(alpha) ? [alpha, a, beta] : [beta, b, alpha];
    await died.stop('SIGKILL');
    dead.run('ip', ['link', 'set', 'eth0', 'down']);
    for (const url of ['http://192.0.2.100/', 'http://[fd00::100]/']) await untilGot(outside, url, 'web');
    expect(learned(outside, '192.0.2.100')).toBe(macOf(heir));
    expect(learned(outside, 'fd00::100')).toBe(macOf(heir));
    const metrics = get(heir, 'http://127.0.0.1:10249/metrics');
    expect(metrics).toMatch(/weft_announce_addresses\{protocol="layer2"\} 2/);
    // without the API server the holder goes on
    await cluster.killServer();
    outside.run('ip', ['neigh', 'flush', 'all']);
    const survivor = heir === alpha ? a : b;
    await waitFor('the lease to lapse', () => survivor.output.includes('address still announced'));
    await untilGot(outside, 'http://192.0.2.100/', 'web');
    expect(await survivor.stop()).toBe(0);
    outside.run('ip', ['neigh', 'flush', 'all']);
    expect(get(outside, 'http://192.0.2.100/')).toMatch(/^\(/);
  },
  DEADLINE_MS,
);

const BIRD = `
log stderr all;
router id 192.0.2.10;
protocol device {}
protocol kernel { ipv4 { export all; }; merge paths on; }
protocol kernel { ipv6 { export all; }; merge paths on; }
template bgp node {
  local 192.0.2.10 as 64512;
  passive on;
  graceful restart on;
  ipv4 { import all; export none; };
  ipv6 { import all; export none; };
}
protocol bgp alpha from node { neighbor 192.0.2.11 as 64513; }
protocol bgp beta from node { neighbor 192.0.2.12 as 64513; }
`;

function bgpFlags(last: number, mode: string): readonly string[] {
  const hop = `192.0.2.${last}`;
  const proxy = ['--proxy-mode', mode, '--node-ip', hop, '--masquerade-all'];
  const bgp = ['--bgp-as', '64513', '--bgp-peer', '64512@192.0.2.10', '--bgp-next-hop', `fd00::${last}`];
  return [...proxy, ...bgp, '--bgp-community', '64513:7', '--bgp-hold-seconds', '9'];
}

test(
  'a BGP router spreads over the nodes, keeps routes over a restart, drops those of a dead one',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft', 'bird');
    if (reason !== undefined) context.skip(reason);
    const pools = ['--lb-pool', '203.0.113.10-203.0.113.20', '--lb-pool', 'fd00:b9::10-fd00:b9::20'];
    await using cluster = await TestCluster.open('nd-bgp', ...DUAL_STACK, ...pools);
    const [alpha, beta] = [cluster.host('alpha', 11), cluster.host('beta', 12)];
    const router = cluster.server;
    for (const address of ['192.0.2.12', 'fd00::12']) startWeb(beta, address, 'web');
    for (const host of [alpha, beta]) host.run('sysctl', ['-w', 'net.ipv6.conf.all.forwarding=1']);
    const config = join(cluster.folder, 'bird.conf');
    const control = join(cluster.folder, 'bird.ctl');
    writeFileSync(config, BIRD);
    router.start('bird', ['-f', '-c', config, '-s', control, '-P', join(cluster.folder, 'bird.pid')]);
    const start = (host: OwnNetwork, name: string, last: number, mode = 'nftables'): WeftProcess =>
      cluster.startNode(host, name, ...bgpFlags(last, mode));
    const a = start(alpha, 'alpha', 11);
    await using b = start(beta, 'beta', 12);
    await Promise.all([a.ready(), b.ready()]);
    cluster.apply(...balanced('web', { ipv4: '192.0.2.12', ipv6: 'fd00::12' }));
    const route = (): string =>
      router.run('ip', ['route', 'show', '203.0.113.10']).stdout.replaceAll(/\s+/g, ' ');
    const route6 = (): string => router.run('ip', ['-6', 'route', 'show', 'fd00:b9::10']).stdout;
    const both = (text: string, ...hops: string[]): boolean =>
      hops.every((hop) => text.includes(`via ${hop} `));
    await waitFor('both next hops', () => both(route(), '192.0.2.11', '192.0.2.12'), 60_000);
    await waitFor('both next hops of IPv6', () => both(route6(), 'fd00::11', 'fd00::12'), 60_000);
    for (const url of ['http://203.0.113.10/', 'http://[fd00:b9::10]/']) await untilGot(router, url, 'web');
    const birdc = (...words: string[]): string => router.run('birdc', ['-s', control, ...words]).stdout;
    expect(birdc('show', 'route', '203.0.113.10/32', 'all')).toMatch(/BGP\.community: \(64513,7\)/);
    // a restart: the kernel's rules go on, so do the routes
    expect(await a.stop()).toBe(0);
    const isUp = (): boolean => /alpha\s+BGP.*Established/.test(birdc('show', 'protocols'));
    await waitFor('the session to end', () => !isUp());
    expect(both(route(), '192.0.2.11', '192.0.2.12')).toBe(true);
    const again = start(alpha, 'alpha', 11);
    await again.ready();
    await waitFor('the session', isUp, 60_000);
    await waitFor('both next hops', () => both(route(), '192.0.2.11', '192.0.2.12'), 60_000);
    // the service goes: so does the route
    cluster.weft(['delete', 'service', 'web']);
    await waitFor('the routes to go', () => route().trim() === '' && route6().trim() === '', 60_000);
    expect(await again.stop()).toBe(0);
    // sockets do not outlive their process: userspace says goodbye, the route goes at once
    cluster.apply(...balanced('again', { ipv4: '192.0.2.12', ipv6: 'fd00::12' }));
    const sockets = start(alpha, 'alpha', 11, 'userspace');
    await sockets.ready();
    await waitFor('both next hops', () => both(route(), '192.0.2.11', '192.0.2.12'), 60_000);
    expect(await sockets.stop()).toBe(0);
    await waitFor(
      'one next hop',
      () => !route().includes('192.0.2.11') && route().includes('192.0.2.12'),
      60_000,
    );
  },
  DEADLINE_MS,
);
