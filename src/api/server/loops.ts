import type { Store } from '../../store/store.ts';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Access } from './access.ts';
import { furnishNamespace } from './admission/service-account.ts';
import { followAllocations, type ServiceParts } from './allocate/open.ts';
import { repairAllocations } from './allocate/repair.ts';
import { aggregate } from './bootstrap/reconcile-policy.ts';
import type { ResourceCache } from './cache/resource-cache.ts';
import { processSigningRequest } from './identity/csr.ts';
import type { Pki } from './identity/pki.ts';
import { KeyedLoop } from './keyed-loop.ts';
import { ALLOCATION_REPAIR_INTERVAL_MS, COMPACTION_INTERVAL_MS } from './limits.ts';
import type { Core } from './verbs/context.ts';

/** What the server keeps right by itself, without controllers: small level-triggered loops over its own caches. */
export function startLoops(
  core: Core,
  parts: { readonly pki: Pki; readonly access: Access; readonly services: ServiceParts },
  stack: AsyncDisposableStack,
): void {
  const cacheOf = (group: string, plural: string): ResourceCache | undefined => {
    const kind = core.registry.find(group, 'v1', plural);
    return kind && core.objects.cacheOf(kind);
  };
  const loop = (name: string, process: (key: string) => Promise<void>): KeyedLoop =>
    stack.use(new KeyedLoop(core, name, process));
  stack.use(followAllocations(core, parts.services, loop));

  const namespaces = cacheOf('', 'namespaces');
  if (namespaces) {
    const caPem = parts.pki.ca.pem;
    const furnish = loop('namespace', (name) => furnishNamespace(core, name, caPem));
    furnish.follow(namespaces, ({ entry, type }) => (type === 'DELETED' ? undefined : entry.name));
  }
  const clusterRoles = cacheOf('rbac.authorization.k8s.io', 'clusterroles');
  if (clusterRoles) loop('aggregation', () => aggregate(core)).follow(clusterRoles, () => 'all');

  const requests = cacheOf('certificates.k8s.io', 'certificatesigningrequests');
  if (requests) {
    const { ca } = parts.pki;
    const deps = { core, caKey: ca.key, caCertificate: ca.certificate, authorize: parts.access.authorize };
    loop('certificate requests', (name) => processSigningRequest(deps, name)).follow(
      requests,
      ({ entry, type }) => (type === 'DELETED' ? undefined : entry.name),
    );
  }
  stack.use(
    every(core, ALLOCATION_REPAIR_INTERVAL_MS, 'repair', () => repairAllocations(core, parts.services)),
  );
  stack.use(compactionLoop(core));
}

/** Forgets history that is older than one interval. */
function compactionLoop(core: { store: Store; clock: Clock; log: Logger }): Disposable {
  let last: number | undefined;
  return every(core, COMPACTION_INTERVAL_MS, 'compaction', async () => {
    if (last !== undefined) await core.store.compact(last);
    last = await core.store.currentRevision();
  });
}

function every(
  { clock, log }: { clock: Clock; log: Logger },
  intervalMs: number,
  name: string,
  work: () => Promise<void>,
): Disposable {
  let timer: Disposable;
  const schedule = (): void => {
    timer = clock.setTimer(intervalMs, () => {
      work().catch((error: unknown) => log.warn(`${name} failed`, { reason: messageOf(error) }));
      schedule();
    });
  };
  schedule();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
