import type { CompiledIngress } from '../compile/compile-ingress.ts';
import type { Target } from '../compile/route.ts';

export type ServiceTarget = Target & { readonly kind: 'service' };

/**
 * Backends of ssl-passthrough by server name: the backend of the host's path `/`, else of its first path. Of several
 * Ingresses the oldest counts, which comes first.
 */
export function passthroughTargets(ingresses: Iterable<CompiledIngress>): Map<string, ServiceTarget> {
  const targets = new Map<string, ServiceTarget>();
  for (const { policy, hosts } of ingresses) {
    if (!policy.sslPassthrough) continue;
    for (const { host, paths } of hosts) {
      const { target } = paths.find(({ path }) => path === '/') ?? paths[0] ?? {};
      if (host !== '' && target?.kind === 'service' && !targets.has(host)) targets.set(host, target);
    }
  }
  return targets;
}

/** Exact names before wildcards, which stand for one label. */
export function passthroughFor(
  targets: ReadonlyMap<string, ServiceTarget>,
  serverName: string | undefined,
): ServiceTarget | undefined {
  if (serverName === undefined || targets.size === 0) return undefined;
  const dot = serverName.indexOf('.');
  return targets.get(serverName) ?? (dot > 0 ? targets.get(`*${serverName.slice(dot)}`) : undefined);
}
