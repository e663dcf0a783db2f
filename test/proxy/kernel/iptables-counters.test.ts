import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { openBackend } from '../../../proxy/backends.ts';
import { KERNEL_DEFAULT } from '../../../proxy/config/kernel-options.ts';
import { openPacketMetrics } from '../../../proxy/metrics/packets.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { exec } from '../../../src/net/exec.ts';
import { PacketCounters } from '../../../src/net/netlink/packet-counters.ts';
import { NETLINK, openNetlink } from '../../../src/net/netlink/socket.ts';
import { service, slice } from '../../support/kube-objects.ts';
import { cannotSendPackets } from '../../netns/can-send-packets.ts';
import { CaseWorld, PROXY_CASES } from '../../suites/backend.ts';
import { NetworkNamespace } from '../../support/network-namespace.ts';

const signal = new AbortController().signal;
const LOCALHOST = 'kubeproxy_iptables_localhost_nodeports_accepted_packets_total';

function dial(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(30_080, address);
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
    socket.on('close', () => resolve(true));
  });
}

test.for(['legacy', 'nft'] as const)(
  'iptables-%s counts connections to node ports on localhost as kube-proxy does',
  async (iptablesVariant, context) => {
    const reason = cannotSendPackets();
    if (reason !== undefined) context.skip(reason);
    using node = new NetworkNamespace();
    node.ip(['link set lo up', 'addr add 172.20.0.11/32 dev lo', 'addr add 10.42.1.1/32 dev lo']);
    node.ip(['route add default dev lo']);
    using _inside = node.enter();
    const server = createServer((socket) => socket.resume()).listen(8080, '10.42.1.1');
    const objects = [
      service('shop/web', {
        clusterIP: '10.43.0.1',
        type: 'NodePort',
        ports: [{ name: 'http', port: 80, nodePort: 30_080 }],
      }),
      slice('shop/web-1', 'web', { ports: { http: 8080 }, endpoints: [{ ip: '10.42.1.1' }] }),
    ];
    const [view] = new CaseWorld({ ...PROXY_CASES.groups[0]!, objects }).views();
    const kernel = { ...KERNEL_DEFAULT, iptablesVariant };
    const deps = { clock: systemClock, log: silentLogger, exec, openNetlink };
    await using backend = await openBackend('iptables', deps, { family: 'IPv4', kernel });
    expect(await backend.packetCounts?.()).toBeUndefined();
    await backend.apply(view!, { complete: false, ports: new Set() }, new Map(), signal);
    const rules = node.run(`iptables-${iptablesVariant}-save`, []);
    expect(rules).toMatch(/-A KUBE-FORWARD -m conntrack --ctstate INVALID -m nfacct .*-j DROP/);
    for (let i = 0; i < 3; i++) expect(await dial('127.0.0.1')).toBe(true);
    expect(await dial('172.20.0.11')).toBe(true);
    const registry = new Registry();
    openPacketMetrics(registry, () => [backend]);
    const text = await registry.metrics();
    expect(text).toContain(`${LOCALHOST} 3\n`);
    expect(text).toContain('kubeproxy_iptables_ct_state_invalid_dropped_packets_total 0\n');
    await backend.cleanup(signal);
    using counters = new PacketCounters(openNetlink(NETLINK.NETFILTER));
    expect(await counters.packets('localhost_nps_accepted_pkts')).toBeUndefined();
    server.close();
  },
);
