import type { ResourceCache } from '../cache/resource-cache.ts';
import type { ServiceAllocation } from './service-allocation.ts';

/** Feeds the allocation with the Services there are and every change of them, whoever made it. */
export function followServices(cache: ResourceCache, allocation: ServiceAllocation): Disposable {
  const start = (): void => {
    for (const entry of cache.range(cache.prefix)) allocation.observe(entry.object, undefined);
  };
  start();
  return cache.listen({
    namespace: '',
    event: (event) => {
      const now = event.type === 'DELETED' ? undefined : event.entry.object;
      allocation.observe(now, event.previous?.object);
    },
    tick: () => {},
    lost: start,
  });
}
