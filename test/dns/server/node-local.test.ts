import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { silentLogger } from '../../../src/base/log.ts';
import { exec, type Exec } from '../../../src/net/exec.ts';
import { openNodeLocal } from '../../../src/node/dns/node-local-dns.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { hostLacks } from '../../support/host-lacks.ts';
import { OwnNetwork } from '../../support/own-network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { WeftProcess } from '../../support/weft-process.ts';

const LINK_LOCAL = '169.254.20.10';
const CLUSTER_IP = '10.96.0.10';

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'shop', name: 'cart' },
    spec: { clusterIP: '10.96.1.1', ports: [{ port: 80 }] },
  },
];
const COREFILE = `.:53 {
  kubernetes cluster.local
}`;

function needsNamespaces(ctx: TestContext): void {
  const reason = hostLacks('dig', 'iptables', 'ip');
  if (reason !== undefined) ctx.skip(reason);
}

describe('node-local DNS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-node-local-'));
  const [conf, from] = [join(folder, 'Corefile'), join(folder, 'objects.json')];
  beforeAll(() => {
    writeFileSync(conf, COREFILE);
    writeFileSync(from, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: OBJECTS }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('answers on both addresses, untracked, and leaves nothing behind', async (ctx) => {
    needsNamespaces(ctx);
    using network = new OwnNetwork('node-local');
    const args = ['dns', '--conf', conf, '--from', from, '--node-local', LINK_LOCAL, CLUSTER_IP];
    await using weft = new WeftProcess(network, args);
    await weft.ready();
    // A firewall of the host that would refuse it, and a NAT rule as kube-proxy writes it.
    network.run('iptables', ['-A', 'INPUT', '-p', 'udp', '--dport', '53', '-j', 'DROP']);
    const nat = ['-t', 'nat', '-A', 'OUTPUT', '-d', CLUSTER_IP, '-p', 'udp', '--dport', '53'];
    network.run('iptables', [...nat, '-j', 'DNAT', '--to-destination', '192.0.2.1:53']);
    for (const server of [LINK_LOCAL, CLUSTER_IP]) {
      for (const transport of ['+notcp', '+tcp']) {
        const name = 'cart.shop.svc.cluster.local';
        const { stdout } = network.run('dig', [`@${server}`, name, '+short', '+time=5', transport]);
        expect(stdout.trim()).toBe('10.96.1.1');
      }
    }
    expect(await weft.stop()).toBe(0);
    const rules = ['raw', 'filter']
      .map((table) => network.run('iptables', ['-t', table, '-S']).stdout)
      .join('');
    expect(rules).not.toContain('WEFT-DNS');
    expect(rules).toContain('--dport 53 -j DROP');
    expect(network.run('ip', ['link', 'show', 'nodelocaldns']).status).not.toBe(0);
  });

  it('puts back what others removed, and takes the rules away before the interface', async (ctx) => {
    needsNamespaces(ctx);
    using network = new OwnNetwork('node-local-back');
    const inside: Exec = (program, args, options) =>
      exec('ip', ['netns', 'exec', network.name, program, ...args], options);
    const clock = new FakeClock();
    const options = { addresses: [LINK_LOCAL, 'fd00:ec2::253'], port: 53, interfaceName: 'nodelocaldns' };
    const deps = { clock, log: silentLogger, exec: inside };
    await using ground = await openNodeLocal(deps, options);
    const rules = (): string => network.run('iptables', ['-t', 'raw', '-S']).stdout;
    const addresses = (): string => network.run('ip', ['-o', 'addr', 'show', 'dev', 'nodelocaldns']).stdout;
    expect(addresses()).toContain('fd00:ec2::253/128');
    expect(network.run('ip6tables', ['-t', 'raw', '-S']).stdout).toContain('fd00:ec2::253');
    network.run('iptables', ['-t', 'raw', '-F']);
    network.run('ip', ['addr', 'del', `${LINK_LOCAL}/32`, 'dev', 'nodelocaldns']);
    await clock.advance(61_000);
    await waitFor(
      'interface and rules',
      () => rules().includes('-A OUTPUT -j WEFT-DNS') && addresses().includes(LINK_LOCAL),
    );
    expect(rules()).toMatch(
      /-A WEFT-DNS -d 169\.254\.20\.10\/32 -p udp .*--dport 53 -j (NOTRACK|CT --notrack)/,
    );
    await ground.withdraw();
    expect(rules()).not.toContain('WEFT-DNS');
    expect(addresses()).toContain(LINK_LOCAL);
  });
});
