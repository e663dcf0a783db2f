import { connect, createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { openBackend } from '../../../proxy/backends.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { exec } from '../../../src/net/exec.ts';
import { openNetlink } from '../../../src/net/netlink/socket.ts';
import { service, slice } from '../../support/kube-objects.ts';
import { cannotSendPackets } from '../../netns/can-send-packets.ts';
import { CaseWorld, PROXY_CASES } from '../../suites/backend.ts';
import { NetworkNamespace } from '../../support/network-namespace.ts';

const signal = new AbortController().signal;
const ADDRESSES = {
  IPv4: { vip: '10.43.0.1', endpoints: ['10.42.1.1', '10.42.1.2', '10.42.1.3'], bits: 32 },
  IPv6: { vip: 'fd43::1', endpoints: ['fd42::1', 'fd42::2', 'fd42::3'], bits: 128 },
} as const;

/** The endpoint that answered. */
function dial(vip: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(80, vip);
    socket.on('error', reject);
    socket.on('data', (bytes) => resolve(bytes.toString()));
  });
}

test.for(
  (['IPv4', 'IPv6'] as const).flatMap((family) => [
    { family, by: 'netlink' as const },
    { family, by: 'nft' as const },
  ]),
)('$family, by $by: a client keeps its endpoint until that leaves', async ({ family, by }, context) => {
  const reason = cannotSendPackets();
  if (reason !== undefined) context.skip(reason);
  const { vip, endpoints, bits } = ADDRESSES[family];
  using node = new NetworkNamespace();
  const nodad = family === 'IPv6' ? ' nodad' : '';
  node.ip(['link set lo up', 'route add default dev lo', 'route add ::/0 dev lo']);
  node.ip(endpoints.map((address) => `addr add ${address}/${bits} dev lo${nodad}`));
  using _inside = node.enter();
  const servers = endpoints.map((address) =>
    createServer((socket) => socket.end((socket.address() as AddressInfo).address)).listen(8080, address),
  );
  const behind = (addresses: readonly string[]) =>
    slice('shop/web-1', 'web', {
      addressType: family,
      ports: { http: 8080 },
      endpoints: addresses.map((ip) => ({ ip })),
    });
  const web = service('shop/web', {
    clusterIP: vip,
    clusterIPs: [vip],
    ipFamilies: [family],
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } },
  });
  const world = new CaseWorld({ ...PROXY_CASES.groups[0]!, objects: [web, behind(endpoints)] });
  world.views();
  const views = world.trackers[family === 'IPv4' ? 0 : 1]!;
  const deps = { clock: systemClock, log: silentLogger, exec, ...(by === 'netlink' && { openNetlink }) };
  await using backend = await openBackend('nftables', deps, { family });
  await backend.apply(views.view, { complete: false, ports: new Set() }, new Map(), signal);
  let left: readonly string[] = endpoints;
  while (left.length > 0) {
    const first = await dial(vip);
    expect(left).toContain(first);
    for (let i = 0; i < 10; i++) expect(await dial(vip)).toBe(first);
    left = left.filter((address) => address !== first);
    world.tracker.upsert(behind(left));
    world.tracker.flush();
    const { view, changes, previous } = views.refresh();
    expect((await backend.apply(view, changes, previous, signal)).full).toBe(false);
    const ip = family === 'IPv6' ? 'ip6' : 'ip';
    expect(node.run('nft', ['list', 'map', ip, 'weft', 'affinity'])).not.toContain('elements');
  }
  for (const server of servers) server.close();
});
