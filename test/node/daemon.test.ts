import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { canMakeNamespaces, type OwnNetwork } from '../support/own-network.ts';
import { missingTools } from '../support/system-tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';
import { get, startWeb, TestCluster, untilGot, web } from './cluster.ts';

const VIP = '10.96.7.7';
/** Generous: processes start slowly on a loaded machine. */
const DEADLINE_MS = 120_000;

function needed(...tools: readonly string[]): string | undefined {
  if (!canMakeNamespaces()) return 'network namespaces need root';
  const missing = missingTools().filter((tool) => tools.includes(tool));
  return missing.length > 0 ? `missing: ${missing.join(', ')}` : undefined;
}

function startNode(
  cluster: TestCluster,
  host: OwnNetwork,
  name: string,
  ...flags: readonly string[]
): WeftProcess {
  const data = ['--data-dir', join(cluster.folder, name)];
  return new WeftProcess(
    host,
    ['node', '--kubeconfig', cluster.kubeconfig, '--hostname-override', name, ...data, ...flags],
    { ...process.env, WEFT_LOG_LEVEL: 'info' },
  );
}

describe.each(['nftables', 'iptables', 'userspace'])('weft node in mode %s', (mode) => {
  const tool = mode === 'nftables' ? 'nft' : mode === 'iptables' ? 'iptables' : 'ip';

  test(
    'serves VIPs and node ports, registers, answers on kube-proxy’s ports',
    async (context) => {
      const reason = needed('ip', 'curl', tool);
      if (reason !== undefined) context.skip(reason);
      await using cluster = await TestCluster.open(`nd-${mode.slice(0, 2)}`);
      const alpha = cluster.host('alpha', 11);
      const beta = cluster.host('beta', 12);
      startWeb(beta, '192.0.2.12', 'beta');
      await using node = startNode(cluster, alpha, 'alpha', '--register', '--proxy-mode', mode);
      await node.ready();
      cluster.apply(
        ...web('web', VIP, ['192.0.2.12'], {
          type: 'NodePort',
          ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30_080, protocol: 'TCP' }],
        }),
      );
      await untilGot(alpha, `http://${VIP}/`, 'beta');
      await untilGot(cluster.server, 'http://192.0.2.11:30080/', 'beta');
      expect(cluster.weft(['get', 'nodes'])).toMatch(/^alpha +Ready/m);
      for (const path of ['healthz', 'livez', 'readyz'])
        expect(get(alpha, `http://127.0.0.1:10256/${path}`)).toContain('"healthy":true');
      expect(get(alpha, 'http://127.0.0.1:10249/proxyMode')).toBe(mode);
      expect(get(alpha, 'http://127.0.0.1:10249/metrics')).toContain(
        'kubeproxy_sync_proxy_rules_duration_seconds',
      );
      cluster.weft(['delete', 'service', 'web']);
      await waitFor('the service to go', () => get(alpha, `http://${VIP}/`).startsWith('('), 30_000);
      expect(await node.stop()).toBe(0);
    },
    DEADLINE_MS,
  );
});
