import type { ApiClient } from '../../api/client/client.ts';
import type { Informer } from '../../api/client/informer.ts';
import { resources } from '../../api/client/resources.ts';
import { type EndpointSlice, MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from '../../api/kinds/endpoint-slice.ts';
import type { SlicePlan } from '../../../endpoints/slices/packing.ts';
import type { OwnWrites } from '../own-writes.ts';
import { isGone } from '../pod-control.ts';

export const SLICE_SERVICE_INDEX = 'managed-service';

/** `MANAGER NAMESPACE/SERVICE` of each slice, for SLICE_SERVICE_INDEX. */
export function sliceServiceIndex(slice: EndpointSlice): readonly string[] {
  const { namespace = '', labels = {} } = slice.metadata;
  const service = labels[SERVICE_NAME_LABEL];
  return service ? [`${labels[MANAGED_BY_LABEL] ?? ''} ${namespace}/${service}`] : [];
}

/** The slices a manager keeps for a service, oldest name first. */
export function managedSlices(
  slices: Informer<EndpointSlice>,
  manager: string,
  serviceKey: string,
): EndpointSlice[] {
  const found = Array.from(slices.byIndex(SLICE_SERVICE_INDEX, `${manager} ${serviceKey}`));
  const present = found.filter((slice) => !slice.metadata.deletionTimestamp);
  return present.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Carries out a plan: additions first, so that no reader sees fewer endpoints than there are. */
export async function writeSlices(
  deps: { readonly client: ApiClient; readonly writes: OwnWrites<EndpointSlice> },
  serviceKey: string,
  plan: SlicePlan,
  signal: AbortSignal,
): Promise<void> {
  const { client, writes } = deps;
  for (const slice of plan.create) {
    writes.wrote(serviceKey, await client.create(resources.endpointSlices, slice, { signal }));
  }
  for (const slice of plan.update) {
    writes.wrote(serviceKey, await client.update(resources.endpointSlices, slice, { signal }));
  }
  for (const slice of plan.remove) {
    const { name, namespace, uid } = slice.metadata;
    try {
      const preconditions = uid ? { uid } : {};
      await client.delete(resources.endpointSlices, name, namespace, { signal, preconditions });
      writes.deleted(serviceKey, slice);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}
