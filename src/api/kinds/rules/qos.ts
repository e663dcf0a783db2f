import { objectAt, objectsAt } from '../json-value.ts';
import { compareQuantities, parseQuantity } from '../quantity.ts';

const COUNTED = ['cpu', 'memory'];

/**
 * Guaranteed, Burstable or BestEffort, from the requests and limits of cpu and memory of all containers, or of
 * the pod as a whole where it has its own.
 */
export function qosClassOf(spec: unknown): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const own = Object.keys(objectAt(objectAt(spec, 'resources'), 'requests')).length > 0;
  const containers = own
    ? [objectAt({ spec }, 'spec')]
    : [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')];
  let any = false;
  let guaranteed = containers.length > 0;
  for (const container of containers) {
    const resources = objectAt(container, 'resources');
    const [requests, limits] = [objectAt(resources, 'requests'), objectAt(resources, 'limits')];
    for (const name of COUNTED) {
      const [request, limit] = [positive(requests[name]), positive(limits[name])];
      if (request !== undefined || limit !== undefined) any = true;
      const wanted = request ?? limit;
      if (limit === undefined || compareQuantities(wanted, limit) !== 0) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function positive(value: unknown): unknown {
  const quantity = parseQuantity(value);
  return quantity && quantity.nano > 0n ? value : undefined;
}
