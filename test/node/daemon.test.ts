import { describe, expect, test } from 'vitest';
import { hostLacks } from '../support/host-lacks.ts';
import type { OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { waitFor } from '../support/wait-for.ts';
import type { WeftProcess } from '../support/weft-process.ts';
import { get, startWeb, TestCluster, untilGot, web } from './cluster.ts';

const VIP = '10.96.7.7';
/** Generous: processes start slowly on a loaded machine. */
const DEADLINE_MS = 300_000;

/** Asks again and again until told to stop; what did not come as wanted. */
async function askAll(host: OwnNetwork, url: string, wanted: string, over: () => boolean): Promise<string[]> {
  const failures: string[] = [];
  while (!over()) {
    const curl = host.start('curl', ['-s', '-m', '5', url]);
    let text = '';
    curl.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const code = await new Promise((resolve) => curl.on('close', resolve));
    if (text !== wanted) failures.push(`${String(code)}: ${text}`);
  }
  return failures;
}

describe.each(['nftables', 'iptables', 'userspace'])('weft node in mode %s', (mode) => {
  const tool = mode === 'nftables' ? 'nft' : mode === 'iptables' ? 'iptables' : 'ip';

  test(
    'serves VIPs and node ports, registers, answers on kube-proxy’s ports',
    async (context) => {
      const reason = hostLacks('ip', 'curl', tool);
      if (reason !== undefined) context.skip(reason);
      await using cluster = await TestCluster.open(`nd-${mode.slice(0, 2)}`);
      const alpha = cluster.host('alpha', 11);
      const beta = cluster.host('beta', 12);
      startWeb(beta, '192.0.2.12', 'beta');
      await using node = cluster.startNode(alpha, 'alpha', '--register', '--proxy-mode', mode);
      await node.ready();
      cluster.apply(
        ...web('web', VIP, ['192.0.2.12'], {
          type: 'NodePort',
          ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30_080, protocol: 'TCP' }],
        }),
      );
      await untilGot(alpha, `http://${VIP}/`, 'beta');
      await untilGot(cluster.server, 'http://192.0.2.11:30080/', 'beta');
      expect(cluster.weft(['get', 'nodes'])).toMatch(/^alpha +Ready,SchedulingDisabled/m);
      for (const path of ['healthz', 'livez', 'readyz'])
        expect(get(alpha, `http://127.0.0.1:10256/${path}`)).toContain('"healthy":true');
      expect(get(alpha, 'http://127.0.0.1:10249/proxyMode')).toBe(mode);
      expect(get(alpha, 'http://127.0.0.1:10249/metrics')).toContain(
        'kubeproxy_sync_proxy_rules_duration_seconds',
      );
      cluster.weft(['delete', 'service', 'web']);
      await waitFor('the service to go', () => get(alpha, `http://${VIP}/`).startsWith('('));
      expect(await node.stop()).toBe(0);
    },
    DEADLINE_MS,
  );
});

test(
  'what the API said last is served while the API is away, and its news when it is back',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft', 'dig');
    if (reason !== undefined) context.skip(reason);
    await using cluster = await TestCluster.open('nd-loss');
    const alpha = cluster.host('alpha', 11);
    startWeb(alpha, '192.0.2.11', 'alpha');
    const dns = ['--dns-address', '169.254.20.10'];
    await using node = cluster.startNode(alpha, 'alpha', '--proxy-mode', 'nftables', ...dns);
    await node.ready();
    cluster.apply(...web('web', VIP, ['192.0.2.11']));
    await untilGot(alpha, `http://${VIP}/`, 'alpha');
    await cluster.killServer();
    const lookUp = (name: string): string =>
      alpha.run('dig', ['@169.254.20.10', '+short', `${name}.default.svc.cluster.local`]).stdout.trim();
    expect(lookUp('web')).toBe(VIP);
    expect(get(alpha, `http://${VIP}/`)).toBe('alpha');
    expect(get(alpha, 'http://127.0.0.1:10256/livez')).toContain('"healthy":true');
    await cluster.restartServer();
    cluster.apply(...web('more', '10.96.7.8', ['192.0.2.11']));
    await untilGot(alpha, 'http://10.96.7.8/', 'alpha');
    expect(lookUp('more')).toBe('10.96.7.8');
  },
  DEADLINE_MS,
);

