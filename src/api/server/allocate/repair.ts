import type { Core } from '../verbs/context.ts';
import type { ServiceParts } from './open.ts';

/**
 * Gives back what no Service holds any more: a crash between the lock and the write of the Service leaves such.
 * A leak is freed only when it is seen in several passes, so that writes under way are left alone.
 */
export async function repairAllocations(core: Core, { allocation }: ServiceParts): Promise<void> {
  const kind = core.registry.find('', 'v1', 'services');
  if (!kind) return;
  await core.objects.hub.fresh();
  const services = [...core.objects.cacheOf(kind).range(core.objects.prefixOf(kind, ''))];
  tell(core, await allocation.releaseLeaks(services.map((entry) => entry.object)));
}

/** The same at the start of a server that has its store for itself: nobody's write is under way. */
export async function repairAtStart(core: Core, { allocation }: ServiceParts): Promise<void> {
  tell(core, await allocation.releaseUnheld());
}

function tell({ log }: Core, freed: readonly string[]): void {
  if (freed.length === 0) return;
  log.warn('leaked allocations freed', { count: freed.length, names: freed.slice(0, 10) });
}

/** Makes the IPAddress of a Service that lacks it: removed by hand, or the Service is older than such objects. */
export async function restoreAddress(
  core: Core,
  { clusterIps, addresses }: ServiceParts,
  address: string,
): Promise<void> {
  const owner = clusterIps.ownerOf(address);
  const kind = core.registry.find('', 'v1', 'services');
  if (owner === undefined || !kind) return;
  await core.objects.hub.fresh();
  const [namespace = '', name = ''] = owner.split('/');
  const service = core.objects.get(kind, namespace, name);
  if (service && clusterIps.namesOf(service.object).has(address)) await addresses.restore(address, owner);
}
