import { readFile } from 'node:fs/promises';
import { Fault, messageOf } from '../../base/fault.ts';
import { joinHostPort } from '../../net/ip.ts';
import { ANONYMOUS, type ClusterAccess } from './kubeconfig.ts';

const MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * Access as a pod has it: KUBERNETES_SERVICE_HOST and _PORT, and the mounted ServiceAccount, whose token is read
 * again as it rotates. Faults: NOT_IN_CLUSTER when the environment or the mount is missing.
 */
export async function inClusterAccess(
  env: Readonly<Record<string, string | undefined>>,
  mount: string = MOUNT,
): Promise<ClusterAccess> {
  const host = env.KUBERNETES_SERVICE_HOST;
  const port = Number(env.KUBERNETES_SERVICE_PORT);
  if (!host || !port) {
    const message = 'not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set';
    throw new Fault('NOT_IN_CLUSTER', `${message}; give --kubeconfig`);
  }
  const read = async (name: string): Promise<string> => {
    try {
      return await readFile(`${mount}/${name}`, 'utf8');
    } catch (cause) {
      throw new Fault('NOT_IN_CLUSTER', `${mount}/${name} cannot be read: ${messageOf(cause)}`, { cause });
    }
  };
  await read('token');
  return {
    server: new URL(`https://${joinHostPort(host, port)}`),
    namespace: (await read('namespace')).trim() || 'default',
    caPem: await read('ca.crt'),
    insecureSkipTlsVerify: false,
    tlsServerName: undefined,
    ...ANONYMOUS,
    tokenFile: `${mount}/token`,
  };
}
