import type { Snapshot } from '../../endpoints/snapshot.ts';
import type { CompiledIngress } from '../compile/compile-ingress.ts';
import type { Target } from '../compile/route.ts';
import { endpointsOf } from '../upstream/cluster.ts';

export interface Orphan {
  readonly namespace: string;
  readonly ingress: string;
  readonly type: 'no-service' | 'no-endpoint';
}

/** Ingresses with a backend nobody is behind, each kind once. */
export function* orphansOf(ingresses: Iterable<CompiledIngress>, snapshot: Snapshot): Generator<Orphan> {
  for (const { ingress, hosts, catchAll, policy } of ingresses) {
    const types = new Set<Orphan['type']>();
    for (const target of targetsOf(hosts, catchAll)) {
      const { namespace, service } = target.backend;
      const entry = snapshot.services.get(`${namespace}/${service}`);
      if (!entry) types.add('no-service');
      else if (endpointsOf(entry, target.backend, policy.upstream.serviceUpstream).reason !== undefined)
        types.add('no-endpoint');
    }
    for (const type of types) yield { namespace: ingress.namespace, ingress: ingress.name, type };
  }
}

function* targetsOf(
  hosts: CompiledIngress['hosts'],
  catchAll: Target | undefined,
): Generator<Target & { kind: 'service' }> {
  for (const { paths, fallback } of hosts)
    for (const target of [...paths.map((path) => path.target), fallback])
      if (target?.kind === 'service') yield target;
  if (catchAll?.kind === 'service') yield catchAll;
}
