import { inClusterAccess } from '../../api/client/in-cluster.ts';
import { ANONYMOUS, type ClusterAccess, loadKubeconfig } from '../../api/client/kubeconfig.ts';
import { Fault } from '../../base/fault.ts';

/**
 * How a node reaches its API server, as kube-proxy reads its flags: by kubeconfig, else as a pod; `master` is the
 * server's address whatever they say, and alone needs neither. Faults: KUBECONFIG_INVALID, NOT_IN_CLUSTER.
 */
export async function nodeAccess(
  env: Readonly<Record<string, string | undefined>>,
  kubeconfig: string,
  master: string | undefined,
): Promise<ClusterAccess> {
  const server = master === undefined ? undefined : serverUrl(master);
  if (kubeconfig !== '') return { ...(await loadKubeconfig(kubeconfig)), ...(server && { server }) };
  if (!server) return await inClusterAccess(env);
  return {
    ...ANONYMOUS,
    server,
    namespace: 'default',
    caPem: undefined,
    insecureSkipTlsVerify: false,
    tlsServerName: undefined,
  };
}

function serverUrl(text: string): URL {
  try {
    return new URL(text.includes('://') ? text : `https://${text}`);
  } catch (cause) {
    throw new Fault('KUBECONFIG_INVALID', `--master ${text} is no address of a server`, { cause });
  }
}
