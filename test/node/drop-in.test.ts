import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { client } from '../support/kubectl.ts';
import { hostLacks } from '../support/host-lacks.ts';
import { WeftProcess } from '../support/weft-process.ts';
import { startWeb, TestCluster, untilGot, web } from './cluster.ts';

const DEADLINE_MS = 300_000;

/** Objects that give a ServiceAccount the role that clusters give kube-proxy. */
const KUBE_PROXY = [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'kube-proxy', namespace: 'kube-system' } },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'kube-proxy' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node-proxier' },
    subjects: [{ kind: 'ServiceAccount', name: 'kube-proxy', namespace: 'kube-system' }],
  },
];

/** Writes a kubeconfig that speaks as that ServiceAccount. */
function kubeProxyConfig(cluster: TestCluster): string {
  const path = join(cluster.folder, 'kube-proxy.conf');
  copyFileSync(cluster.kubeconfig, path);
  const kubectl = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = cluster.server.run(client('kubectl'), ['--kubeconfig', path, ...args]);
    expect(status, stderr).toBe(0);
    return stdout.trim();
  };
  const token = kubectl('create', 'token', 'kube-proxy', '--namespace=kube-system');
  kubectl('config', 'set-credentials', 'kube-proxy', `--token=${token}`);
  kubectl('config', 'set-context', '--current', '--user=kube-proxy');
  expect(kubectl('auth', 'can-i', 'list', 'services', '--all-namespaces')).toBe('yes');
  return path;
}

test(
  'weft node serves with what a cluster allows kube-proxy, and no more',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft');
    if (reason !== undefined) context.skip(reason);
    await using cluster = await TestCluster.open('nd-dropin');
    const alpha = cluster.host('alpha', 11);
    startWeb(alpha, '192.0.2.11', 'alpha');
    cluster.apply(...KUBE_PROXY, ...web('web', '10.96.7.7', ['192.0.2.11']));
    const kubeconfig = kubeProxyConfig(cluster);
    const data = ['--data-dir', join(cluster.folder, 'alpha')];
    const flags = ['--hostname-override', 'alpha', '--proxy-mode', 'nftables', ...data];
    await using node = new WeftProcess(alpha, ['node', '--kubeconfig', kubeconfig, ...flags]);
    await node.ready(DEADLINE_MS);
    await untilGot(alpha, 'http://10.96.7.7/', 'alpha');
    expect(node.output).not.toContain('forbidden');
  },
  DEADLINE_MS,
);
