import { objectAt, objectsAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { parseQuantity } from '../../kinds/quantity.ts';

/** Resource name -> amount in nano units. */
export type Amounts = ReadonlyMap<string, bigint>;

/**
 * What a pod asks for (or may use): the sum of its containers and sidecars, or its largest init container on top of
 * the sidecars before it, plus the overhead (KEP-753).
 */
export function podAmounts(pod: UnknownObject, field: 'requests' | 'limits'): Amounts {
  const { spec } = pod;
  const total = new Map<string, bigint>();
  for (const container of objectsAt(spec, 'containers')) addTo(total, listOf(container, field));
  const sidecars = new Map<string, bigint>();
  const largest = new Map<string, bigint>();
  for (const container of objectsAt(spec, 'initContainers')) {
    const own = listOf(container, field);
    if (container['restartPolicy'] === 'Always') {
      addTo(sidecars, own);
      addTo(total, own);
      raise(largest, sidecars);
    } else {
      const now = new Map(sidecars);
      addTo(now, own);
      raise(largest, now);
    }
  }
  raise(total, largest);
  const overhead = Object.entries(objectAt(spec, 'overhead'));
  for (const [name, value] of overhead) {
    if (field === 'requests' || total.has(name)) addTo(total, new Map([[name, nanoOf(value)]]));
  }
  return total;
}

const nanoOf = (value: unknown): bigint => parseQuantity(value)?.nano ?? 0n;

function listOf(container: unknown, field: string): Map<string, bigint> {
  const list = objectAt(objectAt(container, 'resources'), field);
  return new Map(Object.entries(list).map(([name, value]) => [name, nanoOf(value)]));
}

function addTo(total: Map<string, bigint>, more: Amounts): void {
  for (const [name, nano] of more) total.set(name, (total.get(name) ?? 0n) + nano);
}

function raise(total: Map<string, bigint>, least: Amounts): void {
  for (const [name, nano] of least) {
    const now = total.get(name);
    if (now === undefined || now < nano) total.set(name, nano);
  }
}
