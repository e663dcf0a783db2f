import type { Core } from '../verbs/context.ts';
import type { ServiceAllocation } from './service-allocation.ts';

/**
 * Gives back what no Service holds any more: a crash between the claim and the write of the Service leaves such.
 * A leak is freed only when it is seen in several passes, so that writes under way are left alone.
 */
export async function repairAllocations(core: Core, allocation: ServiceAllocation): Promise<void> {
  const kind = core.registry.find('', 'v1', 'services');
  if (!kind) return;
  await core.objects.hub.fresh();
  const services = [...core.objects.cacheOf(kind).range(core.objects.prefixOf(kind, ''))];
  const freed = await allocation.releaseLeaks(services.map((entry) => entry.object));
  if (freed.length > 0)
    core.log.warn('leaked allocations freed', { count: freed.length, names: freed.slice(0, 10) });
}
