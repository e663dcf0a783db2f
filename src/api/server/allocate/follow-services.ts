import type { UnknownObject } from '../../kinds/meta.ts';
import type { ResourceCache } from '../cache/resource-cache.ts';
import type { ServiceAllocation } from './service-allocation.ts';

/**
 * Feeds the allocation with the Services there are and every change of them, whoever made it.
 * @param noticed each one, after the allocation has it
 */
export function followServices(
  cache: ResourceCache,
  allocation: ServiceAllocation,
  noticed: (service: UnknownObject) => void,
): Disposable {
  const observe = (now: UnknownObject | undefined, before?: UnknownObject): void => {
    allocation.observe(now, before);
    if (now) noticed(now);
  };
  const start = (): void => {
    for (const entry of cache.range(cache.prefix)) observe(entry.object);
  };
  start();
  return cache.listen({
    namespace: '',
    event: ({ type, entry, previous }) =>
      observe(type === 'DELETED' ? undefined : entry.object, previous?.object),
    tick: () => {},
    lost: start,
  });
}
