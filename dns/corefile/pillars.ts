import type { Environment } from './lexer.ts';

/**
 * What stands in a Corefile written for node-local-dns in place of values that its deployment fills in, and with which
 * values (kubernetes/dns, cmd/node-cache): `__PILLAR__CLUSTER__DNS__` and the like. Who sets them in the environment
 * is heard.
 */
export function pillarValues(env: Environment, nodeLocal: readonly string[]): Environment {
  const [local, server] = nodeLocal;
  return {
    __PILLAR__DNS__DOMAIN__: 'cluster.local',
    __PILLAR__CLUSTER__DNS__: env['KUBE_DNS_UPSTREAM_SERVICE_HOST'],
    __PILLAR__UPSTREAM__SERVERS__: '/etc/resolv.conf',
    ...(local !== undefined && { __PILLAR__LOCAL__DNS__: local, __PILLAR__DNS__SERVER__: server ?? '' }),
    ...env,
  };
}