test(
  'restarts and kill -9 cost no connection',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft');
    if (reason !== undefined) context.skip(reason);
    await using cluster = await TestCluster.open('nd-again');
    const alpha = cluster.host('alpha', 11);
    const beta = cluster.host('beta', 12);
    startWeb(beta, '192.0.2.12', 'beta');
    const start = (): WeftProcess => cluster.startNode(alpha, 'alpha', '--proxy-mode', 'nftables');
    const first = start();
    await first.ready();
    cluster.apply(...web('web', VIP, ['192.0.2.12']));
    await untilGot(alpha, `http://${VIP}/`, 'beta');
    let over = false;
    const asked = askAll(alpha, `http://${VIP}/`, 'beta', () => over);
    expect(await first.stop()).toBe(0);
    const second = start();
    await second.ready();
    await second.stop('SIGKILL');
    await using third = start();
    await third.ready();
    over = true;
    expect(await asked).toEqual([]);
  },
  DEADLINE_MS,
);

function cleanup(host: OwnNetwork): string {
  return host.run(`${ROOT}bin/weft`, ['node', '--cleanup'], { timeoutMs: 60_000 }).stdout;
}

test(
  'two nodes, one with pods: reached by name and by VIP from the other',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft', 'dig');
    if (reason !== undefined) context.skip(reason);
    await using cluster = await TestCluster.open('nd-pods');
    const alpha = cluster.host('alpha', 11);
    const beta = cluster.host('beta', 12);
    const flags = ['--proxy-mode', 'nftables', '--pod-routes'];
    await using a = cluster.startNode(
      alpha,
      'alpha',
      ...flags,
      '--register',
      '--pod-cidr',
      '10.244.1.0/24',
      '--dns-address',
      '192.0.2.11',
    );
    await using b = cluster.startNode(beta, 'beta', ...flags, '--kubelet', '--pod-cidr', '10.244.2.0/24');
    await a.ready();
    await b.ready();
    const code = `require('http').createServer((q, s) => s.end('pod')).listen(8080, process.env.POD_IP)`;
    const labels = { app: 'web' };
    const container = { name: 'web', image: 'web', command: [process.execPath, '-e', code] };
    cluster.apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web', namespace: 'default' },
        spec: {
          replicas: 2,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: { containers: [container] }, // alpha is closed to pods
          },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web', namespace: 'default' },
        spec: { selector: labels, clusterIP: VIP, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
      },
    );
    await untilGot(alpha, `http://${VIP}/`, 'pod');
    const { stdout } = alpha.run('dig', ['@192.0.2.11', '+short', 'web.default.svc.cluster.local']);
    expect(stdout.trim()).toBe(VIP);
    expect(alpha.run('ip', ['route', 'show', 'proto', '152']).stdout).toContain(
      '10.244.2.0/24 via 192.0.2.12',
    );
    // both daemons are away, as for an upgrade: rules, routes and pods serve on
    expect(await a.stop()).toBe(0);
    expect(await b.stop()).toBe(0);
    expect(alpha.run('curl', ['-s', '-m', '20', `http://${VIP}/`]).stdout).toBe('pod');
    expect(cleanup(alpha)).toContain('routes to pods');
    expect(alpha.run('ip', ['route', 'show', 'proto', '152']).stdout.trim()).toBe('');
    expect(cleanup(beta)).toContain('routes to pods');
    expect(beta.run('ip', ['route', 'show', 'table', 'all', 'proto', '152']).stdout.trim()).toBe('');
  },
  DEADLINE_MS,
);

test(
  'a port that cannot be served is told on its Service, until it can',
  async (context) => {
    const reason = hostLacks('ip');
    if (reason !== undefined) context.skip(reason);
    await using cluster = await TestCluster.open('nd-refused');
    const alpha = cluster.host('alpha', 11);
    await using node = cluster.startNode(alpha, 'alpha', '--proxy-mode', 'userspace');
    await node.ready();
    const ports = (protocol: string) => ({ ports: [{ name: 'http', port: 80, targetPort: 8080, protocol }] });
    cluster.apply(...web('web', VIP, ['192.0.2.11'], ports('SCTP')));
    const conditions = (): string => cluster.weft(['get', 'service', 'web', '-o', 'json']);
    await waitFor('the condition', () => conditions().includes('weft.dev/Served'));
    expect(conditions()).toContain('SCTP cannot be proxied in userspace');
    await waitFor('the event', () => cluster.weft(['get', 'events']).includes('PortRefused'));
    cluster.apply(...web('web', VIP, ['192.0.2.11'], ports('TCP')));
    await waitFor('the condition to go', () => !conditions().includes('weft.dev/Served'));
  },
  DEADLINE_MS,
);
